"""Settings of a stack: typed, checked, and wrong in one message only.

Owns the configuration keys of the project and is the only reader of ``pulumi.Config``;
``Pulumi.yaml`` declares the same keys for the CLI and editors. Must not: know resources.

    read() -> StackSettings        the running stack's configuration
    parse(values) -> StackSettings pure; raises SettingsError with every problem at once
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi
from pulumi.runtime import config as pulumi_config

from components.settings_reader import SettingsError, SettingsReader

__all__ = [
    "KEYS",
    "DeliverySettings",
    "EndpointSettings",
    "Environment",
    "ExecutionMode",
    "ScalingSettings",
    "SettingsError",
    "StackSettings",
    "TrainingSettings",
    "parse",
    "read",
]

REGION_KEY = "aws:region"
KEYS = (
    "modelName",
    "environment",
    "instanceType",
    "initialInstanceCount",
    "scaling",
    "minInstanceCount",
    "maxInstanceCount",
    "targetInvocationsPerInstance",
    "scaleInCooldownSeconds",
    "scaleOutCooldownSeconds",
    "productionStack",
    "approvalEmail",
    "executionMode",
    "minimumAccuracy",
    "imageTag",
    "trainingInstanceType",
    "trainingMaxRuntimeSeconds",
    "hyperparameters",
)

# 16, so that `mlops-NAME-template-prd-ACCOUNT-REGION` fits into a bucket's 63 characters.
_MODEL_NAME = re.compile(r"[a-z](-?[a-z0-9]){1,15}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z]+\d[a-z0-9-]*\.(medium|large|xlarge|\d{1,3}xlarge)")
_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_STACK_REFERENCE = re.compile(r"[\w.-]+(/[\w.-]+){0,2}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
# UserParameters of a pipeline action end at 1000 characters; about 560 go to the rest.
_HYPERPARAMETERS_LENGTH = 300


class Environment(StrEnum):
    """The two environments that a model passes through."""

    DEV = "dev"
    PRD = "prd"


class ExecutionMode(StrEnum):
    """How CodePipeline treats an execution that meets another one."""

    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"
    PARALLEL = "PARALLEL"


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """Target tracking of an endpoint's instance count.

    ``target_invocations_per_instance`` is per minute: the requests per second that one
    instance serves × safety factor 0.5 × 60. 4 requests/s give 120.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-loadtest.html
    """

    min_instance_count: int = 2
    max_instance_count: int = 10
    target_invocations_per_instance: int = 120
    scale_in_cooldown_seconds: int = 300
    scale_out_cooldown_seconds: int = 60


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The instances behind an endpoint; without ``scaling`` their number is fixed."""

    instance_type: str
    initial_instance_count: int = 1
    scaling: ScalingSettings | None = None


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a training job runs on and with."""

    image_tag: str = "latest"
    instance_type: str = "ml.m5.large"
    max_runtime_seconds: int = 3600
    hyperparameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How a model travels to production; without ``production_stack`` it ends at DEV."""

    production_stack: str | None = None
    approval_email: str | None = None
    execution_mode: ExecutionMode = ExecutionMode.SUPERSEDED
    minimum_accuracy: float = 0.8
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Everything that one stack is told."""

    model_name: str
    environment: Environment
    region: str
    endpoint: EndpointSettings
    delivery: DeliverySettings

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource of the stack."""
        return {
            "project": "mlops-lab",
            "model": self.model_name,
            "environment": self.environment.value,
            "managed-by": "pulumi",
        }


def read() -> StackSettings:
    """Read the running stack's configuration.

    Raises: SettingsError, naming every problem.
    """
    # pulumi.Config looks up single keys; unknown ones show only in the whole bag.
    everything = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    prefix = f"{pulumi.get_project()}:"
    values = {
        key.removeprefix(prefix): value if isinstance(value, str) else json.dumps(value)
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    region = pulumi.Config("aws").get("region")
    if region is not None:
        values[REGION_KEY] = region
    return parse(values)


def parse(values: Mapping[str, str]) -> StackSettings:
    """Turn configuration values into settings.

    Args:
        values: text by key, without the project's prefix, as Pulumi hands it over: numbers
            and booleans as text, structures as JSON; the region as ``aws:region``. Empty
            text is an absent value.

    Raises: SettingsError, naming every problem.
    """
    reader = SettingsReader(values, known=(*KEYS, REGION_KEY))
    settings = StackSettings(
        model_name=reader.text(
            "modelName",
            default="iris-model",
            pattern=_MODEL_NAME,
            allowed="2 to 16 lower-case letters, digits and single hyphens, a letter first",
            example="iris-model",
        ),
        environment=reader.choice("environment", Environment, example="dev"),
        region=reader.text(
            REGION_KEY,
            pattern=_REGION,
            allowed="an AWS region",
            example="us-east-1",
        ),
        endpoint=_endpoint(reader),
        delivery=_delivery(reader),
    )
    _check_environment(reader, settings)
    reader.raise_for_problems()
    return settings


def _endpoint(reader: SettingsReader) -> EndpointSettings:
    instance_type = _instance_type(reader, "instanceType", default=None)
    initial = reader.whole_number("initialInstanceCount", default=1, low=1, high=100)
    enabled = reader.boolean("scaling", default=False)
    scaling = ScalingSettings(
        min_instance_count=reader.whole_number("minInstanceCount", default=2, low=1, high=100),
        max_instance_count=reader.whole_number("maxInstanceCount", default=10, low=1, high=100),
        target_invocations_per_instance=reader.whole_number(
            "targetInvocationsPerInstance", default=120, low=1, high=1_000_000
        ),
        scale_in_cooldown_seconds=reader.whole_number(
            "scaleInCooldownSeconds", default=300, low=0, high=86_400
        ),
        scale_out_cooldown_seconds=reader.whole_number(
            "scaleOutCooldownSeconds", default=60, low=0, high=86_400
        ),
    )
    if not enabled:
        return EndpointSettings(instance_type, initial)
    low, high = scaling.min_instance_count, scaling.max_instance_count
    if low > high:
        reader.problem(
            "minInstanceCount", low, f"at most maxInstanceCount ({high})", "lower it, or raise that"
        )
    elif not low <= initial <= high:
        reader.problem(
            "initialInstanceCount",
            initial,
            f"{low} to {high} while scaling is on",
            f"set it to {low}",
        )
    if instance_type.startswith(("ml.t2.", "ml.t3.")):
        reader.problem(
            "instanceType",
            instance_type,
            "a type that SageMaker can scale; burstable ones it cannot",
            "use ml.m5.large, or set scaling to false",
        )
    return EndpointSettings(instance_type, initial, scaling)


def _delivery(reader: SettingsReader) -> DeliverySettings:
    production_stack = reader.text(
        "productionStack",
        default="",
        pattern=_STACK_REFERENCE,
        allowed="organization/project/stack, or empty",
        example="organization/mlops-lab/prd",
    )
    approval_email = reader.text(
        "approvalEmail",
        default="",
        pattern=_EMAIL,
        allowed="an e-mail address, or empty",
        example="ops@example.com",
    )
    return DeliverySettings(
        production_stack=production_stack or None,
        approval_email=approval_email or None,
        execution_mode=reader.choice(
            "executionMode", ExecutionMode, default=ExecutionMode.SUPERSEDED, example="SUPERSEDED"
        ),
        minimum_accuracy=reader.fraction("minimumAccuracy", default=0.8),
        training=TrainingSettings(
            image_tag=reader.text(
                "imageTag",
                default="latest",
                pattern=_IMAGE_TAG,
                allowed="1 to 128 letters, digits, '_', '.' and '-', the first a letter or digit",
                example="latest",
            ),
            instance_type=_instance_type(reader, "trainingInstanceType", default="ml.m5.large"),
            max_runtime_seconds=reader.whole_number(
                "trainingMaxRuntimeSeconds", default=3600, low=60, high=86_400
            ),
            hyperparameters=_hyperparameters(reader),
        ),
    )


def _instance_type(reader: SettingsReader, key: str, default: str | None) -> str:
    return reader.text(
        key,
        default=default,
        pattern=_INSTANCE_TYPE,
        allowed="a SageMaker instance type, ml.FAMILY.SIZE",
        example="ml.m5.large",
    )


def _hyperparameters(reader: SettingsReader) -> dict[str, str]:
    key, example = "hyperparameters", '{"n_estimators": "100"}'
    raw = reader.raw(key) or "{}"
    allowed = "a JSON object of texts, without '#{'"
    try:
        parsed = json.loads(raw)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        reader.problem(key, raw, allowed, f"write {example}")
        return {}
    # CodePipeline would read `#{` as one of its variables.
    if "#{" in raw or "" in parsed:
        reader.problem(key, raw, allowed + " and empty names", f"write {example}")
    length = len(json.dumps(parsed, separators=(",", ":")))
    if length > _HYPERPARAMETERS_LENGTH:
        reader.problem(
            key,
            f"{length} characters",
            f"at most {_HYPERPARAMETERS_LENGTH} characters of compact JSON",
            "leave out those that equal the container's defaults",
        )
    return parsed


def _check_environment(reader: SettingsReader, settings: StackSettings) -> None:
    reference = settings.delivery.production_stack
    if settings.environment is Environment.PRD and reference is not None:
        reader.problem(
            "productionStack",
            reference,
            "empty in an environment of prd, which nothing is delivered from",
            "remove it, or set environment to dev",
        )
