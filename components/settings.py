"""What a stack can be told, as types. What each key may hold is checked in ``configuration``.

Pure: values and what follows from them. Must not: read configuration, know resources.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Environment(StrEnum):
    """The two environments that a model passes through."""

    DEV = "dev"
    PRD = "prd"


class ExecutionMode(StrEnum):
    """How CodePipeline treats an execution that meets another one."""

    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"
    PARALLEL = "PARALLEL"


class Encryption(StrEnum):
    """How data at rest is encrypted: S3's own keys, or a KMS key of the stack."""

    AES256 = "AES256"
    KMS = "aws:kms"


class TrafficShifting(StrEnum):
    """How an endpoint's traffic moves to a new fleet.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
    """

    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"


@dataclass(frozen=True, slots=True)
class ScheduledCapacity:
    """A change of the scaling limits at a time.

    ``schedule`` is ``at(…)``, ``rate(…)`` or ``cron(…)`` in ``timezone``.
    Source: https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
    """

    name: str
    schedule: str
    min_instance_count: int
    max_instance_count: int
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """Target tracking of an endpoint's instance count.

    ``max_requests_per_second`` is what one instance was measured to serve.
    """

    min_instance_count: int = 2
    max_instance_count: int = 10
    max_requests_per_second: float = 4.0
    safety_factor: float = 0.5
    scale_in_cooldown_seconds: int = 300
    scale_out_cooldown_seconds: int = 60
    schedule: tuple[ScheduledCapacity, ...] = ()

    @property
    def target_invocations_per_instance(self) -> int:
        """Invocations per instance and minute to hold, at least 1.

        The requests per second that one instance serves × safety factor × 60, rounded to a
        whole number: 4 requests/s × 0.5 × 60 are 120.
        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-loadtest.html
        """
        return max(1, round(self.max_requests_per_second * self.safety_factor * 60))


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """How a new model takes over an endpoint.

    ``step_percent`` is the canary's size, or a linear step; ``bake_seconds`` passes after each
    step, and a rollback alarm in that time brings the old fleet back.
    """

    traffic_shifting: TrafficShifting = TrafficShifting.ALL_AT_ONCE
    step_percent: int = 10
    bake_seconds: int = 0

    @property
    def steps(self) -> int:
        """How many times traffic shifts."""
        if self.traffic_shifting is TrafficShifting.LINEAR:
            return math.ceil(100 / self.step_percent)
        return 2 if self.traffic_shifting is TrafficShifting.CANARY else 1


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """When an endpoint raises an alarm; ``no_invocations_minutes`` of 0 never does for silence."""

    latency_p99_milliseconds: int = 500
    no_invocations_minutes: int = 0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The instances behind an endpoint; without ``scaling`` their number is fixed."""

    instance_type: str
    initial_instance_count: int = 1
    scaling: ScalingSettings | None = None
    update: UpdateSettings = field(default_factory=UpdateSettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    data_capture_percent: int = 0


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a training job runs on and with."""

    instance_type: str = "ml.m5.large"
    max_runtime_seconds: int = 3600
    hyperparameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How a model travels to production; without ``production_stack`` it ends at DEV."""

    production_stack: str | None = None
    # Another account than the pipeline's own.
    production_account: str | None = None
    approval_email: str | None = None
    approval_timeout_minutes: int = 10_080
    execution_mode: ExecutionMode = ExecutionMode.SUPERSEDED
    minimum_accuracy: float = 0.8
    source_branch: str = "main"
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """How data is kept safe."""

    encryption: Encryption = Encryption.AES256
    access_logs: bool = False
    # A stack that protects cannot lose its data to one command.
    protect: bool = False


@dataclass(frozen=True, slots=True)
class OwnershipSettings:
    """Who is responsible, and who is told."""

    owner: str
    cost_centre: str
    notification_email: str | None = None
    monthly_budget_usd: int | None = None


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Everything that one stack is told."""

    stack: str
    model_name: str
    environment: Environment
    region: str
    ownership: OwnershipSettings
    safety: SafetySettings
    endpoint: EndpointSettings
    delivery: DeliverySettings
    # The account whose pipeline delivers to this production environment, if it is another one.
    delivery_account: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource of the stack."""
        return {
            "project": "mlops-lab",
            "stack": self.stack,
            "model": self.model_name,
            "environment": self.environment.value,
            "owner": self.ownership.owner,
            "cost-centre": self.ownership.cost_centre,
            "managed-by": "pulumi",
        }
