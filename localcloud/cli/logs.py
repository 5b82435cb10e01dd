"""`localcloud logs`: the lines of a log group, with their time and stream.

By CloudWatch Logs' own operations. Following asks for what is newer than the last line, and not for
the whole group again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from localcloud.cli.console import (
    CommandError,
    client,
    endpoint_url,
    err,
    errors_in_one_line,
    out,
    print_document,
)
from localcloud.cli.options import Url, seconds_of
from localcloud.core.internal_client import get

logs_app = typer.Typer()

_POLL_SECONDS = 0.5
# A line may be stored so long after its time: in wall-clock time, and at least by the cloud's one.
# Lines of that time are asked for again, and known by their ids.
_LATE_SECONDS, _LATE_CLOCK_SECONDS = 5.0, 60.0


@logs_app.command()
def logs(
    group: Annotated[
        str | None,
        typer.Argument(help="Log group, or a part of its name. Default: list the groups."),
    ] = None,
    tail: Annotated[
        int, typer.Option(min=0, help="Number of lines to print, counted from the end.")
    ] = 100,
    since: Annotated[
        str | None,
        typer.Option(help="Only lines of the last 90s, 10m or 2h, by the cloud's clock."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--filter", help="Only lines that match this CloudWatch Logs pattern."),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Only streams whose name begins so, such as a job's name.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each line, or the list of groups.")
    ] = False,
    url: Url = None,
) -> None:
    """Print the lines of a log group, with their time and stream; or list the groups.

    Piped, a line is its time, its stream and its message, separated by tabs.
    """
    with errors_in_one_line():
        address = endpoint_url(url)
        service = client("logs", address)
        groups = _groups(service)
        if group is None:
            _list(groups, as_json=as_json)
            return
        name = _chosen(groups, group)
        clock = json.loads(get(f"{address}/_localcloud/clock"))
        selection: dict[str, Any] = {"logGroupName": name}
        if pattern:
            selection["filterPattern"] = pattern
        if stream:
            selection["logStreamNamePrefix"] = stream
        begin = 0
        if since is not None:
            begin = int((clock["now"] - seconds_of(since)) * 1000)
        printer = _Printer(name, as_json=as_json)
        found = sorted(_events(service, selection, begin), key=_time_of)
        newest = _time_of(found[-1]) if found else begin
        seen = {event["eventId"] for event in found}
        last = found[max(0, len(found) - tail) :]
        for event in last:
            printer.print(event)
        if not last and tail and not follow:
            err.print(
                f"{escape(name)} has no such lines"
                if since or pattern or stream
                else f"{escape(name)} has no lines yet"
            )
        late = int(max(_LATE_CLOCK_SECONDS, _LATE_SECONDS * clock["speed"]) * 1000)
        while follow:
            time.sleep(_POLL_SECONDS)
            new = list(_events(service, selection, max(begin, newest - late)))
            for event in sorted(new, key=_time_of):
                if event["eventId"] not in seen:
                    printer.print(event)
                    newest = max(newest, _time_of(event))
            # Only what can come again has to be known.
            seen = {event["eventId"] for event in new}


class _Printer:
    """Prints lines: for a person, for another program, or as JSON."""

    def __init__(self, group: str, *, as_json: bool) -> None:
        self._group, self._as_json = group, as_json
        self._stream = ""

    def print(self, event: dict[str, Any]) -> None:
        """Print one line."""
        when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
        stream, message = event["logStreamName"], event["message"].rstrip()
        if self._as_json:
            line = {"time": when.isoformat(), "group": self._group, "stream": stream}
            out.file.write(json.dumps({**line, "message": message}) + "\n")
        elif not out.is_terminal:
            out.file.write(f"{when:%Y-%m-%dT%H:%M:%S}\t{stream}\t{message}\n")
        else:
            if stream != self._stream:
                out.print(f"[bold cyan]{escape(stream)}[/bold cyan]")
                self._stream = stream
            out.print(f"[dim]{when:%m-%d %H:%M:%S}[/dim]  {escape(message)}", soft_wrap=True)
        out.file.flush()


def _groups(service: Any) -> list[str]:
    pages = service.get_paginator("describe_log_groups").paginate()
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _list(groups: list[str], *, as_json: bool) -> None:
    if as_json:
        print_document(groups)
        return
    for name in groups:
        out.print(name, markup=False)
    if not groups:
        err.print("There are no log groups yet; jobs, functions and builds make them.")


def _chosen(groups: list[str], given: str) -> str:
    """Return the group of this name, or the only one whose name has it as a part.

    Raises:
        CommandError: there is none, or there are several.
    """
    if given in groups:
        return given
    found = [name for name in groups if given.lower() in name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"'{given}' is a part of several log groups: {', '.join(found)}; give more of one name"
        )
    known = f"existing groups: {', '.join(groups)}" if groups else "there are none yet"
    raise CommandError(f"there is no log group {given}; {known}")


def _events(service: Any, selection: dict[str, Any], begin: int) -> Iterator[dict[str, Any]]:
    pages = service.get_paginator("filter_log_events").paginate(**selection, startTime=begin)
    return (event for page in pages for event in page["events"])


def _time_of(event: dict[str, Any]) -> int:
    return int(event["timestamp"])
