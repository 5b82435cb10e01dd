"""The operations of CodePipeline that start, stop, retry, roll back and override.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_StartPipelineExecution.html
Inferred: a source revision that matches no source action is refused at the start.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.model import (
    BEFORE_ENTRY,
    ON_SUCCESS,
    ConditionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.plan import ACTIVE
from localcloud.codepipeline.rollback import check_rollback
from localcloud.codepipeline.views import latest_in_stage
from localcloud.service_context import ServiceContext

# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
_CONCURRENT_EXECUTIONS = 50
_REVISION_TYPES = {
    "CodeCommit": ("COMMIT_ID",),
    "CodeStarSourceConnection": ("COMMIT_ID",),
    "S3": ("S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"),
}
_KINDS = {"BEFORE_ENTRY": BEFORE_ENTRY, "ON_SUCCESS": ON_SUCCESS}


class RunningApi:
    """The operations on running executions."""

    def __init__(self, context: ServiceContext, api: CodePipelineApi) -> None:
        self._context = context
        self._api = api

    @operation("StartPipelineExecution")
    def start_pipeline_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["name"])
        token = params.get("clientRequestToken")
        for known in self._api.engine.executions(pipeline) if token else ():
            if known.client_token == token:
                return {"pipelineExecutionId": known.id}
        declared = [variable["name"] for variable in pipeline.declaration.get("variables", [])]
        values: dict[str, str] = {}
        for given in params.get("variables") or []:
            if given["name"] not in declared:
                raise ValidationError(
                    f"The pipeline has no variable {given['name']}; its variables are: "
                    f"{', '.join(declared) or 'none'}."
                )
            values[given["name"]] = given["value"]
        revisions = params.get("sourceRevisions") or []
        for revision in revisions:
            _check_revision(pipeline, revision)
        self._check_room(pipeline)
        execution = self._api.engine.start(
            pipeline,
            "StartPipelineExecution",
            scope.arn("iam", "root"),
            variables=values,
            source_revisions=revisions,
            client_token=token,
        )
        return {"pipelineExecutionId": execution.id}

    @operation("PutActionRevision")
    def put_action_revision(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        source = pipeline.declaration["stages"][0]
        name = params["actionName"]
        action = next((a for a in source["actions"] if a["name"] == name), None)
        if params["stageName"] != source["name"] or action is None:
            raise AwsError(
                "ActionNotFoundException",
                f"The pipeline {pipeline.name} has no source action {name} in the stage "
                f"{params['stageName']}.",
            )
        revision = params["actionRevision"]["revisionId"]
        for known in reversed(self._api.engine.executions(pipeline)):
            if revision in known.revisions_of(name):
                return {"newRevision": False, "pipelineExecutionId": known.id}
        self._check_room(pipeline)
        kinds = _REVISION_TYPES[action["actionTypeId"]["provider"]]
        execution = self._api.engine.start(
            pipeline,
            "PutActionRevision",
            scope.arn("iam", "root"),
            source_revisions=[
                {"actionName": name, "revisionType": kinds[0], "revisionValue": revision}
            ],
        )
        return {"newRevision": True, "pipelineExecutionId": execution.id}

    @operation("StopPipelineExecution")
    def stop_pipeline_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        execution = self._execution_of(
            pipeline, params["pipelineExecutionId"], "PipelineExecutionNotStoppableException"
        )
        abandon = bool(params.get("abandon", False))
        if execution.status is ExecutionStatus.STOPPING and not abandon:
            raise AwsError(
                "DuplicatedStopRequestException",
                f"The execution {execution.id} is already stopping.",
            )
        if execution.status not in ACTIVE:
            raise AwsError(
                "PipelineExecutionNotStoppableException",
                f"The execution {execution.id} is {execution.status}; only one in progress can "
                "be stopped.",
            )
        self._api.engine.stop(pipeline, execution, params.get("reason", ""), abandon=abandon)
        return {"pipelineExecutionId": execution.id}

    @operation("RetryStageExecution")
    def retry_stage_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        execution = self._execution_of(
            pipeline, params["pipelineExecutionId"], "StageNotRetryableException"
        )
        stage = execution.stages.get(params["stageName"])
        if stage is None or stage.status is not StageStatus.FAILED:
            raise AwsError(
                "StageNotRetryableException",
                f"The stage {params['stageName']} of {execution.id} has not failed.",
            )
        self._require_latest(pipeline, execution, stage)
        all_actions = params["retryMode"] == "ALL_ACTIONS"
        self._api.engine.retry(pipeline, execution, all_actions=all_actions)
        return {"pipelineExecutionId": execution.id}

    @operation("RollbackStage")
    def rollback_stage(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        name = params["stageName"]
        self._api.require_stage(pipeline, name)
        target = self._api.execution(pipeline, params["targetPipelineExecutionId"])
        check_rollback(pipeline, self._api.engine.executions(pipeline), name, target)
        execution = self._api.engine.roll_back(
            pipeline, name, target, "ManualRollback", scope.arn("iam", "root")
        )
        return {"pipelineExecutionId": execution.id}

    @operation("OverrideStageCondition")
    def override_stage_condition(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        execution = self._execution_of(
            pipeline, params["pipelineExecutionId"], "ConditionNotOverridableException"
        )
        stage = execution.stages.get(params["stageName"])
        condition = stage.conditions.get(_KINDS[params["conditionType"]]) if stage else None
        if (
            stage is None
            or condition is None
            or stage.status is not StageStatus.FAILED
            or condition.status not in (ConditionStatus.FAILED, ConditionStatus.ERRORED)
        ):
            raise AwsError(
                "ConditionNotOverridableException",
                f"The stage {params['stageName']} of {execution.id} has not failed by its "
                f"condition {params['conditionType']}.",
            )
        self._require_latest(pipeline, execution, stage)
        self._api.engine.override(pipeline, execution, condition)
        return {}

    @operation("DisableStageTransition")
    def disable_stage_transition(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        pipeline.disabled_transitions[params["stageName"]] = {
            "reason": params["reason"],
            "at": self._context.clock.now().timestamp(),
        }
        self._api.pipelines.put(pipeline.arn, pipeline)
        return {}

    @operation("EnableStageTransition")
    def enable_stage_transition(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        pipeline.disabled_transitions.pop(params["stageName"], None)
        self._api.pipelines.put(pipeline.arn, pipeline)
        self._api.engine.tick(pipeline)
        return {}

    def _execution_of(self, pipeline: Pipeline, execution_id: str, code: str) -> Execution:
        """Return an execution, for an operation without a modelled error for a missing one."""
        try:
            return self._api.execution(pipeline, execution_id)
        except AwsError as error:
            raise AwsError(code, error.message) from None

    def _require_latest(self, pipeline: Pipeline, execution: Execution, stage: StageRun) -> None:
        latest = latest_in_stage(self._api.engine.executions(pipeline), stage.name)
        # Parallel executions do not affect one another.
        if latest is not execution and pipeline.mode != "PARALLEL":
            raise AwsError(
                "NotLatestPipelineExecutionException",
                f"A later execution has entered the stage {stage.name}.",
            )

    def _check_room(self, pipeline: Pipeline) -> None:
        """Refuse an execution beyond the largest number in progress.

        Raises:
            AwsError: ConcurrentPipelineExecutionsLimitExceededException.
        """
        active = [e for e in self._api.engine.executions(pipeline) if e.status in ACTIVE]
        if pipeline.mode != "SUPERSEDED" and len(active) >= _CONCURRENT_EXECUTIONS:
            raise AwsError(
                "ConcurrentPipelineExecutionsLimitExceededException",
                f"The pipeline {pipeline.name} has {len(active)} executions in progress; in "
                f"{pipeline.mode} mode at most {_CONCURRENT_EXECUTIONS} may be.",
            )


def _check_revision(pipeline: Pipeline, revision: dict[str, str]) -> None:
    sources = {a["name"]: a for a in pipeline.declaration["stages"][0]["actions"]}
    action = sources.get(revision["actionName"])
    if action is None:
        raise ValidationError(
            f"The pipeline has no source action {revision['actionName']}; its source actions are: "
            f"{', '.join(sources)}."
        )
    provider = action["actionTypeId"]["provider"]
    if revision["revisionType"] not in _REVISION_TYPES[provider]:
        raise ValidationError(
            f"The revision type {revision['revisionType']} does not fit the {provider} action "
            f"{action['name']}; it accepts: {', '.join(_REVISION_TYPES[provider])}."
        )
    allowed = action.get("configuration", {}).get("AllowOverrideForS3ObjectKey", "false")
    if revision["revisionType"] == "S3_OBJECT_KEY" and allowed != "true":
        raise ValidationError(
            f"The action {action['name']} does not allow its object key to be overridden; its "
            "configuration must have AllowOverrideForS3ObjectKey true."
        )
