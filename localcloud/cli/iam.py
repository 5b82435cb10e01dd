"""`localcloud iam`: missing and unused permissions of each role."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import typer

from localcloud.cli.console import (
    EXIT_FOUND,
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
)
from localcloud.cli.options import AsJson, Url
from localcloud.iam.report import RoleReport, report

iam_app = typer.Typer()


@iam_app.command()
def iam(
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Compare the calls of roles with their policies.

    Exit status: 0 if no permission is missing, 3 if one is, 1 on an error.
    """
    with errors_in_one_line():
        endpoint = endpoint_url(url)
        found = report(_calls(endpoint), dict(_policies(client("iam", endpoint))))
        if as_json:
            out.print_json(json.dumps([asdict(role) | {"acted": role.acted} for role in found]))
        else:
            _show(found)
        if any(role.missing for role in found):
            raise typer.Exit(EXIT_FOUND)


def _calls(endpoint: str) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(  # noqa: S310 - http by us
            f"{endpoint}/_localcloud/iam/calls", timeout=30
        ) as answer:
            calls: list[dict[str, Any]] = json.loads(answer.read())
            return calls
    except (OSError, ValueError) as error:
        raise CommandError(
            f"no local cloud answers at {endpoint} ({error}); start it with: localcloud start"
        ) from None


def _policies(iam: Any) -> Iterator[tuple[str, list[str | dict[str, Any]]]]:
    """Yield each role's ARN and its policy documents, inline and attached."""
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            documents: list[str | dict[str, Any]] = [
                iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
            ]
            attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            for policy in attached:
                arn = policy["PolicyArn"]
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                documents.append(
                    iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"][
                        "Document"
                    ]
                )
            yield role["Arn"], documents


def _show(found: list[RoleReport]) -> None:
    if not found:
        out.print("No role exists.")
    for role in found:
        name = role.role.rpartition(":role/")[2]
        if not role.acted:
            out.print(f"[bold]{name}[/bold] [dim]has not acted[/dim]")
            continue
        out.print(f"[bold]{name}[/bold] used {len(role.used)} of its permissions")
        for action, resource in role.missing:
            out.print(f"  [red]not granted[/red]  {action} on {resource}")
        for action in role.unused:
            out.print(f"  [yellow]not used[/yellow]     {action}")
