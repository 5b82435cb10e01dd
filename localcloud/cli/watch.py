"""The executions of a pipeline that an upload started, their actions, and pending approvals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.cli.console import CommandError

ENDED = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})
_TRIGGER_SECONDS = 15.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class WaitingApproval:
    """A pending approval."""

    pipeline: str
    stage: str
    action: str
    token: str
    execution: str


@dataclass(frozen=True, slots=True)
class ActionLine:
    """The current state of one action of an execution."""

    stage: str
    action: str
    status: str
    summary: str
    error: str
    clock_seconds: float


def triggered_execution(codepipeline: Any, pipeline: str, version: str) -> str:
    """Wait for the execution that an upload started; return its id.

    Args:
        codepipeline: a client.
        pipeline: the pipeline's name.
        version: the uploaded object's version.

    Raises:
        CommandError: none started within 15 wall-clock seconds.
    """
    deadline = time.monotonic() + _TRIGGER_SECONDS
    while time.monotonic() < deadline:
        answer = codepipeline.list_pipeline_executions(pipelineName=pipeline)
        for summary in answer["pipelineExecutionSummaries"]:
            revisions = [r["revisionId"] for r in summary.get("sourceRevisions", [])]
            if summary["trigger"]["triggerType"] == "CloudWatchEvent" and version in revisions:
                return str(summary["pipelineExecutionId"])
        time.sleep(_POLL_SECONDS)
    raise CommandError(f"the upload did not start {pipeline} within {_TRIGGER_SECONDS:g} s")


def waiting_approvals(codepipeline: Any, pipeline: str) -> Iterator[WaitingApproval]:
    """Yield the pending approvals of a pipeline."""
    state = codepipeline.get_pipeline_state(name=pipeline)
    for stage in state["stageStates"]:
        for action in stage["actionStates"]:
            latest = action.get("latestExecution", {})
            if latest.get("token") and latest["status"] == "InProgress":
                yield WaitingApproval(
                    pipeline,
                    stage["stageName"],
                    action["actionName"],
                    latest["token"],
                    stage["latestExecution"]["pipelineExecutionId"],
                )


def find_approval(codepipeline: Any, pipeline: str | None) -> WaitingApproval:
    """Return the only pending approval.

    Raises:
        CommandError: no approval is pending, or several are and no pipeline was named.
    """
    names = (
        [pipeline] if pipeline else [p["name"] for p in codepipeline.list_pipelines()["pipelines"]]
    )
    found = [w for name in names for w in waiting_approvals(codepipeline, name)]
    if not found:
        where = f"of pipeline {pipeline}" if pipeline else "of any pipeline"
        raise CommandError(f"no approval {where} is pending; see: localcloud status")
    if len(found) > 1:
        known = ", ".join(f"{w.pipeline} ({w.stage}/{w.action})" for w in found)
        raise CommandError(f"several approvals are pending: {known}; name the pipeline")
    return found[0]


def put_approval(codepipeline: Any, waiting: WaitingApproval, verdict: str, summary: str) -> None:
    """Answer an approval: Approved or Rejected."""
    codepipeline.put_approval_result(
        pipelineName=waiting.pipeline,
        stageName=waiting.stage,
        actionName=waiting.action,
        token=waiting.token,
        result={"status": verdict, "summary": summary},
    )


def action_lines(codepipeline: Any, pipeline: str, execution: str) -> list[ActionLine]:
    """Return the actions of an execution in the order they started."""
    answer = codepipeline.list_action_executions(
        pipelineName=pipeline, filter={"pipelineExecutionId": execution}
    )
    lines = []
    for detail in reversed(answer["actionExecutionDetails"]):
        result = detail.get("output", {}).get("executionResult", {})
        elapsed = detail["lastUpdateTime"] - detail["startTime"]
        lines.append(
            ActionLine(
                stage=detail["stageName"],
                action=detail["actionName"],
                status=detail["status"],
                summary=result.get("externalExecutionSummary") or "",
                error=(result.get("errorDetails") or {}).get("message", ""),
                clock_seconds=elapsed.total_seconds(),
            )
        )
    return lines
