"""What the command lines that a build runs have in common: how they refuse, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Refused(Exception):
    """What is asked for cannot be done here; the message says what."""


def command_line(
    name: str, run: Callable[[], str], errors: tuple[type[Exception], ...] = ()
) -> int:
    """Run a command and print what it says; return its exit status.

    Args:
        name: of the command, before an error.
        run: returns what is printed.
        errors: what it may raise beside Refused.
    """
    refusals: tuple[type[Exception], ...] = (Refused, *errors)
    try:
        said = run()
    except refusals as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - a command line's own
        return 1
    if said:
        print(said)  # noqa: T201 - a command line's own
    return 0
