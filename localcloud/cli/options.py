"""The options that several commands have, and how a duration is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
# The options of `model.dataset` for a CSV file.
CsvLabel = Annotated[str | None, typer.Option("--label", help="Label column of the CSV.")]
CsvCategorical = Annotated[
    str | None,
    typer.Option("--categorical", help="Columns of the CSV with categories: auto, or their names."),
]
CsvDates = Annotated[
    str | None,
    typer.Option(
        "--dates",
        help="Columns of the CSV with dates: auto, off, or their names, with :day-first or "
        ":month-first where the year comes last.",
    ),
]
CsvDelimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        help="Delimiter of the CSV: comma, semicolon, tab or bar. Default: found.",
    ),
]
CsvEncoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of the CSV. Default: UTF-8, or UTF-16 by its mark."),
]
CsvMissing = Annotated[
    str | None,
    typer.Option("--na", help="Spellings of missing cells of the CSV, such as NA,?,NULL."),
]
CsvDrop = Annotated[
    list[str] | None,
    typer.Option("--drop", help="A column of the CSV to leave out; may be repeated."),
]
CsvRegression = Annotated[
    bool,
    typer.Option("--regression", help="Treat the label of the CSV as a number to predict."),
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def csv_arguments(
    given: Mapping[str, str | None], drop: Iterable[str] | None, *, regression: bool
) -> list[str]:
    """Return the arguments of `model.dataset` for options of a CSV file.

    Args:
        given: options with one value, by name; those without one are left out.
        drop: columns to leave out.
        regression: the label is a number to predict.
    """
    words = [word for name, value in given.items() if value for word in (name, value)]
    words += [word for column in drop or () for word in ("--drop", column)]
    return [*words, *(["--regression"] if regression else [])]


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as `90s`, `15m`, `2h` or `1h30m`.

    Raises:
        CommandError: the string is not a duration.
    """
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise CommandError(f"'{duration}' is not a duration; write it as 90s, 15m, 2h, 7d or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
