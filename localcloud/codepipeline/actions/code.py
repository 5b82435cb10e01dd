"""The CodeCommit source action and the CodeBuild build action.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeCommit.html
Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
Differs: a build has one input artifact and at most one output artifact; batch builds are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from localcloud.aws.errors import AwsError
from localcloud.codebuild.model import BuildStatus
from localcloud.codecommit.git import Commit, GitError, GitRepository
from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, ActionOutcome
from localcloud.iam.permission import Permission

# The operations that CodePipeline calls for these actions.
_FETCH = ("GetBranch", "GetCommit", "UploadArchive", "GetUploadArchiveStatus")
_BUILD = ("StartBuild", "BatchGetBuilds")

# Returns the output variables of a source action for a commit.
Variables = Callable[[Commit], dict[str, str]]


async def fetch_branch(context: ActionContext) -> ActionOutcome:
    """Copy the newest commit of a branch into the artifact store.

    Raises:
        ActionFailed: the repository or the branch does not exist.
    """
    repository, branch = context.require("RepositoryName"), context.require("BranchName")
    repositories = context.repositories
    try:
        await _authorise(context, "codecommit", repository, _FETCH)
        commit_id = (await repositories.branches(context.scope, repository)).get(branch)
    except AwsError as error:
        raise ActionFailed("ConfigurationError", error.message) from None
    commit_id = asked_revision(context) or commit_id
    if commit_id is None:
        raise ActionFailed(
            "ConfigurationError",
            f"The action failed because no branch named {branch} was found in the selected AWS "
            f"CodeCommit repository {repository}. Make sure you are using the correct branch name, "
            "and then try again.",
        )
    git = repositories.repository(context.scope, repository)
    return await deliver_commit(context, git, repository, commit_id, _variables(repository, branch))


def _variables(repository: str, branch: str) -> Variables:
    def of(commit: Commit) -> dict[str, str]:
        return {
            "AuthorDate": commit.author.date,
            "BranchName": branch,
            "CommitId": commit.id,
            "CommitMessage": commit.message,
            "CommitterDate": commit.committer.date,
            "RepositoryName": repository,
        }

    return of


def asked_revision(context: ActionContext) -> str | None:
    """Return the commit that the execution was started for, if it names one for this action."""
    revisions = context.execution.source_revisions
    asked = [r["revisionValue"] for r in revisions if r.get("actionName") == context.run.name]
    return asked[-1] if asked else None


async def deliver_commit(
    context: ActionContext,
    git: GitRepository,
    repository: str,
    commit_id: str,
    variables: Variables,
) -> ActionOutcome:
    """Copy the files of a commit into the artifact store, as a zip archive.

    Args:
        context: the source action.
        git: the repository.
        repository: its name, for errors.
        commit_id: the commit.
        variables: returns the action's output variables.

    Raises:
        ActionFailed: there is no such commit.
    """
    try:
        commit = await git.commit(commit_id)
        content = await git.archive(commit.id)
    except GitError as error:
        raise ActionFailed("ConfigurationError", f"{repository}: {error}") from None
    outcome = ActionOutcome(summary=commit.message[:512], variables=variables(commit))
    for output in context.declaration.get("outputArtifacts", []):
        location = context.output_location(output["name"])
        location.revision, location.revision_summary = commit.id, outcome.summary
        await context.api(
            "s3",
            "put_object",
            Bucket=location.bucket,
            Key=location.key,
            Body=content,
            ContentType="application/zip",
        )
        outcome.artifacts[output["name"]] = location
    return outcome


async def run_build(context: ActionContext) -> ActionOutcome:
    """Build the input artifact with a project, and wait for the build.

    Raises:
        ActionFailed: the project does not exist, or the build failed.
    """
    name = context.require("ProjectName")
    project = await context.builds.project(context.scope, name)
    if project is None:
        raise ActionFailed("ConfigurationError", f"Project cannot be found: {name}")
    inputs = [entry["name"] for entry in context.declaration.get("inputArtifacts", [])]
    outputs = [entry["name"] for entry in context.declaration.get("outputArtifacts", [])]
    if len(inputs) != 1 or len(outputs) > 1 or context.configuration.get("BatchEnabled") == "true":
        raise ActionFailed(
            "ConfigurationError",
            "the local cloud supports one input artifact, at most one output artifact and no batch",
        )
    source = context.execution.artifacts[inputs[0]]
    location = context.output_location(outputs[0]) if outputs else None
    try:
        await _authorise(context, "codebuild", f"project/{name}", _BUILD)
        build = await context.builds.begin(
            context.scope,
            project,
            initiator=f"codepipeline/{context.pipeline.name}",
            source=(source.bucket, source.key),
            output=(location.bucket, location.key) if location else None,
            source_version=source.revision or "",
            overrides=_overrides(context.configuration.get("EnvironmentVariables", "")),
        )
    except AwsError as error:
        raise ActionFailed("ConfigurationError", error.message) from None
    context.run.external_id = build.id
    context.save()
    await context.builds.engine.wait(build)
    if build.status is not BuildStatus.SUCCEEDED:
        raise ActionFailed(
            "JobFailed",
            f"Build terminated with state: {build.status}. {build.reason}".strip(),
        )
    return ActionOutcome(
        summary=f"build {build.number} of {name}",
        variables=build.exported,
        artifacts={outputs[0]: location} if location else {},
    )


async def _authorise(
    context: ActionContext, service: str, resource: str, names: tuple[str, ...]
) -> None:
    arn = context.scope.arn(service, resource)
    wanted = [Permission(f"{service}:{name}", arn) for name in names]
    await context.services.iam.authorise(context.role_arn, wanted)


def _overrides(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return {item["name"]: item["value"] for item in json.loads(text)}
    except (ValueError, KeyError, TypeError):
        raise ActionFailed(
            "ConfigurationError", "EnvironmentVariables must be a JSON list of name and value"
        ) from None
