"""The operations of CodePipeline.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.cloud import Cloud
from localcloud.codepipeline.actions.base import ApprovalResult, JobResult
from localcloud.codepipeline.declaration import check_declaration
from localcloud.codepipeline.engine import PipelineEngine
from localcloud.codepipeline.model import (
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageStatus,
)
from localcloud.codepipeline.views import (
    action_detail,
    find_approval,
    latest_in_stage,
    source_revisions,
    stage_state,
    trigger,
)
from localcloud.errors import AwsError, ResourceNotFound, ValidationError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.store import Collection

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.lambda_.service import LambdaService


class CodePipelineApi:
    """Pipelines, their state and history, approvals and jobs."""

    def __init__(
        self,
        cloud: Cloud,
        functions: LambdaService,
        repositories: CodeCommitApi,
        builds: CodeBuildApi,
    ) -> None:
        self._cloud = cloud
        self.pipelines = Collection(cloud.database, "codepipeline", Pipeline)
        executions = Collection(cloud.database, "codepipeline-execution", Execution)
        self._tags = Collection(cloud.database, "codepipeline-tags", dict[str, str])
        self.engine = PipelineEngine(
            cloud, functions, repositories, builds, self.pipelines, executions
        )

    def start_by_event(self, arn: str, rule_arn: str, revisions: list[dict[str, str]]) -> bool:
        """Start a pipeline because an EventBridge rule matched; False when there is none."""
        pipeline = self.pipelines.get(arn)
        if pipeline is None:
            return False
        self.engine.start(pipeline, "CloudWatchEvent", rule_arn, source_revisions=revisions)
        return True

    # Pipelines.

    @operation("CreatePipeline")
    def create_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        declaration = params["pipeline"]
        arn = scope.arn("codepipeline", declaration["name"])
        if arn in self.pipelines:
            raise AwsError(
                "PipelineNameInUseException",
                f"A pipeline with the name '{declaration['name']}' already exists in account "
                f"'{scope.account}'",
            )
        check_declaration(declaration)
        now = self._cloud.clock.now()
        declaration["version"] = 1
        pipeline = Pipeline(arn, declaration["name"], declaration, now, now)
        self.pipelines.put(arn, pipeline)
        tags = params.get("tags") or []
        self._tags.put(arn, {tag["key"]: tag["value"] for tag in tags})
        self.engine.start(pipeline, "CreatePipeline", scope.arn("iam", "root"))
        return {"pipeline": declaration, **({"tags": tags} if tags else {})}

    @operation("GetPipeline")
    def get_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["name"])
        return {
            "pipeline": pipeline.declaration,
            "metadata": {
                "pipelineArn": pipeline.arn,
                "created": pipeline.created,
                "updated": pipeline.updated,
            },
        }

    @operation("UpdatePipeline")
    def update_pipeline(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        declaration = params["pipeline"]
        pipeline = self._pipeline(scope, declaration["name"])
        check_declaration(declaration)
        pipeline.version += 1
        declaration["version"] = pipeline.version
        pipeline.declaration = declaration
        pipeline.updated = self._cloud.clock.now()
        self.pipelines.put(pipeline.arn, pipeline)
        return {"pipeline": declaration}

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
        del params
        prefix = scope.arn("codepipeline", "")
        found = [p for p in self.pipelines.values() if p.arn.startswith(prefix)]
        return {
            "pipelines": [
                {
                    "name": p.name,
                    "version": p.version,
                    "created": p.created,
                    "updated": p.updated,
                    "pipelineType": p.declaration.get("pipelineType", "V1"),
                    "executionMode": p.mode,
                }
                for p in sorted(found, key=lambda p: p.name)
            ]
        }

    # State and history.

    @operation("GetPipelineState")
    def get_pipeline_state(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["name"])
        executions = self.engine.executions(pipeline)
        return {
            "pipelineName": pipeline.name,
            "pipelineVersion": pipeline.version,
            "created": pipeline.created,
            "updated": pipeline.updated,
            "stageStates": [
                stage_state(pipeline, stage, executions) for stage in pipeline.declaration["stages"]
            ],
        }

    @operation("GetPipelineExecution")
    def get_pipeline_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        execution = self._execution(pipeline, params["pipelineExecutionId"])
        return {
            "pipelineExecution": {
                "pipelineName": pipeline.name,
                "pipelineVersion": execution.pipeline_version,
                "pipelineExecutionId": execution.id,
                "status": execution.status,
                "statusSummary": execution.status_summary,
                "artifactRevisions": [
                    {
                        "name": name,
                        "revisionId": artifact.revision,
                        "revisionSummary": artifact.revision_summary,
                    }
                    for name, artifact in execution.artifacts.items()
                    if artifact.revision
                ],
                "trigger": trigger(execution),
                "executionMode": pipeline.mode,
            }
        }

    @operation("ListPipelineExecutions")
    def list_pipeline_executions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        newest_first = self.engine.executions(pipeline)[::-1][: params.get("maxResults", 100)]
        return {
            "pipelineExecutionSummaries": [
                {
                    "pipelineExecutionId": e.id,
                    "status": e.status,
                    "statusSummary": e.status_summary,
                    "startTime": e.started,
                    "lastUpdateTime": e.updated,
                    "sourceRevisions": source_revisions(e),
                    "trigger": trigger(e),
                    "executionMode": pipeline.mode,
                }
                for e in newest_first
            ]
        }

    @operation("ListActionExecutions")
    def list_action_executions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        wanted = (params.get("filter") or {}).get("pipelineExecutionId")
        details = [
            action_detail(execution, stage_name, run)
            for execution in self.engine.executions(pipeline)
            if wanted in (None, execution.id)
            for stage_name, stage in execution.stages.items()
            for run in (*stage.history, *stage.actions.values())
        ]
        details.sort(key=lambda detail: detail["startTime"], reverse=True)
        return {"actionExecutionDetails": details[: params.get("maxResults", 100)]}

    # Running.

    @operation("StartPipelineExecution")
    def start_pipeline_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["name"])
        declared = {v["name"]: v for v in pipeline.declaration.get("variables", [])}
        values = {name: v["defaultValue"] for name, v in declared.items() if v.get("defaultValue")}
        for given in params.get("variables") or []:
            if given["name"] not in declared:
                raise ValidationError(
                    f"The pipeline has no variable {given['name']}; it has: "
                    f"{', '.join(declared) or 'none'}."
                )
            values[given["name"]] = given["value"]
        execution = self.engine.start(
            pipeline,
            "StartPipelineExecution",
            scope.arn("iam", "root"),
            variables=values,
            source_revisions=params.get("sourceRevisions"),
        )
        return {"pipelineExecutionId": execution.id}

    @operation("StopPipelineExecution")
    def stop_pipeline_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        execution = self._execution(pipeline, params["pipelineExecutionId"])
        abandon = bool(params.get("abandon", False))
        if execution.status is ExecutionStatus.STOPPING and not abandon:
            raise AwsError(
                "DuplicatedStopRequestException",
                f"The execution {execution.id} is already stopping.",
            )
        if execution.status not in (ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING):
            raise AwsError(
                "PipelineExecutionNotStoppableException",
                f"The execution {execution.id} is {execution.status}; only one in progress can "
                "be stopped.",
            )
        self.engine.stop(pipeline, execution, params.get("reason", ""), abandon=abandon)
        return {"pipelineExecutionId": execution.id}

    @operation("RetryStageExecution")
    def retry_stage_execution(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        execution = self._execution(pipeline, params["pipelineExecutionId"])
        stage = execution.stages.get(params["stageName"])
        if params["stageName"] not in {s["name"] for s in pipeline.declaration["stages"]}:
            raise AwsError("StageNotFoundException", f"There is no stage {params['stageName']}.")
        if stage is None or stage.status is not StageStatus.FAILED:
            raise AwsError(
                "StageNotRetryableException",
                f"The stage {params['stageName']} of {execution.id} has not failed.",
            )
        latest = latest_in_stage(self.engine.executions(pipeline), stage.name)
        if latest is not execution:
            raise AwsError(
                "NotLatestPipelineExecutionException",
                f"A later execution has entered the stage {stage.name}.",
            )
        all_actions = params["retryMode"] == "ALL_ACTIONS"
        self.engine.retry(pipeline, execution, all_actions=all_actions)
        return {"pipelineExecutionId": execution.id}

    @operation("DisableStageTransition")
    def disable_stage_transition(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        self._require_stage(pipeline, params["stageName"])
        pipeline.disabled_transitions[params["stageName"]] = {
            "reason": params["reason"],
            "at": self._cloud.clock.now().timestamp(),
        }
        self.pipelines.put(pipeline.arn, pipeline)
        return {}

    @operation("EnableStageTransition")
    def enable_stage_transition(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        self._require_stage(pipeline, params["stageName"])
        pipeline.disabled_transitions.pop(params["stageName"], None)
        self.pipelines.put(pipeline.arn, pipeline)
        self.engine.tick(pipeline)
        return {}

    # Approvals and jobs.

    @operation("PutApprovalResult")
    def put_approval_result(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._pipeline(scope, params["pipelineName"])
        self._require_stage(pipeline, params["stageName"])
        run = find_approval(
            self.engine.executions(pipeline),
            params["stageName"],
            params["actionName"],
            params["token"],
        )
        if run is None:
            raise AwsError(
                "InvalidApprovalTokenException",
                f"The token is not the one of the approval {params['stageName']}/"
                f"{params['actionName']} of {pipeline.name}; get_pipeline_state gives it.",
            )
        answer = self.engine.mailbox.approvals.get(params["token"])
        if run.status is not ActionStatus.IN_PROGRESS or answer is None or answer.done():
            raise AwsError(
                "ApprovalAlreadyCompletedException", "The approval action has already completed."
            )
        result = params["result"]
        answer.set_result(
            ApprovalResult(
                approved=result["status"] == "Approved",
                summary=result["summary"],
                by=f"arn:aws:iam::{scope.account}:root",
            )
        )
        return {"approvedAt": self._cloud.clock.now()}

    @operation("PutJobSuccessResult")
    def put_job_success_result(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        details = params.get("executionDetails") or {}
        self._settle(
            params["jobId"],
            JobResult(
                succeeded=True,
                continuation=params.get("continuationToken"),
                summary=details.get("summary"),
                external_id=details.get("externalExecutionId"),
                variables=params.get("outputVariables") or {},
            ),
        )
        return {}

    @operation("PutJobFailureResult")
    def put_job_failure_result(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        failure = params["failureDetails"]
        self._settle(
            params["jobId"],
            JobResult(
                succeeded=False,
                external_id=failure.get("externalExecutionId"),
                failure_code=failure["type"],
                failure_message=failure["message"],
            ),
        )
        return {}

    @operation("GetJobDetails")
    def get_job_details(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        job = self.engine.mailbox.job_details.get(params["jobId"])
        if job is None:
            raise AwsError("JobNotFoundException", f"There is no job {params['jobId']}.")
        return {"jobDetails": job}

    # Tags.

    @operation("TagResource")
    def tag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = dict(self._tags.get(params["resourceArn"]) or {})
        self._tags.put(params["resourceArn"], tags | {t["key"]: t["value"] for t in params["tags"]})
        return {}

    @operation("UntagResource")
    def untag_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = dict(self._tags.get(params["resourceArn"]) or {})
        for key in params["tagKeys"]:
            tags.pop(key, None)
        self._tags.put(params["resourceArn"], tags)
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        tags = self._tags.get(params["resourceArn"])
        if tags is None:
            raise ResourceNotFound(f"There is no resource {params['resourceArn']}.")
        return {"tags": [{"key": k, "value": v} for k, v in tags.items()]}

    def _settle(self, job_id: str, result: JobResult) -> None:
        answer = self.engine.mailbox.jobs.get(job_id)
        if answer is None:
            raise AwsError("JobNotFoundException", f"There is no job {job_id} waiting.")
        if answer.done():
            raise AwsError(
                "InvalidJobStateException", f"The job {job_id} has already been answered."
            )
        answer.set_result(result)

    def _pipeline(self, scope: Scope, name: str) -> Pipeline:
        pipeline = self.pipelines.get(scope.arn("codepipeline", name))
        if pipeline is None:
            raise AwsError(
                "PipelineNotFoundException",
                f"Account '{scope.account}' does not have a pipeline with name '{name}'",
            )
        return pipeline

    def _execution(self, pipeline: Pipeline, execution_id: str) -> Execution:
        for execution in self.engine.executions(pipeline):
            if execution.id == execution_id:
                return execution
        raise AwsError(
            "PipelineExecutionNotFoundException",
            f"The pipeline '{pipeline.name}' has no execution '{execution_id}'.",
        )

    def _require_stage(self, pipeline: Pipeline, name: str) -> None:
        names = [stage["name"] for stage in pipeline.declaration["stages"]]
        if name not in names:
            raise AwsError(
                "StageNotFoundException",
                f"The pipeline {pipeline.name} has no stage {name}; it has: {', '.join(names)}.",
            )
