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

from localcloud.eventbridge.event_pattern import Alternative, alternatives, wildcard_matches

# The entry of each array that a leaf lies in: the array's number → the entry's.
_Place = dict[int, int]


@dataclass(slots=True)
class _Leaves:
    """The leaves of one path, by the entries of the arrays that they lie in, outermost first."""

    values: list[Any] = field(default_factory=list)
    arrays: dict[int, dict[int, _Leaves]] = field(default_factory=dict)

    def add(self, value: Any, place: _Place) -> None:
        leaves = self
        for array, entry in place.items():
            leaves = leaves.arrays.setdefault(array, {}).setdefault(entry, _Leaves())
        leaves.values.append(value)

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

    def numbers(self) -> set[int]:
        """Return the numbers of the arrays that a leaf lies in."""
        found: set[int] = set()
        waiting = [self]
        while waiting:
            leaves = waiting.pop()
            found.update(leaves.arrays)
            waiting += [inner for entries in leaves.arrays.values() for inner in entries.values()]
        return found


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Return whether an event matches a pattern that is valid."""
    leaves = _leaves_of(event)
    return any(_holds(alternative, leaves) for alternative in alternatives(pattern))


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


def _holds(alternative: Alternative, leaves: dict[str, _Leaves]) -> bool:
    """Return whether every field holds, for one entry of each array."""
    paths = sorted(alternative)
    nothing = _Leaves()
    if any(path not in leaves and {"exists": False} not in alternative[path] for path in paths):
        return False
    arrays = [leaves.get(path, nothing).numbers() for path in paths]
    places: list[_Place] = [{}]
    for index, path in enumerate(paths):
        # Only an array that a later field lies in matters any more.
        later = set().union(*arrays[index + 1 :])
        found: dict[frozenset[tuple[int, int]], _Place] = {}
        for place in places:
            for agreed in _places_of(alternative[path], leaves.get(path, nothing), place):
                kept = {array: entry for array, entry in agreed.items() if array in later}
                found[frozenset(kept.items())] = kept
        places = list(found.values())
        if not places:
            return False
    return True


def _places_of(values: list[Any], leaves: _Leaves, place: _Place) -> Iterator[_Place]:
    """Yield each place, in agreement with `place`, at which one of the values matches."""
    if {"exists": False} in values and next(leaves.agreeing(place), None) is None:
        yield place
    for leaf, where in leaves.agreeing(place):
        if any(_value_matches(value, leaf) for value in values):
            yield where


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
