"""`localcloud clock`: shows and advances the local cloud's time, and changes its speed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer

from localcloud.cli.console import endpoint_url, errors_in_one_line, out, print_document
from localcloud.cli.options import AsJson, Url, seconds_of
from localcloud.core.internal_client import get, post

clock_app = typer.Typer(help="Show or advance the local cloud's time.", invoke_without_command=True)


@clock_app.callback()
def show(context: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Show the time and the speed of the clock."""
    if context.invoked_subcommand is None:
        with errors_in_one_line():
            _print(get(f"{endpoint_url(url)}/_localcloud/clock"), as_json=as_json)


@clock_app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="Duration: 90s, 15m, 2h, 7d, 1h30m.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Advance the clock; cooldowns, alarms and approval timeouts see the time pass."""
    with errors_in_one_line():
        query = urlencode({"advance_seconds": seconds_of(duration)})
        target = f"{endpoint_url(url)}/_localcloud/clock?{query}"
        with out.status("the clock is advanced …"):
            answer = post(target, b"", timeout_seconds=600)
        _print(answer, as_json=as_json)


@clock_app.command()
def speed(
    factor: Annotated[
        float, typer.Argument(help="AWS seconds per wall-clock second, 0.001 to 3600.")
    ],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Run the clock at another speed from now on."""
    with errors_in_one_line():
        _print(set_speed(endpoint_url(url), factor), as_json=as_json)


def set_speed(url: str, factor: float) -> bytes:
    """Change the speed of a local cloud's clock; return the route's answer.

    Raises:
        RequestFailed: the factor is out of range, or no local cloud answers.
    """
    return post(f"{url}/_localcloud/clock?{urlencode({'speed': factor})}", b"")


def _print(answer: bytes, *, as_json: bool) -> None:
    clock = json.loads(answer)
    now = datetime.fromtimestamp(clock["now"], UTC)
    if as_json:
        print_document({"now": now, "speed": clock["speed"]})
        return
    out.print(f"{now:%Y-%m-%d %H:%M:%S} UTC, {clock['speed']:g} AWS seconds per wall-clock second")
