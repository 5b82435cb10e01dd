"""Lists the differences between two versions of a resource's inputs, for display. Pure.

Secrets are hidden, long strings are shortened, and archives are shown by their hash. A string that
contains a JSON document (a policy, a dashboard) is compared value by value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

# Pulumi's own marker for a value that is unknown until a resource exists.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
COMPUTED = "<computed>"
_SECRET = "<secret>"  # noqa: S105 - shown instead of a secret
_LONGEST = 72
_HASH_LENGTH = 12
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that changes; `before` is None if it is added, `after` if it is removed."""

    path: str
    before: str | None
    after: str | None


def differences(
    before: dict[str, Any], after: dict[str, Any], secrets: frozenset[str] = frozenset()
) -> tuple[Difference, ...]:
    """Return each value that differs, with its path.

    Args:
        before: the inputs in the state.
        after: the inputs that the program registers.
        secrets: names of the inputs whose values are hidden.
    """
    found: list[Difference] = []
    for path, old, new in _walk(before, after, ""):
        hidden = path.partition(".")[0].partition("[")[0] in secrets
        found.append(Difference(path, _shown(old, hidden), _shown(new, hidden)))
    return tuple(found)


def _walk(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    inside = (_document(before), _document(after))
    if all(isinstance(value, (dict, list)) for value in inside) and inside[0] != inside[1]:
        before, after = inside
    if is_digest(before) or is_digest(after):
        yield path, before, after
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _walk(before.get(key, _ABSENT), after.get(key, _ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index, old, new in _pairs(before, after):
            yield from _walk(old, new, f"{path}[{index}]")
    else:
        yield path, before, after


def _pairs(before: list[Any], after: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """Yield the elements that differ, so that one that came in does not move all behind it.

    The index is that of the new list, or of the old one for an element that is gone.
    """
    old_texts, new_texts = (
        [json.dumps(value, sort_keys=True, default=str) for value in values]
        for values in (before, after)
    )
    # All lists are short; autojunk would drop elements that are frequent in long ones.
    matcher = SequenceMatcher(None, old_texts, new_texts, autojunk=False)
    for _, old, old_end, new, new_end in matcher.get_opcodes():
        for offset in range(max(old_end - old, new_end - new)):
            first = before[old + offset] if old + offset < old_end else _ABSENT
            second = after[new + offset] if new + offset < new_end else _ABSENT
            yield (old if second is _ABSENT else new) + offset, first, second


def _document(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def is_digest(value: Any) -> bool:
    """Return whether a value is the digest that stands for an asset: `{"sha256": "…"}`."""
    return isinstance(value, dict) and set(value) == {"sha256"}


def _shown(value: Any, hidden: bool) -> str | None:
    if value is _ABSENT:
        return None
    if value == UNKNOWN:
        return COMPUTED
    if hidden:
        return _SECRET
    if is_digest(value):
        return f"sha256:{value['sha256'][:_HASH_LENGTH]}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    text = " ".join(text.replace(UNKNOWN, COMPUTED).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
