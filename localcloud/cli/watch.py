"""The executions of a pipeline, their actions as they end, and pending approvals.

Only AWS's operations. Must not: print.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
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
    """The current state of one action of an execution.

    Attributes:
        updated: when it last changed, by the cloud's clock.
        clock_seconds: how long it took, by the cloud's clock.
    """

    stage: str
    action: str
    status: str
    summary: str
    error: str
    updated: datetime
    clock_seconds: float

    @property
    def name(self) -> str:
        """Return the names of the stage and the action."""
        return f"{self.stage}/{self.action}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An execution at one moment.

    Attributes:
        status: the execution's, such as `InProgress`.
        lines: its actions in the order they started.
        ended: those of them that have ended since the last snapshot.
    """

    status: str
    lines: list[ActionLine]
    ended: list[ActionLine]

    @property
    def active(self) -> list[ActionLine]:
        """Return the actions that run."""
        return [line for line in self.lines if line.status == "InProgress"]

    @property
    def reason(self) -> str:
        """Return the errors of the actions."""
        return "; ".join(f"{line.name}: {line.error}" for line in self.lines if line.error)


def snapshots(codepipeline: Any, pipeline: str, execution: str) -> Iterator[Snapshot]:
    """Yield the state of an execution five times a second, last when it has ended."""
    shown: dict[str, str] = {}
    while True:
        # Asked first, so that no action ends between the two answers of the last snapshot.
        detail = codepipeline.get_pipeline_execution(
            pipelineName=pipeline, pipelineExecutionId=execution
        )["pipelineExecution"]
        lines = action_lines(codepipeline, pipeline, execution)
        ended = [
            line
            for line in lines
            if line.status != "InProgress" and shown.get(line.name) != line.status
        ]
        shown |= {line.name: line.status for line in lines}
        yield Snapshot(detail["status"], lines, ended)
        if detail["status"] in ENDED:
            return
        time.sleep(_POLL_SECONDS)


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


def pending_approvals(codepipeline: Any, pipeline: str | None) -> list[WaitingApproval]:
    """Return the pending approvals of a pipeline, or of all of them."""
    names = (
        [pipeline] if pipeline else [p["name"] for p in codepipeline.list_pipelines()["pipelines"]]
    )
    return [w for name in names for w in waiting_approvals(codepipeline, name)]


def find_approval(codepipeline: Any, pipeline: str | None) -> WaitingApproval:
    """Return the only pending approval.

    Raises:
        CommandError: no approval is pending, or several are and no pipeline was named.
    """
    found = pending_approvals(codepipeline, pipeline)
    if not found:
        where = f"of pipeline {pipeline}" if pipeline else "of any pipeline"
        raise CommandError(
            f"no approval {where} is pending; see `localcloud status`, or wait for one with --wait"
        )
    return _only(found)


def wait_for_approval(codepipeline: Any, pipeline: str | None, seconds: float) -> WaitingApproval:
    """Return the only pending approval; wait for one as long as an execution is in progress.

    Raises:
        CommandError: none is pending in time, or nothing is in progress that could lead to one.
    """
    deadline = time.monotonic() + seconds
    # An upload starts its execution a moment later.
    patient_until = time.monotonic() + min(_TRIGGER_SECONDS, seconds)
    while True:
        found = pending_approvals(codepipeline, pipeline)
        if found:
            return _only(found)
        now = time.monotonic()
        if now >= deadline:
            raise CommandError(
                f"no approval was pending within {seconds:g} s; --timeout waits longer"
            )
        if now >= patient_until and not in_progress(codepipeline, pipeline):
            raise CommandError(
                "no execution is in progress, so no approval will be pending; upload a dataset "
                "(localcloud dataset push iris) or see: localcloud pipeline executions"
            )
        time.sleep(_POLL_SECONDS)


def in_progress(codepipeline: Any, pipeline: str | None) -> list[str]:
    """Return the ids of the executions in progress of a pipeline, or of all of them."""
    names = (
        [pipeline] if pipeline else [p["name"] for p in codepipeline.list_pipelines()["pipelines"]]
    )
    return [
        summary["pipelineExecutionId"]
        for name in names
        for summary in codepipeline.list_pipeline_executions(pipelineName=name, maxResults=20)[
            "pipelineExecutionSummaries"
        ]
        if summary["status"] not in ENDED
    ]


def _only(found: list[WaitingApproval]) -> WaitingApproval:
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
                updated=detail["lastUpdateTime"],
                clock_seconds=elapsed.total_seconds(),
            )
        )
    return lines
