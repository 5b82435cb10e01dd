"""Records of CodePipeline and the transitions that are legal.

    Execution   InProgress ──► Succeeded | Failed | Superseded | Stopped
                    │  ▲
                    │  └── retry ── Failed
                    └──► Stopping ──► Stopped | Failed
    Action      InProgress ──► Succeeded | Failed | Abandoned

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.errors import IllegalTransition


class ExecutionStatus(StrEnum):
    """Status of a pipeline execution."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    SUCCEEDED = "Succeeded"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"


class StageStatus(StrEnum):
    """Status of a stage within an execution."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ActionStatus(StrEnum):
    """Status of an action execution."""

    IN_PROGRESS = "InProgress"
    ABANDONED = "Abandoned"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


EXECUTION_TRANSITIONS: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.IN_PROGRESS: frozenset(
        {
            ExecutionStatus.SUCCEEDED,
            ExecutionStatus.FAILED,
            ExecutionStatus.SUPERSEDED,
            ExecutionStatus.STOPPING,
            ExecutionStatus.STOPPED,
        }
    ),
    ExecutionStatus.STOPPING: frozenset({ExecutionStatus.STOPPED, ExecutionStatus.FAILED}),
    ExecutionStatus.FAILED: frozenset({ExecutionStatus.IN_PROGRESS}),
    ExecutionStatus.STOPPED: frozenset(),
    ExecutionStatus.SUCCEEDED: frozenset(),
    ExecutionStatus.SUPERSEDED: frozenset(),
}


@dataclass(slots=True)
class Pipeline:
    """One pipeline: its declaration as sent, and its switches."""

    arn: str
    name: str
    declaration: dict[str, Any]
    created: datetime
    updated: datetime
    version: int = 1
    disabled_transitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        """Return SUPERSEDED, QUEUED or PARALLEL."""
        return str(self.declaration.get("executionMode", "SUPERSEDED"))


@dataclass(slots=True)
class Artifact:
    """An artifact in the artifact store."""

    bucket: str
    key: str
    revision: str | None = None
    revision_summary: str | None = None


@dataclass(slots=True)
class ActionRun:
    """One execution of one action."""

    id: str
    name: str
    run_order: int
    status: ActionStatus
    started: datetime
    changed: datetime
    updated_by: str = ""
    summary: str | None = None
    token: str | None = None
    external_id: str | None = None
    external_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    job_id: str | None = None
    continuation: str | None = None
    configuration: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StageRun:
    """One stage of an execution, from the moment it was entered."""

    name: str
    status: StageStatus
    entered: datetime
    actions: dict[str, ActionRun] = field(default_factory=dict)
    history: list[ActionRun] = field(default_factory=list)


@dataclass(slots=True)
class Execution:
    """One pipeline execution; it keeps the declaration that it started with.

    Attributes:
        number: order of starting within the pipeline.
        stage_index: the stage it is in, or waits to enter.
    """

    id: str
    pipeline_arn: str
    number: int
    pipeline_version: int
    declaration: dict[str, Any]
    trigger_type: str
    trigger_detail: str
    started: datetime
    updated: datetime
    status: ExecutionStatus = ExecutionStatus.IN_PROGRESS
    status_summary: str | None = None
    stop_reason: str | None = None
    stage_index: int = 0
    stages: dict[str, StageRun] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    source_revisions: list[dict[str, str]] = field(default_factory=list)

    @property
    def stage_declaration(self) -> dict[str, Any]:
        """Return the declaration of the stage it is in or waits for."""
        stage: dict[str, Any] = self.declaration["stages"][self.stage_index]
        return stage

    def action_declaration(self, stage_name: str, action_name: str) -> dict[str, Any]:
        """Return the declaration of an action."""
        return next(
            action
            for stage in self.declaration["stages"]
            if stage["name"] == stage_name
            for action in stage["actions"]
            if action["name"] == action_name
        )

    @property
    def current_stage(self) -> StageRun | None:
        """Return the stage it has entered and not left, or None while it waits."""
        return self.stages.get(self.stage_declaration["name"])

    def move(self, status: ExecutionStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table has no such step.
        """
        if status not in EXECUTION_TRANSITIONS[self.status]:
            raise IllegalTransition(f"execution {self.id}: {self.status} to {status}")
        self.status = status
        self.updated = now
