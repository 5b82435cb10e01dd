"""Every setting of a stack: its key, type, default, range and description, and what it becomes.

This is the one declaration of a setting. ``settings_loader.py`` reads the stack's configuration by
it, and a test compares ``Pulumi.yaml`` with it. To add a setting, add a field here, a check in
``settings_rules.py`` if it depends on another one, and the lines that ``make settings`` prints to
``Pulumi.yaml``.

Pure: values and what follows from them. Must not: read configuration, know resources.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from components.setting_documents import (
    hyperparameters,
    minimum_metric,
    resource_ids,
    scheduled_capacities,
)
from components.setting_kinds import (
    choice,
    document,
    flag,
    listed_number,
    number,
    string,
    switch,
    whole_number,
)


class Environment(StrEnum):
    """The two environments that a model passes through."""

    DEV = "dev"
    PRD = "prd"


class ExecutionMode(StrEnum):
    """CodePipeline's treatment of an execution that starts while another one runs."""

    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"
    PARALLEL = "PARALLEL"


class Encryption(StrEnum):
    """Encryption of data at rest: with S3's own keys, or with a KMS key of the stack."""

    AES256 = "AES256"
    KMS = "aws:kms"


class ImageScanSeverity(StrEnum):
    """The least severity of a finding in an image that stops its release.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
    """

    NONE = "none"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class DataShift(StrEnum):
    """The treatment of a dataset whose columns are distributed otherwise than the champion's."""

    WARN = "warn"
    STOP = "stop"


class PromotionGate(StrEnum):
    """The treatment of a model that is worse than the one in production."""

    BLOCK = "block"
    WARN = "warn"
    OFF = "off"


class RetrainOn(StrEnum):
    """The causes of an execution on the newest dataset, besides an upload."""

    NEVER = "never"
    DRIFT = "drift"
    SCHEDULE = "schedule"


class TrafficShifting(StrEnum):
    """Traffic shifting to a new fleet of an endpoint.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
    """

    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"


INSTANCE_TYPE = r"ml\.[a-z]+\d[a-z0-9-]*\.(medium|large|xlarge|\d{1,3}xlarge)"
INSTANCE_TYPE_ALLOWED = "a SageMaker instance type, ml.FAMILY.SIZE"
# What every AWS service accepts as a tag's value, short enough for a column of a cost report.
_TAG_VALUE = r"[A-Za-z0-9 _.:/=+@-]{1,64}"
_TAG_VALUE_ALLOWED = "1 to 64 letters, digits, blanks and _.:/=+@-"
_EMAIL = r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"
_EMAIL_ALLOWED = "an email address, or empty"
_ACCOUNT = r"[0-9]{12}"
_ACCOUNT_ALLOWED = "an AWS account of 12 digits, or empty for the stack's own"
_POLICY_ARN = r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}"
# As CodeConnections and CodeStar Connections, its former name, have them.
_CONNECTION_ARN = (
    r"arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:"
    r"connection/[0-9a-f-]{36}"
)
_REPOSITORY = r"(?![.-])[\w.-]{1,100}(/(?![.-])[\w.-]{1,100}){1,3}(?<!\.git)"
# The parameters of a pipeline's actions, which contain ARNs of roles, end at 1000 characters.
_ROLE_PATH = r"(?!/aws-)(?=.{1,64}\Z)/([A-Za-z0-9_+=,.@-]+/)*"
# Of EventBridge's rules. Its own check of the fields of cron(…) is not repeated here.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
NEVER = "never"
RATE_OR_CRON = (
    r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d{1,3}) (minutes|hours|days))\)"
    r"|cron\(\S+( \S+){5}\)"
)
REGION_KEY = "aws:region"
# The days that CloudWatch Logs accepts.
# Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


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


class ScalingMetric(StrEnum):
    """The metric that target tracking holds.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-code-define.html
    """

    INVOCATIONS = "invocations"
    CONCURRENT_REQUESTS = "concurrent-requests"


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """Target tracking of an endpoint's instance count."""

    min_instance_count: int = whole_number(
        "minInstanceCount", 2, low=1, high=100, description="Smallest number of instances."
    )
    max_instance_count: int = whole_number(
        "maxInstanceCount", 10, low=1, high=100, description="Largest number of instances."
    )
    max_requests_per_second: float = number(
        "maxRequestsPerSecond",
        4.0,
        low=0.01,
        high=100_000,
        description="Requests/s that one instance was measured to serve. "
        "The target is this × safetyFactor × 60 per minute.",
    )
    safety_factor: float = number(
        "safetyFactor",
        0.5,
        low=0.1,
        high=1,
        description="Share of maxRequestsPerSecond to aim at, 0.1 to 1. "
        "AWS suggests 0.5 as a starting point.",
    )
    scale_in_cooldown_seconds: int = whole_number(
        "scaleInCooldownSeconds",
        300,
        low=0,
        high=86_400,
        description="Seconds to wait after a scale-in before the next one.",
    )
    scale_out_cooldown_seconds: int = whole_number(
        "scaleOutCooldownSeconds",
        60,
        low=0,
        high=86_400,
        description="Seconds to wait after a scale-out before the next one.",
    )
    schedule: tuple[ScheduledCapacity, ...] = document(
        "scheduledScaling",
        "[]",
        parse=scheduled_capacities(ScheduledCapacity),
        allowed="a JSON list of scheduled changes",
        example='[{"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min": 4, "max": 10}]',
        description="Changes of the scaling limits by the clock: "
        "a JSON list of {name, schedule, min, max, timezone}; "
        "schedule is at(…), rate(…) or cron(…).",
    )
    metric: ScalingMetric = choice(
        "scalingMetric",
        ScalingMetric.INVOCATIONS,
        ScalingMetric,
        example="concurrent-requests",
        description="The metric to hold: invocations per minute, or concurrent-requests, which "
        "AWS measures every ten seconds, so that an endpoint scales out within a minute.",
    )
    max_concurrent_requests: float = number(
        "maxConcurrentRequests",
        10,
        low=0.1,
        high=100_000,
        description="Requests that one instance was measured to answer at once. With the metric "
        "concurrent-requests the target is this × safetyFactor.",
    )

    @property
    def target(self) -> float:
        """The value of the metric to hold, per instance."""
        if self.metric is ScalingMetric.INVOCATIONS:
            return self.target_invocations_per_instance
        return round(self.max_concurrent_requests * self.safety_factor, 3)

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
    """Blue/green update of an endpoint to a new model."""

    traffic_shifting: TrafficShifting = choice(
        "trafficShifting",
        TrafficShifting.ALL_AT_ONCE,
        TrafficShifting,
        example="CANARY",
        description="How a new model takes over the traffic: ALL_AT_ONCE, CANARY or LINEAR. "
        "An alarm during the shift rolls it back.",
    )
    step_percent: int = whole_number(
        "trafficStepPercent",
        10,
        low=1,
        high=50,
        description="Size of the canary (1 to 50) or of a linear step (10 to 50), "
        "in percent of the fleet.",
    )
    bake_seconds: int = whole_number(
        "bakeSeconds",
        0,
        low=0,
        high=3_600,
        description="Seconds to watch the alarms after each step of traffic.",
    )

    @property
    def steps(self) -> int:
        """Number of traffic shifts."""
        if self.traffic_shifting is TrafficShifting.LINEAR:
            return math.ceil(100 / self.step_percent)
        return 2 if self.traffic_shifting is TrafficShifting.CANARY else 1


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """Thresholds of an endpoint's alarms."""

    latency_p99_milliseconds: int = whole_number(
        "latencyP99Milliseconds",
        500,
        low=1,
        high=60_000,
        description="Alarm if the model takes longer for 1 request in 100 (p99).",
    )
    error_rate_percent: float = number(
        "errorRatePercent",
        1,
        low=0,
        high=100,
        description="Alarm if more than this percentage of requests get a 5xx response, "
        "in 2 of 3 minutes.",
    )
    # CloudWatch looks back a day at most.
    no_invocations_minutes: int = whole_number(
        "noInvocationsMinutes",
        0,
        low=0,
        high=1_440,
        description="Alarm if the endpoint receives no invocations for this many minutes; "
        "0 disables it.",
    )


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """The monitor, which compares what the endpoint captures with the training data."""

    schedule: str = string(
        "monitorSchedule",
        "rate(1 hour)",
        pattern=f"{NEVER}|{RATE_OR_CRON}",
        allowed="rate(NUMBER UNIT), cron(…) or never",
        example="rate(1 hour)",
        description="When the monitor compares what the endpoint captured with the training data: "
        "rate(…) or cron(…), in UTC; never turns it off. It needs dataCapturePercent.",
    )
    instance_type: str = string(
        "monitorInstanceType",
        "ml.m5.large",
        pattern=INSTANCE_TYPE,
        allowed=INSTANCE_TYPE_ALLOWED,
        example="ml.m5.large",
        description="SageMaker instance type that runs the monitor's processing jobs.",
    )
    instance_count: int = whole_number(
        "monitorInstanceCount",
        1,
        low=1,
        high=20,
        description="Instances that share a run of the monitor; "
        "with more than one, a second job merges what they found.",
    )
    psi_drift: float = number(
        "driftPsi",
        0.25,
        low=0.01,
        high=10,
        description="Population stability index from which on a column has drifted; 0.25 is usual.",
    )
    minimum_rows: int = whole_number(
        "driftMinimumRows",
        100,
        low=10,
        high=1_000_000,
        description="With fewer rows, a run of the monitor gives no verdict.",
    )
    alarm_runs: int = whole_number(
        "driftAlarmRuns",
        1,
        low=0,
        high=100,
        description="Alarm if so many runs in a row drifted; 0 disables it.",
    )
    minimum_live_accuracy: float = number(
        "minimumLiveAccuracy",
        0,
        low=0,
        high=1,
        description="Alarm if the accuracy on labels that arrived later is below it, 0 to 1; "
        "0 disables it.",
    )


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The instances behind an endpoint; without ``scaling`` their number is fixed."""

    instance_type: str = string(
        "instanceType",
        None,
        pattern=INSTANCE_TYPE,
        allowed=INSTANCE_TYPE_ALLOWED,
        example="ml.m5.large",
        description="SageMaker instance type that hosts the endpoint, for example ml.m5.large.",
    )
    initial_instance_count: int = whole_number(
        "initialInstanceCount",
        1,
        low=1,
        high=100,
        description="Number of instances when the endpoint is created.",
    )
    scaling: ScalingSettings | None = switch(
        "scaling",
        description="Scale the endpoint by target tracking. "
        "The settings from minInstanceCount to scheduledScaling configure it.",
    )
    update: UpdateSettings = field(default_factory=UpdateSettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    data_capture_percent: int = whole_number(
        "dataCapturePercent",
        0,
        low=0,
        high=100,
        description="Percentage of requests and responses that SageMaker writes to S3; "
        "0 captures nothing.",
    )
    monitor: MonitorSettings = field(default_factory=MonitorSettings)

    @property
    def monitored(self) -> bool:
        """True if the monitor runs: it has a schedule, and there are captures."""
        return self.monitor.schedule != NEVER and self.data_capture_percent > 0


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The instance and the hyperparameters of a training job."""

    instance_type: str = string(
        "trainingInstanceType",
        "ml.m5.large",
        pattern=INSTANCE_TYPE,
        allowed=INSTANCE_TYPE_ALLOWED,
        example="ml.m5.large",
        description="SageMaker instance type that runs the training job.",
    )
    max_runtime_seconds: int = whole_number(
        "trainingMaxRuntimeSeconds",
        3600,
        low=60,
        high=86_400,
        description="Seconds after which SageMaker stops a training job.",
    )
    hyperparameters: Mapping[str, str] = document(
        "hyperparameters",
        "{}",
        parse=hyperparameters,
        allowed="a JSON object of strings, without '#{'",
        example='{"n_estimators": "100"}',
        description="Hyperparameters of the training job: a JSON object of strings.",
    )


@dataclass(frozen=True, slots=True)
class RetrainingSettings:
    """The causes of executions of the pipeline."""

    upload: bool = flag(
        "trainOnUpload",
        True,
        description="Start the pipeline on each upload of a dataset. If not, retrainOn or a person "
        "starts it, on the newest dataset.",
    )
    on: RetrainOn = choice(
        "retrainOn",
        RetrainOn.NEVER,
        RetrainOn,
        example="drift",
        description="What starts the pipeline on the newest dataset, besides an upload: drift "
        "(the alarm of production's monitor), schedule or never. A retrained model that is no "
        "better than the one in production is not promoted.",
    )
    schedule: str = string(
        "retrainSchedule",
        "rate(7 days)",
        pattern=RATE_OR_CRON,
        allowed="rate(NUMBER UNIT) or cron(…)",
        example="rate(7 days)",
        description="When the pipeline starts if retrainOn is schedule: rate(…) or cron(…), "
        "in UTC.",
    )
    cooldown_hours: int = whole_number(
        "retrainCooldownHours",
        24,
        low=0,
        high=8_760,
        description="Hours in which retraining starts the pipeline at most once.",
    )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Delivery of a model to production; without ``production_stack``, it ends at DEV."""

    production_stack: str | None = string(
        "productionStack",
        "",
        pattern=r"[\w.-]+(/[\w.-]+){0,2}",
        allowed="organization/project/stack, or empty",
        example="organization/mlops-lab/prd",
        description="Stack of the production environment, as organization/project/stack. "
        "If empty, the pipeline ends after DEV.",
    )
    production_account: str | None = string(
        "productionAccount",
        "",
        pattern=_ACCOUNT,
        allowed=_ACCOUNT_ALLOWED,
        example="123456789012",
        description="In dev: account of the production stack if it is another one. "
        "Requires encryption aws:kms.",
    )
    approval_email: str | None = string(
        "approvalEmail",
        "",
        pattern=_EMAIL,
        allowed=_EMAIL_ALLOWED,
        example="ops@example.com",
        description="Email address that is notified when a deployment waits for approval. "
        "If empty, nobody is.",
    )
    approval_timeout_minutes: int = whole_number(
        "approvalTimeoutMinutes",
        10_080,
        low=5,
        high=86_400,
        description="Minutes after which a pending approval is rejected, 5 to 86400. "
        "10080 is 7 days.",
    )
    execution_mode: ExecutionMode = choice(
        "executionMode",
        ExecutionMode.SUPERSEDED,
        ExecutionMode,
        example="SUPERSEDED",
        description="How concurrent pipeline executions are handled: SUPERSEDED or QUEUED.",
    )
    minimum_accuracy: float = number(
        "minimumAccuracy",
        0.8,
        low=0,
        high=1,
        description="Accuracy (for a regression, R²) that the smoke test requires, 0 to 1.",
    )
    minimum_metric: Mapping[str, float] = document(
        "minimumMetric",
        "{}",
        parse=minimum_metric,
        allowed="a JSON object of limits by metric",
        example='{"f1_macro": 0.8}',
        description="Limits of a trained model's metrics on the validation rows, as a JSON object: "
        "at least so much accuracy, f1_macro, roc_auc, average_precision or r2, at most so much "
        "log_loss, brier_score, rmse or mae. Train fails beyond a limit.",
    )
    data_shift: DataShift = choice(
        "dataShift",
        DataShift.WARN,
        DataShift,
        example="warn",
        description="What CheckData does with a dataset whose distribution has shifted from that "
        "of the model in production: warn, or stop the pipeline.",
    )
    promotion_gate: PromotionGate = choice(
        "promotionGate",
        PromotionGate.BLOCK,
        PromotionGate,
        example="block",
        description="What Evaluate does with a model that is worse than the one in production on "
        "the same rows: block it, warn, or off, which leaves the action out.",
    )
    maximum_regression: float = number(
        "maximumRegression",
        0,
        low=0,
        high=1,
        description="How much worse than the one in production a model may be, with 95 % "
        "confidence, in accuracy (for a regression, R²), 0 to 1.",
    )
    rehearsal: bool = flag(
        "rehearsal",
        True,
        description="Send what production was asked to a new model and to the one in production "
        "before a person approves it, and report what they answer differently (Rehearse).",
    )
    source_branch: str = string(
        "sourceBranch",
        "main",
        pattern=r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}",
        allowed="a branch name of 1 to 100 letters, digits and ._/-",
        example="main",
        description="Branch of the source repository whose pushes build the model image.",
    )
    source_approvals: int = whole_number(
        "sourceApprovals",
        0,
        low=0,
        high=10,
        description="Approvals that a pull request into sourceBranch of the CodeCommit repository "
        "needs before it can be merged; 0 requires none.",
    )
    source_repository: str | None = string(
        "sourceRepository",
        "",
        pattern=_REPOSITORY,
        allowed="ORG/REPO without .git, or empty for CodeCommit",
        example="acme/iris-model",
        description="Repository of GitHub or its like with the source of the model image, as "
        "ORG/REPO. If empty, the stack has a CodeCommit repository. Requires sourceConnectionArn.",
    )
    source_connection_arn: str | None = string(
        "sourceConnectionArn",
        "",
        pattern=_CONNECTION_ARN,
        allowed="the ARN of a connection of CodeConnections, or empty",
        example="arn:aws:codeconnections:us-east-1:123456789012:connection/"
        "01234567-89ab-cdef-0123-456789abcdef",
        description="ARN of the connection through which the pipeline reads sourceRepository. "
        "It has to exist, and a person has to have authorised it.",
    )
    arm64_image: bool = flag(
        "arm64Image",
        False,
        description="Build the model image for arm64, too, from the same commit. Endpoints on Arm "
        "types, such as ml.c8g.large, need it.",
    )
    image_scan_severity: ImageScanSeverity = choice(
        "imageScanSeverity",
        ImageScanSeverity.NONE,
        ImageScanSeverity,
        example="CRITICAL",
        description="An image with a finding of this severity or a higher one is not released: "
        "LOW, MEDIUM, HIGH or CRITICAL; none releases any image.",
    )
    training: TrainingSettings = field(default_factory=TrainingSettings)
    retraining: RetrainingSettings = field(default_factory=RetrainingSettings)

    @property
    def rehearses(self) -> bool:
        """True if candidates are rehearsed with the captures of a production in this account.

        The captures of another account stay there.
        """
        return (
            self.rehearsal and self.production_stack is not None and self.production_account is None
        )


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Protection of data."""

    encryption: Encryption = choice(
        "encryption",
        Encryption.AES256,
        Encryption,
        example="AES256",
        description="Encryption of data at rest: AES256 uses the services' own keys, "
        "aws:kms a key of the stack. Must be equal in both stacks.",
    )
    access_logs: bool = flag(
        "accessLogs",
        False,
        description="Keep S3 access logs of the stack's buckets for a year, "
        "in a bucket of their own.",
    )
    # No setting: production cannot lose its data to one command.
    protect: bool = False


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The network of the model's containers, of training jobs and of the functions."""

    isolation: bool = flag(
        "networkIsolation",
        True,
        description="Run training jobs and models without network access and without AWS "
        "credentials (EnableNetworkIsolation).",
    )
    # SageMaker and Lambda take 16 subnets and 5 groups.
    subnets: tuple[str, ...] = document(
        "vpcSubnets",
        "[]",
        parse=resource_ids("vpcSubnets", "subnet", 16),
        allowed="a JSON list of at most 16 subnet ids",
        example='["subnet-0123456789abcdef0"]',
        description="Subnets of the model's instances, of training jobs and of the functions: "
        "a JSON list of ids; [] for no VPC. Requires vpcSecurityGroups.",
    )
    security_groups: tuple[str, ...] = document(
        "vpcSecurityGroups",
        "[]",
        parse=resource_ids("vpcSecurityGroups", "sg", 5),
        allowed="a JSON list of at most 5 security group ids",
        example='["sg-0123456789abcdef0"]',
        description="Security groups in the VPC of vpcSubnets: a JSON list of ids.",
    )

    @property
    def vpc_config(self) -> dict[str, list[str]] | None:
        """The VpcConfig of SageMaker's models and training jobs; None without a VPC."""
        if not self.subnets:
            return None
        return {"Subnets": list(self.subnets), "SecurityGroupIds": list(self.security_groups)}


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """The concurrency and the tracing of the pipeline's functions."""

    concurrency: int = whole_number(
        "functionConcurrency",
        0,
        low=0,
        high=1_000,
        description="Reserved concurrency of each function of the pipeline; 0 reserves none.",
    )
    tracing: bool = flag(
        "tracing",
        False,
        description="Trace the functions of the pipeline by X-Ray (Active).",
    )


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """The path and the permissions boundary of every IAM role."""

    permissions_boundary: str | None = string(
        "permissionsBoundary",
        "",
        pattern=_POLICY_ARN,
        allowed="the ARN of an IAM policy, or empty",
        example="arn:aws:iam::123456789012:policy/boundary",
        description="ARN of the policy that is the permissions boundary of every role. "
        "If empty, roles have none.",
    )
    path: str = string(
        "rolePath",
        "/",
        pattern=_ROLE_PATH,
        allowed="/, or names between slashes of 64 characters at most, outside AWS's own paths",
        example="/mlops/",
        description="IAM path of every role. Must be equal in both stacks.",
    )


@dataclass(frozen=True, slots=True)
class OwnershipSettings:
    """Owner, cost centre and recipients of notifications."""

    owner: str = string(
        "owner",
        None,
        pattern=_TAG_VALUE,
        allowed=_TAG_VALUE_ALLOWED,
        example="ml-platform",
        description="Team or person responsible for the stack; the tag owner of every resource.",
    )
    cost_centre: str = string(
        "costCentre",
        None,
        pattern=_TAG_VALUE,
        allowed=_TAG_VALUE_ALLOWED,
        example="research",
        description="Cost centre that pays; the tag cost-centre of every resource.",
    )
    notification_email: str | None = string(
        "notificationEmail",
        "",
        pattern=_EMAIL,
        allowed=_EMAIL_ALLOWED,
        example="ops@example.com",
        description="Email address that receives notifications of alarms, failed pipelines and "
        "the budget. If empty, nobody does.",
    )
    monthly_budget_usd: int = whole_number(
        "monthlyBudgetUsd",
        0,
        low=0,
        high=1_000_000,
        description="US dollars per month; notificationEmail is notified at 80 % spent and at "
        "100 % forecast. 0 creates no budget.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """All settings of one stack."""

    stack: str
    # 16, so that `mlops-NAME-template-prd-ACCOUNT-REGION` fits into a bucket's 63 characters.
    model_name: str = string(
        "modelName",
        "iris-model",
        pattern=r"[a-z](-?[a-z0-9]){1,15}",
        allowed="2 to 16 lower-case letters, digits and single hyphens, a letter first",
        example="iris-model",
        description="Name of the model; every resource's name starts with it. "
        "Must be equal in both stacks.",
    )
    environment: Environment = choice(
        "environment",
        None,
        Environment,
        example="dev",
        description="dev = data lake, image build, delivery pipeline and DEV endpoint; "
        "prd = the environment of the production endpoint.",
    )
    region: str = string(
        REGION_KEY,
        None,
        pattern=r"(?!cn-)[a-z]{2}(-[a-z]+)+-\d",
        allowed="an AWS region outside China and the sovereign clouds, whose services have other "
        "host names and lack some that the lab needs",
        example="us-east-1",
        description="AWS region of the stack.",
    )
    ownership: OwnershipSettings
    safety: SafetySettings
    roles: RoleSettings = field(default_factory=RoleSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    functions: FunctionSettings = field(default_factory=FunctionSettings)
    log_retention_days: int = listed_number(
        "logRetentionDays",
        30,
        numbers=RETENTION_DAYS,
        example=30,
        description="Days after which the lines in the stack's log groups expire: those of the "
        "functions, of the image build and of the endpoint. One of CloudWatch's values, 1 to 3653.",
    )
    endpoint: EndpointSettings
    delivery: DeliverySettings
    delivery_account: str | None = string(
        "deliveryAccount",
        "",
        pattern=_ACCOUNT,
        allowed=_ACCOUNT_ALLOWED,
        example="123456789012",
        description="In prd: account of the pipeline that delivers here if it is another one. "
        "Requires encryption aws:kms.",
    )

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
