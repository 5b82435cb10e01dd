"""Records of CodePipeline, and their legal transitions.

    Execution   InProgress ──► Succeeded | Failed | Superseded | Stopped
                    │  ▲
                    │  └── retry ── Failed
                    └──► Stopping ──► Stopped | Failed
    Action      InProgress ──► Succeeded | Failed | Abandoned (a rule's run too)
    Condition   InProgress ──► Succeeded | Failed | Errored | Abandoned
                                   Failed | Errored ── override ──► Overridden

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
Differs: an execution is never Cancelled; it ends with the declaration that it started with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.aws.errors import IllegalTransition


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
    SKIPPED = "Skipped"


class ActionStatus(StrEnum):
    """Status of an action execution."""

    IN_PROGRESS = "InProgress"
    ABANDONED = "Abandoned"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ConditionStatus(StrEnum):
    """Status of a condition of a stage."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERRORED = "Errored"
    OVERRIDDEN = "Overridden"
    ABANDONED = "Abandoned"


# The keys of conditions in a stage's declaration.
BEFORE_ENTRY, ON_SUCCESS, ON_FAILURE = "beforeEntry", "onSuccess", "onFailure"


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
    """One pipeline: its declaration, and its disabled transitions."""

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
    percent_complete: int | None = None
    configuration: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ConditionRun:
    """One evaluation of a stage's condition.

    Attributes:
        kind: BEFORE_ENTRY, ON_SUCCESS or ON_FAILURE.
        result: the result if the condition is not met.
        rules: the runs of its rules, in order.
    """

    kind: str
    status: ConditionStatus
    changed: datetime
    result: str
    summary: str | None = None
    rules: dict[str, ActionRun] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Return whether the execution may continue."""
        return self.status in (ConditionStatus.SUCCEEDED, ConditionStatus.OVERRIDDEN)


@dataclass(slots=True)
class StageRun:
    """One stage that an execution entered.

    Attributes:
        history: runs of actions that a retry replaced.
        conditions: the latest evaluation of each condition, by its kind.
        rule_history: evaluations of conditions that a retry replaced.
    """

    name: str
    status: StageStatus
    entered: datetime
    actions: dict[str, ActionRun] = field(default_factory=dict)
    history: list[ActionRun] = field(default_factory=list)
    conditions: dict[str, ConditionRun] = field(default_factory=dict)
    rule_history: list[ConditionRun] = field(default_factory=list)
    automatic_retries: int = 0
    manual_retries: int = 0
    last_retry: str | None = None


@dataclass(slots=True)
class Execution:
    """One pipeline execution, with the declaration that it started with.

    Attributes:
        number: its place in the order of starts within the pipeline. stage_index: index of the
        stage that it is in, or waits to enter. rollback_target: for a rollback, the execution whose
        artifacts and variables it uses; it runs
            one stage only. None for a standard execution.
        client_token: the token of the request that started it, which identifies a retry.
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
    rollback_target: str | None = None
    client_token: str | None = None

    @property
    def type(self) -> str:
        """Return STANDARD or ROLLBACK."""
        return "ROLLBACK" if self.rollback_target else "STANDARD"

    @property
    def is_in_last_stage(self) -> bool:
        """Return whether the current stage is the last one."""
        last = self.stage_index + 1 == len(self.declaration["stages"])
        return last or self.rollback_target is not None

    @property
    def stage_declaration(self) -> dict[str, Any]:
        """Return the declaration of the stage that it is in, or waits to enter."""
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

    def revisions_of(self, action_name: str) -> set[str]:
        """Return the requested revisions of a source action."""
        asked = {
            revision["revisionValue"]
            for revision in self.source_revisions
            if revision.get("actionName") == action_name
        }
        source = self.stages.get(self.declaration["stages"][0]["name"])
        run = source.actions.get(action_name) if source is not None else None
        outputs = run.outputs if run is not None else {}
        return asked | {outputs[key] for key in ("VersionId", "CommitId") if key in outputs}

    @property
    def current_stage(self) -> StageRun | None:
        """Return the stage that it has entered and not left, or None while it waits."""
        return self.stages.get(self.stage_declaration["name"])

    def move(self, status: ExecutionStatus, now: datetime) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table does not have this transition.
        """
        if status not in EXECUTION_TRANSITIONS[self.status]:
            raise IllegalTransition(f"execution {self.id}: {self.status} to {status}")
        self.status = status
        self.updated = now
