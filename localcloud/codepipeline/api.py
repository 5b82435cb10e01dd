"""The operations of CodePipeline on pipelines.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_CreatePipeline.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws.errors import AwsError, ResourceNotFound
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codepipeline.actions import RUNS, Runs
from localcloud.codepipeline.actions.connection_source import followers
from localcloud.codepipeline.declaration import check_declaration
from localcloud.codepipeline.engine import PipelineEngine
from localcloud.codepipeline.model import (
    Execution,
    Pipeline,
)
from localcloud.codepipeline.views import filled
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.codeconnections.api import ConnectionsApi
    from localcloud.lambda_.service import LambdaService


_PRINCIPAL = "codepipeline.amazonaws.com"
_MOST_TAGS = 50


class CodePipelineApi:
    """Pipelines and their tags; holds the engine that moves their executions."""

    def __init__(
        self,
        context: ServiceContext,
        functions: LambdaService,
        repositories: CodeCommitApi,
        connections: ConnectionsApi,
        builds: CodeBuildApi,
        runs: Runs = RUNS,
    ) -> None:
        self._context = context
        self.pipelines = Collection(context.database, "codepipeline", Pipeline)
        executions = Collection(context.database, "codepipeline-execution", Execution)
        self._tags = Collection(context.database, "codepipeline-tags", dict[str, str])
        self.engine = PipelineEngine(
            context,
            functions,
            repositories,
            connections,
            builds,
            self.pipelines,
            executions,
            runs,
        )

    def start_by_event(self, arn: str, rule_arn: str, revisions: list[dict[str, str]]) -> bool:
        """Start a pipeline for an EventBridge rule; return False if it does not exist."""
        pipeline = self.pipelines.get(arn)
        if pipeline is None:
            return False
        self.engine.start(pipeline, "CloudWatchEvent", rule_arn, source_revisions=revisions)
        return True

    def start_by_push(self, connection: str, repository: str, branch: str, commit: str) -> None:
        """Start the pipelines that follow a branch behind a connection, on its new commit.

        Args:
            connection: ARN of the connection.
            repository: full name of the repository, such as `org/repo`.
            branch: the branch that was pushed.
            commit: its new commit.
        """
        for pipeline in self.pipelines.values():
            revisions = [
                {"actionName": name, "revisionType": "COMMIT_ID", "revisionValue": commit}
                for name in followers(pipeline.declaration, connection, repository, branch)
            ]
            if revisions:
                self.engine.start(pipeline, "WebhookV2", connection, source_revisions=revisions)

    # Pipelines.

    @operation("CreatePipeline")
    async def create_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        declaration = params["pipeline"]
        arn = scope.arn("codepipeline", declaration["name"])
        self._require_new(scope, arn)
        check_declaration(declaration)
        _merged({}, params.get("tags") or [])
        await self._check_role(declaration["roleArn"])
        self._require_new(scope, arn)
        now = self._context.clock.now()
        declaration["version"] = 1
        pipeline = Pipeline(arn, declaration["name"], declaration, now, now)
        self.pipelines.put(arn, pipeline)
        tags = params.get("tags") or []
        self._tags.put(arn, {tag["key"]: tag["value"] for tag in tags})
        self.engine.start(pipeline, "CreatePipeline", scope.arn("iam", "root"))
        return {"pipeline": filled(declaration), **({"tags": tags} if tags else {})}

    @operation("GetPipeline")
    def get_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self.pipeline(scope, params["name"])
        return {
            "pipeline": filled(pipeline.declaration),
            "metadata": {
                "pipelineArn": pipeline.arn,
                "created": pipeline.created,
                "updated": pipeline.updated,
            },
        }

    @operation("UpdatePipeline")
    async def update_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        declaration = params["pipeline"]
        self.pipeline(scope, declaration["name"])
        check_declaration(declaration)
        await self._check_role(declaration["roleArn"])
        pipeline = self.pipeline(scope, declaration["name"])
        pipeline.version += 1
        declaration["version"] = pipeline.version
        pipeline.declaration = declaration
        pipeline.updated = self._context.clock.now()
        self.pipelines.put(pipeline.arn, pipeline)
        return {"pipeline": filled(declaration)}

    @operation("DeletePipeline")
    def delete_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self.pipelines.get(scope.arn("codepipeline", params["name"]))
        if pipeline is not None:
            self.engine.forget(pipeline)
            self.pipelines.delete(pipeline.arn)
            self._tags.delete(pipeline.arn)
        return {}

    @operation("ListPipelines")
    def list_pipelines(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        prefix = scope.arn("codepipeline", "")
        found = [p for p in self.pipelines.values() if p.arn.startswith(prefix)]
        shown, token = page(
            sorted(found, key=lambda p: p.name),
            lambda p: p.name,
            params.get("nextToken"),
            params.get("maxResults", 1000),
            "InvalidNextTokenException",
        )
        summaries = [
            {
                "name": p.name,
                "version": p.version,
                "created": p.created,
                "updated": p.updated,
                "pipelineType": p.declaration.get("pipelineType", "V1"),
                "executionMode": p.mode,
            }
            for p in shown
        ]
        return {"pipelines": summaries, "nextToken": token}

    # Tags.

    @operation("TagResource")
    def tag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        arn, tags = self._tagged(params)
        self._tags.put(arn, _merged(tags, params["tags"]))
        return {}

    @operation("UntagResource")
    def untag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        arn, tags = self._tagged(params)
        self._tags.put(arn, {k: v for k, v in tags.items() if k not in params["tagKeys"]})
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        _, tags = self._tagged(params)
        shown, token = page(
            sorted(tags.items()),
            lambda tag: tag[0],
            params.get("nextToken"),
            params.get("maxResults") or _MOST_TAGS,
            "InvalidNextTokenException",
        )
        more = {"nextToken": token} if token else {}
        return {"tags": [{"key": k, "value": v} for k, v in shown], **more}

    def _tagged(self, params: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Return the ARN of a pipeline and its tags.

        Raises:
            ResourceNotFound: there is no such pipeline.
        """
        arn: str = params["resourceArn"]
        if arn not in self.pipelines:
            raise ResourceNotFound(f"The resource {arn} does not exist.")
        return arn, dict(self._tags.get(arn) or {})

    def _require_new(self, scope: Scope, arn: str) -> None:
        if arn in self.pipelines:
            raise AwsError(
                "PipelineNameInUseException",
                f"A pipeline with the name '{arn.rpartition(':')[2]}' already exists in account "
                f"'{scope.account}'",
            )

    async def _check_role(self, role_arn: str) -> None:
        """Refuse a role that CodePipeline cannot assume.

        Raises:
            AwsError: InvalidStructureException.
        """
        if not await self._context.iam.trusts(role_arn, _PRINCIPAL):
            raise AwsError(
                "InvalidStructureException",
                f"CodePipeline is not authorized to perform AssumeRole on role {role_arn}. The "
                f"role must exist, and its trust policy must let {_PRINCIPAL} assume it.",
            )

    def pipeline(self, scope: Scope, name: str) -> Pipeline:
        """Return a pipeline by its name.

        Raises:
            AwsError: PipelineNotFoundException.
        """
        pipeline = self.pipelines.get(scope.arn("codepipeline", name))
        if pipeline is None:
            raise AwsError(
                "PipelineNotFoundException",
                f"Account '{scope.account}' does not have a pipeline with name '{name}'",
            )
        return pipeline

    def execution(self, pipeline: Pipeline, execution_id: str) -> Execution:
        """Return an execution by its id.

        Raises:
            AwsError: PipelineExecutionNotFoundException.
        """
        for execution in self.engine.executions(pipeline):
            if execution.id == execution_id:
                return execution
        raise AwsError(
            "PipelineExecutionNotFoundException",
            f"The pipeline '{pipeline.name}' has no execution '{execution_id}'.",
        )

    def require_stage(self, pipeline: Pipeline, name: str) -> None:
        """Refuse a stage that a pipeline does not have.

        Raises:
            AwsError: StageNotFoundException.
        """
        names = [stage["name"] for stage in pipeline.declaration["stages"]]
        if name not in names:
            raise AwsError(
                "StageNotFoundException",
                f"The pipeline {pipeline.name} has no stage {name}; "
                f"its stages are: {', '.join(names)}.",
            )


def _merged(tags: dict[str, str], given: list[dict[str, str]]) -> dict[str, str]:
    """Return a pipeline's tags with those that are given.

    Raises:
        AwsError: InvalidTagsException or TooManyTagsException.
    """
    reserved = [tag["key"] for tag in given if tag["key"].lower().startswith("aws:")]
    if reserved:
        raise AwsError(
            "InvalidTagsException",
            "Tag keys with the prefix aws: are reserved for AWS and may not be given: "
            f"{', '.join(reserved)}.",
        )
    merged = tags | {tag["key"]: tag["value"] for tag in given}
    if len(merged) > _MOST_TAGS:
        raise AwsError(
            "TooManyTagsException",
            f"The pipeline would have {len(merged)} tags; it has at most {_MOST_TAGS}.",
        )
    return merged
