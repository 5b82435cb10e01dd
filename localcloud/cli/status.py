"""`localcloud status`: the overview in lines, complete and with tabs when it is piped.

The overview is the document that the page shows, too (`/_localcloud/overview`). This module only
prints it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from localcloud.aws.routing import DEFAULT_REGION
from localcloud.cli.console import CommandError, out, own_account, styled
from localcloud.core.internal_client import RequestFailed, get

_JOBS = 5
_WAITS = "waiting for you"
# What one line shows: the kind, where, the status, and a text.
_Line = tuple[str, str, str, str]


def overview_of(url: str) -> dict[str, Any]:
    """Return the overview of the environment's account and region.

    Raises:
        RequestFailed: no local cloud answers at the address.
        CommandError: the answer is no overview.
    """
    region = os.environ.get("AWS_DEFAULT_REGION", DEFAULT_REGION)
    query = urlencode({"account": own_account(), "region": region})
    try:
        found = json.loads(get(f"{url}/_localcloud/overview?{query}"))
    except ValueError:
        found = None
    except RequestFailed as error:
        if "HTTP Error" not in str(error):
            raise
        found = None  # another cloud, which takes the path for a bucket
    if not isinstance(found, dict) or "pipelines" not in found:
        raise CommandError(f"{url} is no local cloud of this version: it has no overview")
    return found


def show_status(url: str, *, as_json: bool) -> None:
    """Print the overview.

    Args:
        url: the endpoint.
        as_json: print the whole document as JSON.

    Raises:
        RequestFailed: no local cloud answers at the address.
        CommandError: the answer is no overview.
    """
    found = overview_of(url)
    if as_json:
        out.file.write(json.dumps(found, indent=2) + "\n")
        return
    lines = list(_lines(found))
    if not out.is_terminal:
        # Not by rich, which would turn the tabs into blanks.
        for line in lines:
            out.file.write("\t".join(" ".join(part.split()) for part in line) + "\n")
        out.file.write(f"page\t{url}/_localcloud/\t\t\n")
        return
    _print(lines)
    if not lines:
        out.print("Nothing is deployed yet. Deploy the lab with: make up, or localcloud up")
    out.print(f"[dim]The page:[/dim] {url}/_localcloud/")


def _print(lines: list[_Line]) -> None:
    """Print lines in groups by their kind and their first name, each text on a line of its own."""
    group = ""
    for kind, where, status, text in lines:
        name, _, rest = where.partition(" ")
        if f"{kind} {name}" != group:
            group = f"{kind} {name}"
            out.print(f"[bold]{escape(name)}[/bold] [dim]{kind}[/dim]")
        shown = f"[bold yellow]{_WAITS}[/bold yellow]" if status == _WAITS else styled(status)
        out.print(f"  {shown} {escape(rest)}".rstrip())
        if text:
            # Wrapped between words, which the terminal would not do.
            below = Padding(Text(text, style="dim", overflow="fold"), (0, 0, 0, 4))
            out.print(below, soft_wrap=False)


def _lines(found: dict[str, Any]) -> Iterator[_Line]:
    now = datetime.fromisoformat(found["cloud"]["now"])
    for problem in found["cloud"]["unhealthy"]["items"]:
        yield "unhealthy", "cloud", "unhealthy", problem
    for waiting in found["approvals"]:
        yield _approval(waiting, now)
    for pipeline in found["pipelines"]["items"]:
        for stage in pipeline["stages"]:
            for action in stage["actions"]:
                where = f"{pipeline['name']} {stage['name']}/{action['name']}"
                yield "pipeline", where, *_action(action)
    yield from _hosting(found["endpoints"])
    for job in found["jobs"]["training"]["items"][:_JOBS]:
        metrics = ", ".join(f"{name}={value:.4g}" for name, value in job["metrics"].items())
        yield "training-job", job["name"], job["status"], job["failure"] or metrics


def _approval(waiting: dict[str, Any], now: datetime) -> _Line:
    evidence = waiting["evidence"] or {}
    training = evidence.get("training") or {}
    score = f"{training['metric']} {training['score']}, " if training.get("score") else ""
    age = _duration((now - datetime.fromisoformat(waiting["started"])).total_seconds())
    left = _duration((datetime.fromisoformat(waiting["expires"]) - now).total_seconds())
    return (
        "approval",
        f"{waiting['pipeline']} {waiting['stage']}/{waiting['action']}",
        _WAITS,
        f"{score}execution {waiting['execution']}, for {age} of AWS time, {left} left; "
        "localcloud approve | reject",
    )


def _action(action: dict[str, Any]) -> tuple[str, str]:
    if action["status"] is None:
        return "not run", ""
    if action["waits"]:
        return "InProgress", "pending: localcloud approve | reject"
    error = action["error"]
    return action["status"], error["message"] if error else action["summary"] or ""


def _hosting(endpoints: dict[str, Any]) -> Iterator[_Line]:
    for endpoint in endpoints["items"]:
        for variant in endpoint["variants"]:
            scaling = variant["scaling"]
            limits = f", scales {scaling['minimum']} to {scaling['maximum']}" if scaling else ""
            yield (
                "endpoint",
                f"{endpoint['name']} {variant['name']}",
                endpoint["status"],
                endpoint["failure"]
                or f"{variant['running']} of {variant['desired']} instances{limits}, "
                f"{endpoint['config']}",
            )
    more = endpoints["count"] - len(endpoints["items"])
    if more:
        yield "endpoint", "more", "", f"{more} more endpoints"


def _duration(seconds: float) -> str:
    minutes = int(max(seconds, 0) // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
