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
    """Return a path's steps: names, and positions as numbers."""
    found: list[str | int] = []
    for quoted, position, name in _PART.findall(path):
        found.append(int(position) if position.isdigit() else quoted or position or name)
    return found


def holds(values: Any, path: str) -> Any:
    """Return what lies at a path (all of it for `*`); None where nothing does."""
    found = values
    for part in parts(path):
        if part == "*":
            return found
        found = _step(found, part)
        if found is _ABSENT:
            return None
    return found


def put_back(after: dict[str, Any], before: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the new values with what lies at the paths as it was before."""
    result: dict[str, Any] = copy.deepcopy(after)
    for path in paths:
        _put_back(result, before, parts(path))
    return result


def _put_back(after: Any, before: Any, path: list[str | int]) -> None:
    part, rest = path[0], path[1:]
    if part == "*":
        keys: list[str | int] = []
        for values in (before, after):
            if isinstance(values, (dict, list)):
                keys += list(values) if isinstance(values, dict) else range(len(values))
        for key in dict.fromkeys(keys):
            _put_back(after, before, [key, *rest])
        return
    old = _step(before, part)
    if rest:
        _put_back(_step(after, part), old, rest)
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
