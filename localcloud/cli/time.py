"""`localcloud clock`: the time in the local cloud, and putting it on."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer

from localcloud.cli.console import CommandError, endpoint_url, errors_in_one_line, out
from localcloud.cli.stacks import Url
from localcloud.core.internal_client import get, post

clock_app = typer.Typer(help="The time in the local cloud.", invoke_without_command=True)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as `90s`, `15m`, `2h` or `1h30m`.

    Raises:
        CommandError: it is none.
    """
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise CommandError(f"'{duration}' is no duration; write it as 90s, 15m, 2h, 7d or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@clock_app.callback()
def show(context: typer.Context, url: Url = None) -> None:
    """Show the time and how fast it passes."""
    if context.invoked_subcommand is None:
        with errors_in_one_line():
            _print(get(f"{endpoint_url(url)}/_localcloud/clock"))


@clock_app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="How far: 90s, 15m, 2h, 7d, 1h30m.")],
    url: Url = None,
) -> None:
    """Put the clock on: what waits for AWS's time (cooldowns, alarms, approvals) sees it pass."""
    with errors_in_one_line():
        query = urlencode({"advance_seconds": seconds_of(duration)})
        _print(post(f"{endpoint_url(url)}/_localcloud/clock?{query}", b"", timeout_seconds=600))


def _print(answer: bytes) -> None:
    clock = json.loads(answer)
    now = datetime.fromtimestamp(clock["now"], UTC)
    out.print(f"{now:%Y-%m-%d %H:%M:%S} UTC, {clock['speed']:g} AWS seconds a wall second")
