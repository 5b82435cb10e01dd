"""Output for a person: colour in a terminal, plain lines when piped; one line for an error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from localcloud.aws.routing import DEFAULT_REGION, account_of_access_key
from localcloud.project.files import missing

# The exit status of a command that found changes, or what should not be. 1 is an error, and 2 a
# command line that cannot be read.
EXIT_FOUND = 3

# In a terminal a line breaks between words; what is to be copied is printed with `soft_wrap=True`,
# which leaves it to the terminal.
out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

STATUS_STYLE = {
    "Succeeded": "green",
    "InService": "green",
    "Completed": "green",
    "created": "green",
    "OK": "green",
    "updated": "yellow",
    "replaced": "yellow",
    "InProgress": "cyan",
    "Creating": "cyan",
    "Updating": "cyan",
    "Failed": "red",
    "deleted": "red",
    "retained": "yellow",
    "Stopped": "yellow",
    "Superseded": "yellow",
}


class CommandError(Exception):
    """A command cannot go on; the text says what was wrong and how to fix it."""


def styled(status: str) -> str:
    """Return a status in its colour."""
    style = STATUS_STYLE.get(status, "dim")
    return f"[{style}]{status}[/{style}]"


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn what a command raises into one line on standard error and exit status 1."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(130) from None
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        fail(message)


def message_of(error: Exception) -> str | None:
    """Return the message of an expected error, or None if the error is a bug.

    The modules are imported here, because a command that succeeds should not load botocore for it.
    """
    from localcloud.core.internal_client import RequestFailed
    from localcloud.core.state_directory import StateDirectoryError
    from localcloud.deploy.errors import DeployError
    from localcloud.edge.init_scripts import InitError

    expected = (CommandError, DeployError, InitError, RequestFailed, StateDirectoryError)
    if isinstance(error, expected):
        return str(error)
    if "botocore" in sys.modules:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            detail = error.response.get("Error", {})
            return f"{detail.get('Code', 'Error')}: {detail.get('Message', error)}"
        if isinstance(error, BotoCoreError):
            return f"{error}. Is the local cloud running? Start it with: localcloud start"
    return None


def fail(message: str) -> None:
    """Print an error and end with status 1."""
    err.print(f"[red]error:[/red] {_escape(message)}")
    raise typer.Exit(1)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


def print_document(document: Any) -> None:
    """Print a document as JSON; a time becomes a string of ISO 8601."""
    out.print_json(json.dumps(document, default=_plain))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a value of JSON")


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table in a terminal, and separated by tabs without a header otherwise.

    The last column of a table is wrapped between words; the others keep their whole text.
    """
    if not out.is_terminal:
        for row in rows:
            # Not by rich, which would turn the tabs into blanks.
            out.file.write("\t".join(" ".join(cell.split()) for cell in row).rstrip() + "\n")
        return
    grid = Table(box=None, pad_edge=False)
    for number, name in enumerate(columns, 1):
        grid.add_column(name, overflow="fold", no_wrap=number < len(columns))
    for row in rows:
        grid.add_row(*(styled(cell) if cell in STATUS_STYLE else escape(cell) for cell in row))
    out.print(grid)


def endpoint_url(given: str | None) -> str:
    """Return the endpoint: the given one, that of the environment, or the default port.

    Without a scheme it is `http://`, as LOCALSTACK_HOST has it.

    Raises:
        CommandError: it is no URL of a host.
    """
    names = {"--endpoint-url": given, "AWS_ENDPOINT_URL": os.environ.get("AWS_ENDPOINT_URL")}
    for name, url in names.items():
        if url:
            return _checked(name, url)
    host = os.environ.get("LOCALSTACK_HOST")
    if host:
        return _checked("LOCALSTACK_HOST", host if ":" in host else f"{host}:4566")
    return "http://127.0.0.1:4566"


def _checked(name: str, given: str) -> str:
    """Return a URL with its scheme and without the last slash."""
    url = (given if "://" in given else f"http://{given}").rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0 and not any(c.isspace() for c in url)
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(
            f"{name} is '{given}'; it must be the local cloud's address, such as "
            "http://127.0.0.1:4566"
        )
    return url


def own_account() -> str:
    """Return the account that the environment selects by a key of 12 digits, as in LocalStack.

    Source: https://docs.localstack.cloud/aws/capabilities/config/multi-account-setups/
    """
    return account_of_access_key(os.environ.get("AWS_ACCESS_KEY_ID", ""))


def client(service: str, url: str, account: str = "", region: str = "") -> Any:
    """Return a boto3 client of the endpoint for an account and a region.

    Both are the environment's by default.
    """
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region or os.environ.get("AWS_DEFAULT_REGION", DEFAULT_REGION),
        aws_access_key_id=account or own_account(),
        aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
        config=Config(
            s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=3
        ),
    )


def require_project(directory: Path) -> None:
    """Refuse a directory that holds no project.

    Raises:
        CommandError: names what is missing, and how a project is made.
    """
    problem = missing(directory)
    if problem:
        raise CommandError(problem)


def print_detail(line: str) -> None:
    """Print a line of what a step does, such as of a build's log."""
    out.print(f"  {line}", style="dim", markup=False, highlight=False)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print labels and values: a table in a terminal, where a long value takes several lines.

    When piped, each is one line, and nothing is cut.
    """
    if not out.is_terminal:
        for label, value in facts:
            out.print(f"{label}: {value}", markup=False, highlight=False, soft_wrap=True)
        return
    grid = Table(box=None, show_header=False, pad_edge=True)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in facts:
        grid.add_row(label, escape(value))
    out.print(grid)
