"""Matching an event with a pattern, as AWS's own matcher does. Pure.

An event is the leaves of its JSON: each text, number, boolean or null, with the names that lead to
it. An array adds each of its entries under the same names. What a pattern says about several fields
of the objects of one array must hold for the same object. The fields are looked at in the order of
their names, which matters for a field that must be absent: it is sought in the object that the
fields before it have chosen, and in every object if there is none.

A pattern is a set of alternatives, each of which gives every field that it names a list of values.
`$or` multiplies the alternatives. If a field stands beside `$or` and inside it, the later counts.

Must not: decide whether a pattern is valid (`event_pattern.py`).

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
Source: https://github.com/aws/event-ruler
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from localcloud.eventbridge.event_pattern import alternatives, wildcard_matches

# The entry of each array that a leaf lies in: the array's number → the entry's.
_Place = dict[int, int]


# The fields of an alternative, in the order of their paths.
_Fields = list[tuple[str, list[Any]]]
_MISSING = {"exists": False}


@dataclass(slots=True)
class _Leaves:
    """The leaves of one path, by the entries of the arrays that they lie in, outermost first.

    Attributes:
        numbers: the arrays that any leaf lies in; known of the outermost only.
    """

    values: list[Any] = field(default_factory=list)
    arrays: dict[int, dict[int, _Leaves]] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)

    def add(self, value: Any, place: _Place) -> None:
        self.numbers.update(place)
        leaves = self
        for array, entry in place.items():
            leaves = leaves.arrays.setdefault(array, {}).setdefault(entry, _Leaves())
        leaves.values.append(value)

    @property
    def empty(self) -> bool:
        """Return whether there is no leaf."""
        return not self.values and not self.arrays

    def agreeing(self, place: _Place) -> Iterator[tuple[Any, _Place]]:
        """Yield each leaf that lies in no other entry of an array than `place` says."""
        waiting: list[tuple[_Leaves, _Place]] = [(self, place)]
        while waiting:
            leaves, agreed = waiting.pop()
            for value in leaves.values:
                yield value, agreed
            for array, entries in leaves.arrays.items():
                if array not in agreed:
                    waiting += [(inner, {**agreed, array: e}) for e, inner in entries.items()]
                elif agreed[array] in entries:
                    waiting.append((entries[agreed[array]], agreed))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Return whether an event matches a pattern that is valid."""
    search = _Search(_leaves_of(event))
    return search.finds([sorted(alternative.items()) for alternative in alternatives(pattern)])


def _leaves_of(event: dict[str, Any]) -> dict[str, _Leaves]:
    found: dict[str, _Leaves] = {}
    arrays = 0
    waiting: list[tuple[str, Any, _Place]] = [("", event, {})]
    while waiting:
        path, value, place = waiting.pop()
        if isinstance(value, dict):
            begin = f"{path}." if path else ""
            waiting += [(begin + name, inner, place) for name, inner in value.items()]
        elif isinstance(value, list):
            arrays += 1
            waiting += [
                (path, inner, {**place, arrays: entry}) for entry, inner in enumerate(value)
            ]
        else:
            found.setdefault(path, _Leaves()).add(value, place)
    return found


class _Search:
    """The search for one alternative of which every field holds, for one entry of each array.

    The alternatives that begin with the same fields are tried together.
    """

    def __init__(self, leaves: dict[str, _Leaves]) -> None:
        self._leaves = leaves
        # The leaves that match one of the values of a field, by its path and its values.
        self._matching: dict[tuple[str, int], _Leaves] = {}
        self._later: dict[str, frozenset[int]] = {}

    def finds(self, fields_of_all: list[_Fields]) -> bool:
        """Return whether one of the alternatives holds."""
        possible = [
            fields
            for fields in fields_of_all
            if all(self._may_hold(path, values) for path, values in fields)
        ]
        later: set[int] = set()
        for path in sorted({path for fields in possible for path, _ in fields}, reverse=True):
            # Only an array that a later field lies in matters after this one.
            self._later[path] = frozenset(later)
            later |= self._leaves.get(path, _NOTHING).numbers
        return bool(possible) and self.holds(possible, 0, [{}])

    def _may_hold(self, path: str, values: list[Any]) -> bool:
        """Return whether a field holds by itself."""
        key = (path, id(values))
        if key not in self._matching:
            self._matching[key] = _Leaves()
            for leaf, place in self._leaves.get(path, _NOTHING).agreeing({}):
                if any(_value_matches(value, leaf) for value in values):
                    self._matching[key].add(leaf, place)
        return _MISSING in values or not self._matching[key].empty

    def holds(self, possible: list[_Fields], depth: int, places: list[_Place]) -> bool:
        """Return whether an alternative holds from its field number `depth` on."""
        groups: dict[tuple[str, int], list[_Fields]] = {}
        for fields in possible:
            if len(fields) == depth:
                return True
            path, values = fields[depth]
            groups.setdefault((path, id(values)), []).append(fields)
        for (path, _), group in groups.items():
            found = self._step(path, group[0][depth][1], places)
            if found and self.holds(group, depth + 1, found):
                return True
        return False

    def _step(self, path: str, values: list[Any], places: list[_Place]) -> list[_Place]:
        """Return the places, each in agreement with one of `places`, at which a field holds."""
        leaves, later = self._leaves.get(path, _NOTHING), self._later[path]
        matching, may_be_missing = self._matching[path, id(values)], _MISSING in values
        found: dict[tuple[tuple[int, int], ...], _Place] = {}
        for place in places:
            agreed = [where for _, where in matching.agreeing(place)]
            if may_be_missing and next(leaves.agreeing(place), None) is None:
                agreed = [place]
            for where in agreed:
                kept = {array: entry for array, entry in where.items() if array in later}
                found[tuple(kept.items())] = kept
        return list(found.values())


_NOTHING = _Leaves()


def _value_matches(value: Any, leaf: Any) -> bool:
    """Return whether one value of a pattern matches a leaf."""
    if not isinstance(value, dict):
        return _is_same(value, leaf)
    ((kind, operand),) = value.items()
    match kind:
        case "exists":
            return bool(operand)
        case "numeric":
            return _is_number(leaf) and all(
                _COMPARISONS[sign](leaf, number)
                for sign, number in zip(operand[::2], operand[1::2], strict=True)
            )
        case "anything-but":
            return not _is_excepted(operand, leaf)
        case "cidr":
            return isinstance(leaf, str) and _in_network(leaf, operand)
        case _:
            return isinstance(leaf, str) and _text_matches(kind, operand, leaf)


def _is_excepted(operand: Any, leaf: Any) -> bool:
    """Return whether a leaf is one that `anything-but` leaves out."""
    if isinstance(operand, dict):
        ((kind, inner),) = operand.items()
        texts = inner if isinstance(inner, list) else [inner]
        return isinstance(leaf, str) and any(_text_matches(kind, text, leaf) for text in texts)
    return any(
        _is_same(each, leaf) for each in (operand if isinstance(operand, list) else [operand])
    )


def _text_matches(kind: str, operand: Any, leaf: str) -> bool:
    if isinstance(operand, dict):
        operand, leaf = operand["equals-ignore-case"].lower(), leaf.lower()
    match kind:
        case "exactly":
            return bool(leaf == operand)
        case "prefix":
            return leaf.startswith(operand)
        case "suffix":
            return leaf.endswith(operand)
        case "equals-ignore-case":
            return bool(leaf.lower() == operand.lower())
        case _:
            return wildcard_matches(operand, leaf)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_same(value: Any, leaf: Any) -> bool:
    """Return whether two leaves are the same; true is no 1, and 1.0 is."""
    if _is_number(value) and _is_number(leaf):
        return bool(value == leaf)
    return type(value) is type(leaf) and bool(value == leaf)


def _in_network(leaf: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(leaf) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
