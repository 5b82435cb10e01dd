"""The operations of CodePipeline that return the state and history of pipelines.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListPipelineExecutions.html
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.catalogue import action_types, rule_types
from localcloud.codepipeline.model import Execution, Pipeline
from localcloud.codepipeline.rollback import succeeded_in
from localcloud.codepipeline.views import (
    action_detail,
    execution_detail,
    execution_summary,
    rule_detail,
    stage_state,
)

_INVALID_TOKEN = "InvalidNextTokenException"  # noqa: S105 - an error code


class HistoryApi:
    """State and history of pipelines, and the supported action and rule types."""

    def __init__(self, api: CodePipelineApi) -> None:
        self._api = api

    @operation("GetPipelineState")
    def get_pipeline_state(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["name"])
        executions = self._api.engine.executions(pipeline)
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
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        execution = self._api.execution(pipeline, params["pipelineExecutionId"])
        return {"pipelineExecution": execution_detail(pipeline, execution)}

    @operation("ListPipelineExecutions")
    def list_pipeline_executions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        found = self._api.engine.executions(pipeline)[::-1]
        stage = ((params.get("filter") or {}).get("succeededInStage") or {}).get("stageName")
        if stage is not None:
            self._api.require_stage(pipeline, stage)
            found = [execution for execution in found if succeeded_in(execution, stage)]
        shown, token = page(
            found,
            lambda execution: execution.id,
            params.get("nextToken"),
            params.get("maxResults", 100),
            _INVALID_TOKEN,
        )
        summaries = [execution_summary(pipeline, execution) for execution in shown]
        return {"pipelineExecutionSummaries": summaries, "nextToken": token}

    @operation("ListActionExecutions")
    def list_action_executions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        details = [
            action_detail(execution, stage_name, run)
            for execution in self._wanted(pipeline, params)
            for stage_name, stage in execution.stages.items()
            for run in (*stage.history, *stage.actions.values())
        ]
        return _details(details, params, "actionExecution")

    @operation("ListRuleExecutions")
    def list_rule_executions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        pipeline = self._api.pipeline(scope, params["pipelineName"])
        details = [
            rule_detail(execution, stage_name, condition, run)
            for execution in self._wanted(pipeline, params)
            for stage_name, stage in execution.stages.items()
            for condition in (*stage.rule_history, *stage.conditions.values())
            for run in condition.rules.values()
        ]
        return _details(details, params, "ruleExecution")

    @operation("ListActionTypes")
    def list_action_types(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        types = action_types() if params.get("actionOwnerFilter") in (None, "AWS") else []
        return {"actionTypes": types}

    @operation("ListRuleTypes")
    def list_rule_types(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope, params
        return {"ruleTypes": rule_types()}

    def _wanted(self, pipeline: Pipeline, params: dict[str, Any]) -> list[Execution]:
        """Return the executions that match a filter."""
        given = params.get("filter") or {}
        latest = given.get("latestInPipelineExecution") or {}
        wanted = given.get("pipelineExecutionId") or latest.get("pipelineExecutionId")
        if wanted is not None:
            return [self._api.execution(pipeline, wanted)]
        return self._api.engine.executions(pipeline)


def _details(details: list[dict[str, Any]], params: dict[str, Any], what: str) -> dict[str, Any]:
    """Return a page of details, the latest first, optionally only the latest of each."""
    details.sort(key=lambda detail: detail["startTime"], reverse=True)
    filtered = (params.get("filter") or {}).get("latestInPipelineExecution") or {}
    if filtered.get("startTimeRange") == "Latest":
        name = "actionName" if what == "actionExecution" else "ruleName"
        first: dict[tuple[str, str], dict[str, Any]] = {}
        for detail in details:
            first.setdefault((detail["stageName"], detail[name]), detail)
        details = list(first.values())
    shown, token = page(
        details,
        lambda detail: str(detail[f"{what}Id"]),
        params.get("nextToken"),
        params.get("maxResults", 100),
        _INVALID_TOKEN,
    )
    return {f"{what}Details": shown, "nextToken": token}
