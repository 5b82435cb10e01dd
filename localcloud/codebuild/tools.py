"""The common part of the command lines of a build: refusals and exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Refused(Exception):
    """The command line does not support a request; the message names it."""


def say(line: str) -> None:
    """Print a line at once, for a command that takes long."""
    print(line, flush=True)  # noqa: T201 - a command line's own


def command_line(
    name: str, run: Callable[[], str], errors: tuple[type[Exception], ...] = ()
) -> int:
    """Run a command and print its output; return its exit status.

    Args:
        name: the command's name, for error messages.
        run: returns the output.
        errors: exceptions, besides Refused, that become error messages.
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
