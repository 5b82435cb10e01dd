"""Records of CloudFormation.

    REVIEW_IN_PROGRESS ──► (when its change set is executed)
    CREATE_IN_PROGRESS ──► CREATE_COMPLETE
            └──► ROLLBACK_IN_PROGRESS ──► ROLLBACK_COMPLETE | ROLLBACK_FAILED
    UPDATE_IN_PROGRESS ──► UPDATE_COMPLETE
            └──► UPDATE_ROLLBACK_IN_PROGRESS ──► UPDATE_ROLLBACK_COMPLETE | …_FAILED
    DELETE_IN_PROGRESS ──► DELETE_COMPLETE | DELETE_FAILED

A change set has two statuses, that of itself and that of its execution:

    CREATE_PENDING ──► CREATE_IN_PROGRESS ──► CREATE_COMPLETE | FAILED
    UNAVAILABLE ──► AVAILABLE ──► EXECUTE_IN_PROGRESS ──► EXECUTE_COMPLETE | EXECUTE_FAILED
            └───────────┴──► OBSOLETE (the stack was changed meanwhile)

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class StackResource:
    """One resource of a stack.

    Attributes:
        properties: the rendered properties of its last creation or update.
        attributes: the values of Fn::GetAtt.
        token: the random end of the name that CloudFormation generates for it.
    """

    logical_id: str
    type: str
    properties: dict[str, Any]
    physical_id: str = ""
    status: str = ""
    reason: str | None = None
    changed: datetime | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    depends_on: list[str] = field(default_factory=list)
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    token: str = ""


@dataclass(slots=True)
class StackEvent:
    """One line of a stack's history.

    Attributes:
        properties: the resource's properties as JSON; empty for none, None for those of the last
            event of the resource.
        token: the ClientRequestToken of the operation.
    """

    id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str | None
    timestamp: datetime
    properties: str | None = ""
    token: str | None = None


@dataclass(slots=True)
class Stack:
    """One stack; a deleted one is still found by its id.

    Attributes:
        begun: the time at which its creation began; TimeoutInMinutes counts from it.
        imports: the names of the exports that it uses.
        unrolled: the resources that a failed rollback did not restore, as they were before.
        leftovers: the resources that a failed rollback did not delete.
        stored: the values of the parameters that name a parameter of Parameter Store.
        references: the values of the dynamic references to Parameter Store, by their names.
        new_body, new_parameters, new_stored, new_references: those of the update in progress.
        before: the resources as they were before the update in progress.
        surplus: the old resources that the update in progress has replaced.
        cancelled: whether the update in progress is to be cancelled.
        policy, policy_during_update: the stack policy, and the one that holds instead of it for
            the update in progress.
        applied_tags: the tags of the stack that its resources have; None in the record of a
            version that gave them none.
        rollback: the RollbackConfiguration, whose alarms are watched.
        monitored: the time at which the monitoring time of the operation in progress began.
        request_token: the ClientRequestToken of the last operation.
        skipped: the logical ids that the rollback in progress leaves as they are.
    """

    id: str
    name: str
    template_body: str
    parameters: dict[str, str]
    tags: dict[str, str]
    created: datetime
    status: str
    status_reason: str | None = None
    updated: datetime | None = None
    deleted: datetime | None = None
    role_arn: str | None = None
    capabilities: list[str] = field(default_factory=list)
    description: str | None = None
    disable_rollback: bool = False
    resources: dict[str, StackResource] = field(default_factory=dict)
    events: list[StackEvent] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    change_set_id: str | None = None
    begun: datetime | None = None
    on_failure: str | None = None
    timeout_minutes: int | None = None
    protected: bool = False
    policy: str | None = None
    policy_during_update: str | None = None
    applied_tags: dict[str, str] | None = None
    notification_arns: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    unrolled: dict[str, StackResource] = field(default_factory=dict)
    leftovers: list[StackResource] = field(default_factory=list)
    new_body: str | None = None
    new_parameters: dict[str, str] = field(default_factory=dict)
    new_stored: dict[str, str] = field(default_factory=dict)
    new_references: dict[str, str] = field(default_factory=dict)
    before: dict[str, StackResource] = field(default_factory=dict)
    surplus: list[StackResource] = field(default_factory=list)
    cancelled: bool = False
    skipped: list[str] = field(default_factory=list)
    rollback: dict[str, Any] = field(default_factory=dict)
    monitored: datetime | None = None
    request_token: str | None = None

    def forget_update(self) -> None:
        """Forget what only an update in progress needs."""
        self.new_body, self.new_parameters, self.new_stored = None, {}, {}
        self.new_references, self.policy_during_update = {}, None
        self.before, self.surplus = {}, []
        self.cancelled, self.skipped, self.monitored = False, [], None


@dataclass(slots=True)
class ChangeSet:
    """One change set.

    Attributes:
        type: CREATE or UPDATE.
        template_body, parameters, tags, role_arn, capabilities: the values that the stack takes
            over at the execution.
        stored, references: like those of a stack.
        changes: ResourceChange structures of the API.
        token: the ClientToken of the request, which identifies a retry.
    """

    id: str
    name: str
    stack_id: str
    stack_name: str
    type: str
    template_body: str
    parameters: dict[str, str]
    tags: dict[str, str]
    created: datetime
    description: str | None = None
    role_arn: str | None = None
    capabilities: list[str] = field(default_factory=list)
    on_stack_failure: str | None = None
    token: str | None = None
    status: str = "CREATE_PENDING"
    status_reason: str | None = None
    execution_status: str = "UNAVAILABLE"
    changes: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    notification_arns: list[str] = field(default_factory=list)
    rollback: dict[str, Any] | None = None

    @property
    def is_executed(self) -> bool:
        """Return whether the execution has begun."""
        return self.execution_status.startswith("EXECUTE_")
