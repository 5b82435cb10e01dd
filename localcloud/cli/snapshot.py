"""`localcloud snapshot`: saves the whole state of the running local cloud, and loads it again."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from localcloud.cli.console import (
    endpoint_url,
    errors_in_one_line,
    out,
    print_document,
    print_rows,
)
from localcloud.cli.options import AsJson, Url
from localcloud.core.internal_client import delete, get, post

snapshot_app = typer.Typer(help="The whole state, saved and loaded again.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the snapshot.")]
_ROUTE = "/_localcloud/snapshots"
_WAIT_SECONDS = 600


@snapshot_app.command()
def save(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Save the state of this moment, while requests, jobs and pipelines go on."""
    with errors_in_one_line():
        with out.status("the state is saved …"):
            saved = _post(endpoint_url(url), "", name)
        if as_json:
            print_document(saved)
            return
        out.print(f"Saved {name}: {_size(saved)}. Load it with: localcloud snapshot load {name}")


@snapshot_app.command()
def load(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Replace the state by a snapshot; what ran when it was saved goes on as after a restart."""
    with errors_in_one_line():
        with out.status("the state is loaded …"):
            loaded = _post(endpoint_url(url), "/load", name)
        if as_json:
            print_document(loaded)
            return
        now = datetime.fromisoformat(loaded["now"])
        out.print(f"Loaded {name}: it is {now:%Y-%m-%d %H:%M:%S} UTC again.", highlight=False)


@snapshot_app.command("list")
def list_(as_json: AsJson = False, url: Url = None) -> None:
    """List the snapshots that can be loaded, the oldest first."""
    with errors_in_one_line():
        found = json.loads(get(f"{endpoint_url(url)}{_ROUTE}"))
        if as_json:
            print_document(found)
            return
        print_rows(
            ("name", "saved", "size", "version"),
            [
                (
                    entry["name"],
                    f"{datetime.fromisoformat(entry['saved']):%Y-%m-%d %H:%M:%S} UTC",
                    _size(entry),
                    entry["version"],
                )
                for entry in found
            ],
        )


@snapshot_app.command("delete")
def delete_(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Delete a snapshot."""
    with errors_in_one_line():
        answer = delete(f"{endpoint_url(url)}{_ROUTE}?{urlencode({'name': name})}")
        if as_json:
            print_document(json.loads(answer))
            return
        out.print(f"Deleted {name}.", highlight=False)


def _post(url: str, path: str, name: str) -> dict[str, Any]:
    target = f"{url}{_ROUTE}{path}?{urlencode({'name': name})}"
    answer: dict[str, Any] = json.loads(post(target, b"", timeout_seconds=_WAIT_SECONDS))
    return answer


def _size(entry: dict[str, Any]) -> str:
    return f"{entry['bytes'] / 1e6:.1f} MB"
