"""The operations of CodePipeline that answer approvals and jobs.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutApprovalResult.html
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codepipeline.actions.base import ApprovalResult, JobResult
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.model import ActionStatus
from localcloud.codepipeline.views import find_approval
from localcloud.service_context import ServiceContext


class JobsApi:
    """Results of approvals, which people give, and of jobs, which functions give."""

    def __init__(self, context: ServiceContext, api: CodePipelineApi) -> None:
        self._context = context
        self._api = api

    @operation("PutApprovalResult")
    def put_approval_result(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        self._api.require_stage(pipeline, params["stageName"])
        stages = pipeline.declaration["stages"]
        stage = next(stage for stage in stages if stage["name"] == params["stageName"])
        if params["actionName"] not in [action["name"] for action in stage["actions"]]:
            raise AwsError(
                "ActionNotFoundException",
                f"The stage {stage['name']} of {pipeline.name} has no action "
                f"{params['actionName']}.",
            )
        run = find_approval(
            self._api.engine.executions(pipeline),
            params["stageName"],
            params["actionName"],
            params["token"],
        )
        if run is None:
            raise AwsError(
                "InvalidApprovalTokenException",
                f"The token does not belong to the approval {params['stageName']}/"
                f"{params['actionName']} of {pipeline.name}; GetPipelineState returns it.",
            )
        answer = self._api.engine.pending_results.approvals.get(params["token"])
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
        return {"approvedAt": self._context.clock.now()}

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
                percent_complete=details.get("percentComplete"),
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
        job = self._api.engine.pending_results.job_details.get(params["jobId"])
        if job is None:
            raise AwsError("JobNotFoundException", f"The job {params['jobId']} does not exist.")
        return {"jobDetails": job}

    def _settle(self, job_id: str, result: JobResult) -> None:
        answer = self._api.engine.pending_results.jobs.get(job_id)
        if answer is None:
            raise AwsError("JobNotFoundException", f"The job {job_id} is not pending.")
        if answer.done():
            raise AwsError(
                "InvalidJobStateException", f"The job {job_id} has already been answered."
            )
        answer.set_result(result)
