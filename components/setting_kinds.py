"""The kinds of settings: how each is declared, parsed and refused.

A kind is a function that returns a dataclass field. The field's metadata holds the whole
declaration of the setting, so a dataclass of ``settings.py`` reads as a table:

    bake_seconds: int = whole_number("bakeSeconds", 0, low=0, high=3_600, description="…")

Owns the wording of a settings problem. Must not: know which settings exist.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_METADATA = "setting"


class SettingsError(ValueError):
    """The stack's configuration cannot be used; ``problems`` has a line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the stack's configuration:\n{lines}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that is not allowed, with what is allowed and how to fix it."""

    key: str
    value: object
    allowed: str
    fix: str
    what: str = "bad value"

    def __str__(self) -> str:
        """Return the line that a user reads."""
        shown = self.what if self.value == "" else f"{self.what} {self.value!r}"
        return f"{self.key}: {shown}; allowed: {self.allowed}; fix: {self.fix}"


# A string in, the value and what is wrong with it out. A wrong string gives a usable value, too, so
# that one pass over all settings finds every problem.
Parse = Callable[[str], tuple[Any, list[Problem]]]


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    Attributes:
        key: its name in the stack's file.
        type: its type in ``Pulumi.yaml``: string, integer or boolean.
        default: as ``Pulumi.yaml`` has it; None if a stack's file must have the key.
        description: one sentence or two, for ``Pulumi.yaml``.
        allowed: the allowed values in words.
        example: a value that is allowed.
        parse: turns a non-empty string into the value.
    """

    key: str
    type: str
    default: str | int | bool | None
    description: str
    allowed: str
    example: str
    parse: Parse

    @property
    def default_string(self) -> str:
        """The default as a string that ``parse`` takes; empty if there is none."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def missing(self) -> Problem:
        """Return the problem of a required key that the stack's file lacks."""
        fix = f"pulumi config set {self.key} {self.example}"
        return Problem(self.key, "", self.allowed, fix, what="missing value")


def setting_of(metadata: Any) -> Setting | None:
    """Return the declaration in a dataclass field's metadata, or None."""
    return metadata.get(_METADATA)  # type: ignore[no-any-return]


def _declare(setting: Setting, default: Any) -> Any:
    metadata = {_METADATA: setting}
    if setting.default is None:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def string(
    key: str,
    default: str | None,
    *,
    pattern: str,
    allowed: str,
    example: str,
    description: str,
) -> Any:
    """Declare a string that matches a pattern as a whole.

    An empty default becomes None: the setting is optional.
    """
    expression = re.compile(pattern)

    def parse(raw: str) -> tuple[Any, list[Problem]]:
        if expression.fullmatch(raw):
            return raw, []
        usable = raw if default is None else default or None
        return usable, [Problem(key, raw, allowed, f"use for example {example}")]

    setting = Setting(key, "string", default, description, allowed, example, parse)
    return _declare(setting, default or None)


def choice(
    key: str, default: StrEnum | None, choices: type[StrEnum], *, example: str, description: str
) -> Any:
    """Declare a member of an enumeration."""
    allowed = ", ".join(choices)

    def parse(raw: str) -> tuple[Any, list[Problem]]:
        if raw in list(choices):
            return choices(raw), []
        near = difflib.get_close_matches(raw.casefold(), [c.casefold() for c in choices], n=1)
        fix = f"use {next((c.value for c in choices if [c.casefold()] == near), example)}"
        return default or next(iter(choices)), [Problem(key, raw, allowed, fix)]

    shown = None if default is None else default.value
    return _declare(Setting(key, "string", shown, description, allowed, example, parse), default)


def flag(key: str, default: bool, *, description: str) -> Any:
    """Declare true or false."""
    shown = str(default).lower()

    def parse(raw: str) -> tuple[bool, list[Problem]]:
        if raw in ("true", "false"):
            return raw == "true", []
        return default, [Problem(key, raw, "true, false", f"use {shown}")]

    setting = Setting(key, "boolean", default, description, "true, false", shown, parse)
    return _declare(setting, default)


def switch(key: str, *, description: str) -> Any:
    """Declare a flag that turns on the settings inside the field; off by default.

    The field holds a settings dataclass if the flag is on, and None if it is off.
    """
    declaration = setting_of(flag(key, False, description=description).metadata)
    return field(default=None, metadata={_METADATA: declaration})


def whole_number(key: str, default: int, *, low: int, high: int, description: str) -> Any:
    """Declare a whole number from ``low`` to ``high``, both included."""
    allowed = f"a whole number from {low} to {high}"

    def parse(raw: str) -> tuple[int, list[Problem]]:
        # At most ten digits: int() refuses enormous strings with an error of its own.
        if re.fullmatch(r"-?[0-9]{1,10}", raw) and low <= int(raw) <= high:
            return int(raw), []
        return default, [Problem(key, raw, allowed, f"use {default}")]

    setting = Setting(key, "integer", default, description, allowed, str(default), parse)
    return _declare(setting, default)


def listed_number(
    key: str, default: int, *, numbers: Sequence[int], example: int, description: str
) -> Any:
    """Declare a whole number out of a list."""
    allowed = ", ".join(map(str, numbers))

    def parse(raw: str) -> tuple[int, list[Problem]]:
        if raw in allowed.split(", "):
            return int(raw), []
        return default, [Problem(key, raw, allowed, f"use {example}")]

    setting = Setting(key, "integer", default, description, allowed, str(example), parse)
    return _declare(setting, default)


def number(key: str, default: float, *, low: float, high: float, description: str) -> Any:
    """Declare a number from ``low`` to ``high``, both included.

    ``Pulumi.yaml`` has no type for fractions, so the file holds it as a string.
    """
    allowed = f"a number from {low:g} to {high:g}"

    def parse(raw: str) -> tuple[float, list[Problem]]:
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value, []
        return default, [Problem(key, raw, allowed, f"use {default:g}")]

    shown = f"{default:g}"
    return _declare(Setting(key, "string", shown, description, allowed, shown, parse), default)


def document(
    key: str, default: str, *, parse: Parse, allowed: str, example: str, description: str
) -> Any:
    """Declare a value that is JSON in a string; ``parse`` reads and checks it.

    Each instance gets its own copy of the parsed default.
    """
    setting = Setting(key, "string", default, description, allowed, example, parse)
    return field(default_factory=lambda: parse(default)[0], metadata={_METADATA: setting})
