"""`localcloud connection authorize`: authorises a connection, as a person does in AWS's console."""

from __future__ import annotations

from typing import Annotated

import typer

from localcloud.cli.console import CommandError, endpoint_url, errors_in_one_line, out
from localcloud.cli.options import Url
from localcloud.codeconnections.api import CONNECTIONS_PREFIX, REPOSITORY
from localcloud.core.internal_client import post

connection_app = typer.Typer(
    help="Connections to GitHub and its like (CodeConnections).", no_args_is_help=True
)


@connection_app.callback()
def _group() -> None:
    """Keep `authorize` a command of its own, which typer would merge into the group."""


@connection_app.command()
def authorize(
    arn: Annotated[str, typer.Argument(help="ARN of the connection.")],
    repository: Annotated[
        str, typer.Option(help="Repository whose Git URL is printed, as ORG/REPO.")
    ] = "ORG/REPO",
    url: Url = None,
) -> None:
    """Make a pending connection AVAILABLE, as a person does in AWS's console."""
    with errors_in_one_line():
        if ":connection/" not in arn:
            raise CommandError(
                f"'{arn}' is not the ARN of a connection; `aws codeconnections list-connections` "
                "shows them"
            )
        if not REPOSITORY.fullmatch(repository):
            raise CommandError(f"'{repository}' is not a repository; it must be ORG/REPO")
        base = f"{endpoint_url(url)}{CONNECTIONS_PREFIX}{arn.rpartition('/')[2]}"
        post(base, b"")
        out.print(f"{arn} is AVAILABLE.")
        out.print(f"Its repositories are at {base}/{repository}")
