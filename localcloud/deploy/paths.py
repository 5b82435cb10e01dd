"""Property paths of Pulumi's options: `value`, `tags.owner`, `stages[0].name`, `*`.

Source: https://www.pulumi.com/docs/iac/concepts/options/ignorechanges/
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

_PART = re.compile(r'\["([^"]+)"\]|\[(\d+|\*)\]|([^.\[\]]+)')
_ABSENT = object()


def parts(path: str) -> list[str | int]:
    """Split a path into names and list positions (integers)."""
    found: list[str | int] = []
    for quoted, position, name in _PART.findall(path):
        found.append(int(position) if position.isdigit() else quoted or position or name)
    return found


def value_at(values: Any, path: str) -> Any:
    """Return the value at a path (for `*`, the whole); None if there is none."""
    found = values
    for part in parts(path):
        if part == "*":
            return found
        found = _step(found, part)
        if found is _ABSENT:
            return None
    return found


def restore(after: dict[str, Any], before: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the new values, but with the old values at the given paths."""
    result: dict[str, Any] = copy.deepcopy(after)
    for path in paths:
        _restore(result, before, parts(path))
    return result


def _restore(after: Any, before: Any, path: list[str | int]) -> None:
    part, rest = path[0], path[1:]
    if part == "*":
        keys: list[str | int] = []
        for values in (before, after):
            if isinstance(values, (dict, list)):
                keys += list(values) if isinstance(values, dict) else range(len(values))
        for key in dict.fromkeys(keys):
            _restore(after, before, [key, *rest])
        return
    old = _step(before, part)
    if rest:
        _restore(_step(after, part), old, rest)
    elif isinstance(after, dict) and isinstance(part, str):
        if old is _ABSENT:
            after.pop(part, None)
        else:
            after[part] = copy.deepcopy(old)
    elif old is not _ABSENT and _step(after, part) is not _ABSENT:
        after[part] = copy.deepcopy(old)


def _step(values: Any, part: str | int) -> Any:
    if isinstance(values, dict) and isinstance(part, str):
        return values.get(part, _ABSENT)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return _ABSENT
