"""The options that several commands have, and how a duration is written."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from localcloud.cli.console import CommandError

Url = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        help="The local cloud's address. Default: AWS_ENDPOINT_URL, LOCALSTACK_HOST or port 4566.",
        show_default=False,
    ),
]
Config = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "-c",
        help="KEY=VALUE to override a setting for this run only; may be repeated.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Timeout = Annotated[
    str,
    typer.Option(help="Stop waiting after this long, in wall-clock time: 90s, 15m, 2h."),
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as `90s`, `15m`, `2h` or `1h30m`.

    Raises:
        CommandError: the string is not a duration.
    """
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise CommandError(f"'{duration}' is not a duration; write it as 90s, 15m, 2h, 7d or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
