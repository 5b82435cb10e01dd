"""Reads values out of a mapping of texts and collects what is wrong with them.

Owns the wording of a settings problem. Must not: know which settings exist.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

_Choice = TypeVar("_Choice", bound=StrEnum)


class SettingsError(ValueError):
    """The stack's configuration cannot be used; ``problems`` has a line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the stack's configuration:\n{lines}")


class SettingsReader:
    """Typed access to texts by key, which goes on after a problem.

    Each reading method returns a usable value even for a wrong one, so that one pass finds
    every problem; ``raise_for_problems`` ends it.
    """

    def __init__(self, values: Mapping[str, str], known: Iterable[str]) -> None:
        self._values = values
        self._problems: list[str] = []
        known = tuple(known)
        for key in sorted(set(values) - set(known)):
            near = difflib.get_close_matches(key, known, n=1)
            fix = f"did you mean {near[0]}?" if near else "remove it"
            what = f"unknown key, with the value {values[key]!r}"
            self.problem(key, "", f"one of {', '.join(known)}", fix, what=what)

    def problem(
        self, key: str, value: object, allowed: str, fix: str, what: str = "bad value"
    ) -> None:
        """Note that ``key`` has a value that is not allowed."""
        shown = what if value == "" else f"{what} {value!r}"
        self._problems.append(f"{key}: {shown}; allowed: {allowed}; fix: {fix}")

    def raise_for_problems(self) -> None:
        """Raise SettingsError if anything was wrong."""
        if self._problems:
            raise SettingsError(self._problems)

    def raw(self, key: str) -> str:
        """Return the text of a key without surrounding blanks, empty when absent."""
        return self._values.get(key, "").strip()

    def text(
        self,
        key: str,
        *,
        pattern: re.Pattern[str],
        allowed: str,
        example: str,
        default: str | None = None,
    ) -> str:
        """Return a text that matches a pattern; without a default it must be there."""
        raw = self.raw(key)
        if not raw:
            if default is None:
                self._missing(key, allowed, example)
            return default or ""
        if not pattern.fullmatch(raw):
            self.problem(key, raw, allowed, f"use for example {example}")
            return raw if default is None else default
        return raw

    def choice(
        self, key: str, choices: type[_Choice], *, example: str, default: _Choice | None = None
    ) -> _Choice:
        """Return a member of an enumeration; without a default it must be there."""
        raw = self.raw(key)
        allowed = ", ".join(choices)
        if not raw:
            if default is None:
                self._missing(key, allowed, example)
            return default or next(iter(choices))
        if raw in list(choices):
            return choices(raw)
        near = difflib.get_close_matches(raw.casefold(), [c.casefold() for c in choices], n=1)
        fix = f"use {next((c.value for c in choices if [c.casefold()] == near), example)}"
        self.problem(key, raw, allowed, fix)
        return default or next(iter(choices))

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        raw = self.raw(key)
        if raw and raw not in ("true", "false"):
            self.problem(key, raw, "true, false", f"use {str(default).lower()}")
            return default
        return raw == "true" if raw else default

    def whole_number(self, key: str, *, default: int, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        raw = self.raw(key)
        if not raw:
            return default
        # At most ten digits: int() refuses enormous texts with an error of its own.
        if not re.fullmatch(r"-?[0-9]{1,10}", raw) or not low <= int(raw) <= high:
            self.problem(key, raw, f"a whole number from {low} to {high}", f"use {default}")
            return default
        return int(raw)

    def fraction(self, key: str, *, default: float) -> float:
        """Return a number from 0 to 1, both included."""
        return self.number(key, default=default, low=0, high=1)

    def number(self, key: str, *, default: float, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``, both included."""
        raw = self.raw(key)
        if not raw:
            return default
        try:
            number = float(raw)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            self.problem(key, raw, f"a number from {low:g} to {high:g}", f"use {default:g}")
            return default
        return number

    def _missing(self, key: str, allowed: str, example: str) -> None:
        # Pulumi's own key for the region carries its package's name; ours carry the project's.
        self.problem(key, "", allowed, f"pulumi config set {key} {example}", what="missing value")
