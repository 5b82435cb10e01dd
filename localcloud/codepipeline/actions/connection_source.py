"""The CodeStarSourceConnection source action: a repository of GitHub or its like, by a connection.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
Differs: OutputArtifactFormat is CODE_ZIP; a full clone is refused.
Inferred: the trigger WebhookV2, and the error of a connection that is not available.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import AccessDenied
from localcloud.codecommit.git import Commit, GitRepository
from localcloud.codeconnections.model import ConnectionStatus
from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, ActionOutcome
from localcloud.codepipeline.actions.code import asked_revision, deliver_commit
from localcloud.iam.actions import use_of_connection

PROVIDER = "CodeStarSourceConnection"
_HEADS = "refs/heads/"


async def fetch_connected_branch(context: ActionContext) -> ActionOutcome:
    """Copy the newest commit of a branch behind a connection into the artifact store.

    Raises:
        ActionFailed: the role may not use the connection, a person has yet to authorise it, or
            the branch does not exist.
    """
    arn, name = context.require("ConnectionArn"), context.require("FullRepositoryId")
    branch = context.require("BranchName")
    try:
        wanted = use_of_connection(arn, name, branch)
        await context.services.iam.authorise(context.role_arn, [wanted])
    except AccessDenied:
        raise ActionFailed(
            "PermissionError",
            f"Unable to use Connection: {arn}. The provided role does not have sufficient "
            "permissions.",
        ) from None
    connection = context.connections.get(arn)
    if connection is None:
        raise ActionFailed("ConfigurationError", f"Connection {arn} not found")
    if connection.status is not ConnectionStatus.AVAILABLE:
        raise ActionFailed(
            "ConfigurationError",
            f"Connection {arn} is {connection.status}, not AVAILABLE: a person has to authorise "
            "it (here: localcloud connection authorize)",
        )
    git = context.connections.repository(connection, name)
    commit_id = asked_revision(context) or await _newest(git, branch)
    if commit_id is None:
        raise ActionFailed(
            "ConfigurationError",
            f"[{connection.provider}] No Branch [{branch}] found for FullRepositoryName [{name}]",
        )

    def variables(commit: Commit) -> dict[str, str]:
        return {
            "AuthorDate": commit.author.date,
            "BranchName": branch,
            "CommitId": commit.id,
            "CommitMessage": commit.message,
            "ConnectionArn": arn,
            "FullRepositoryName": name,
        }

    return await deliver_commit(context, git, name, commit_id, variables)


def followers(
    declaration: dict[str, Any], connection: str, repository: str, branch: str
) -> list[str]:
    """Return the source actions of a declaration that a push to a branch starts. Pure.

    Args:
        declaration: the pipeline's declaration.
        connection: ARN of the connection.
        repository: full name of the repository, such as `org/repo`.
        branch: the branch that was pushed.
    """
    followed = {
        "ConnectionArn": connection,
        "FullRepositoryId": repository,
        "BranchName": branch,
    }
    return [
        action["name"]
        for action in declaration["stages"][0]["actions"]
        if action["actionTypeId"]["provider"] == PROVIDER
        and followed.items() <= (settings := action.get("configuration", {})).items()
        and settings.get("DetectChanges", "true").lower() != "false"
    ]


async def _newest(git: GitRepository, branch: str) -> str | None:
    return (await git.references()).get(_HEADS + branch)
