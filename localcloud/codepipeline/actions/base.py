"""The contract of an action: its context, its outcome and its errors."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.aws.errors import AccessDenied
from localcloud.aws.routing import Scope
from localcloud.codepipeline.model import ActionRun, Artifact, Execution, Pipeline
from localcloud.codepipeline.variables import VariableError
from localcloud.core import archives
from localcloud.iam.actions import permissions
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.codeconnections.api import ConnectionsApi
    from localcloud.lambda_.service import LambdaService


class ActionFailed(Exception):
    """The action failed, with AWS's error code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# Of a template, its configuration or a file of variables.
_FILE_BOUNDS = archives.Bounds(most_bytes=64 * 1024**2, most_entries=200_000)


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job, given by its function."""

    succeeded: bool
    continuation: str | None = None
    summary: str | None = None
    external_id: str | None = None
    percent_complete: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    failure_code: str = "JobFailed"
    failure_message: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The result of an approval, given by a person."""

    approved: bool
    summary: str
    by: str


@dataclass(slots=True)
class PendingResults:
    """The results that actions wait for: of approvals by token, of jobs by id."""

    approvals: dict[str, asyncio.Future[ApprovalResult]] = field(default_factory=dict)
    jobs: dict[str, asyncio.Future[JobResult]] = field(default_factory=dict)
    job_details: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class ActionContext:
    """The context of one running action.

    Attributes:
        configuration: the action's configuration, with its variables resolved.
        save: stores the records; call it after a change of `run`.
    """

    services: ServiceContext
    functions: LambdaService
    repositories: CodeCommitApi
    connections: ConnectionsApi
    builds: CodeBuildApi
    pending_results: PendingResults
    scope: Scope
    pipeline: Pipeline
    execution: Execution
    declaration: dict[str, Any]
    run: ActionRun
    configuration: dict[str, str]
    save: Callable[[], None]

    @property
    def role_arn(self) -> str:
        """Return the role of this action: its own, or that of the pipeline."""
        return str(self.declaration.get("roleArn") or self.execution.declaration["roleArn"])

    async def api(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an AWS API as the action's role."""
        return await self.services.api(
            self.scope, service, operation, principal=self.role_arn, **parameters
        )

    async def assume_role(self) -> None:
        """Check that the pipeline's role may assume the action's own role, if it has one.

        Raises:
            ActionFailed: the pipeline's role may not assume it.
        """
        if "roleArn" not in self.declaration:
            return
        wanted = permissions("sts", "AssumeRole", {"RoleArn": self.role_arn}, self.scope)
        try:
            await self.services.iam.authorise(self.execution.declaration["roleArn"], wanted)
        except AccessDenied as error:
            raise ActionFailed("PermissionError", error.message) from None

    @property
    def artifact_store(self) -> dict[str, Any]:
        """Return the declaration of the artifact store."""
        store: dict[str, Any] | None = self.execution.declaration.get("artifactStore")
        if store is None:
            store = dict(self.execution.declaration["artifactStores"][self.scope.region])
        return store

    @property
    def artifact_bucket(self) -> str:
        """Return the artifact store's bucket."""
        return str(self.artifact_store["location"])

    def require(self, key: str) -> str:
        """Return a required configuration value.

        Raises:
            ActionFailed: it is missing.
        """
        if not self.configuration.get(key):
            raise ActionFailed("ConfigurationError", f"the action's configuration lacks {key}")
        return self.configuration[key]

    def output_location(self, name: str) -> Artifact:
        """Return the location of an output artifact of this run, in AWS's form."""
        prefix = f"{self.pipeline.name[:20]}/{name[:10]}"
        return Artifact(self.artifact_bucket, f"{prefix}/{self.run.id.replace('-', '')[:7]}")

    async def read_artifact(self, name: str) -> bytes:
        """Return an artifact's bytes.

        Raises:
            ActionFailed: the artifact does not exist or cannot be read.
        """
        artifact = self.execution.artifacts.get(name)
        if artifact is None:
            known = ", ".join(self.execution.artifacts) or "none"
            raise ActionFailed(
                "ConfigurationError",
                f"the artifact {name} does not exist; existing artifacts: {known}",
            )
        try:
            answer = await self.api("s3", "get_object", Bucket=artifact.bucket, Key=artifact.key)
            return await asyncio.to_thread(answer["Body"].read)
        except Exception as error:
            raise ActionFailed(
                "PermissionError", f"could not read s3://{artifact.bucket}/{artifact.key}: {error}"
            ) from error

    async def read_file(self, artifact: str, file_name: str) -> bytes:
        """Return one file of an artifact's zip.

        Raises:
            ActionFailed: the artifact is not a zip archive or has no such file.
        """
        content = await self.read_artifact(artifact)
        try:
            return await asyncio.to_thread(file_in_zip, content, artifact, file_name)
        except VariableError as error:
            raise ActionFailed("ConfigurationError", str(error)) from None


def file_in_zip(content: bytes, artifact: str, file_name: str) -> bytes:
    """Return a file of a zip archive.

    Raises:
        VariableError: it is not a zip archive, or has no such file.
    """
    try:
        return archives.file_in_zip(content, file_name, _FILE_BOUNDS)
    except archives.ArchiveError as error:
        problem = str(error).removeprefix("it ").partition(":")[0]
        raise VariableError(f"the artifact {artifact} {problem}") from None
    except KeyError:
        raise VariableError(f"the artifact {artifact} has no file {file_name}") from None


def zipped(file_name: str, content: bytes) -> bytes:
    """Return a zip archive of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(file_name, content)
    return buffer.getvalue()


@dataclass(slots=True)
class ActionOutcome:
    """The outcome of a successful action."""

    summary: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)


RunAction = Callable[[ActionContext], Awaitable[ActionOutcome]]


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    """A key of an action's or a rule's configuration.

    Attributes:
        required: the configuration must have it.
        identifies: its value distinguishes the actions of a pipeline (AWS: `key`).
    """

    name: str
    required: bool = False
    identifies: bool = False


@dataclass(frozen=True, slots=True)
class ActionProvider:
    """An action type: the function that runs it, and its entry in ListActionTypes.

    Attributes:
        category: for example Source or Deploy.
        name: the provider, for example S3.
        run: runs an action; it returns an outcome or raises ActionFailed.
        inputs: the smallest and largest number of input artifacts.
        outputs: the smallest and largest number of output artifacts.
        configuration: the keys of its configuration; AWS lists at most ten.
    """

    category: str
    name: str
    run: RunAction
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    configuration: tuple[ConfigurationKey, ...]


@dataclass(frozen=True, slots=True)
class RuleProvider:
    """A rule type of a stage's condition: the function that runs it, and its configuration."""

    name: str
    run: RunAction
    configuration: tuple[ConfigurationKey, ...]
