"""The stack's configuration: every key, what it may hold, and wrong in one message only.

Owns the configuration keys of the project and is the only reader of ``pulumi.Config``;
``Pulumi.yaml`` declares the same keys for the CLI and editors. Must not: know resources.

    read() -> StackSettings        the running stack's configuration
    parse(values) -> StackSettings pure; raises SettingsError with every problem at once
"""

import json
import re
from collections.abc import Mapping

import pulumi
from pulumi.runtime import config as pulumi_config

from components.endpoint_configuration import INSTANCE_TYPE, endpoint
from components.settings import (
    DeliverySettings,
    Encryption,
    Environment,
    ExecutionMode,
    OwnershipSettings,
    SafetySettings,
    StackSettings,
    TrainingSettings,
)
from components.settings_reader import SettingsError, SettingsReader

__all__ = ["KEYS", "REGION_KEY", "SettingsError", "parse", "read"]

REGION_KEY = "aws:region"
KEYS = (
    # The stack
    "modelName",
    "environment",
    "owner",
    "costCentre",
    "notificationEmail",
    "monthlyBudgetUsd",
    "encryption",
    "accessLogs",
    # The endpoint
    "instanceType",
    "initialInstanceCount",
    "dataCapturePercent",
    "latencyP99Milliseconds",
    "noInvocationsMinutes",
    "trafficShifting",
    "trafficStepPercent",
    "bakeSeconds",
    "scaling",
    "minInstanceCount",
    "maxInstanceCount",
    "maxRequestsPerSecond",
    "safetyFactor",
    "scaleInCooldownSeconds",
    "scaleOutCooldownSeconds",
    "scheduledScaling",
    # Delivery
    "productionStack",
    "productionAccount",
    "deliveryAccount",
    "approvalEmail",
    "approvalTimeoutMinutes",
    "executionMode",
    "minimumAccuracy",
    "sourceBranch",
    # Training
    "trainingInstanceType",
    "trainingMaxRuntimeSeconds",
    "hyperparameters",
)

# 16, so that `mlops-NAME-template-prd-ACCOUNT-REGION` fits into a bucket's 63 characters.
_MODEL_NAME = re.compile(r"[a-z](-?[a-z0-9]){1,15}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_STACK_REFERENCE = re.compile(r"[\w.-]+(/[\w.-]+){0,2}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
# What every AWS service takes as a tag's value, short enough for a cost report's column.
_TAG_VALUE = re.compile(r"[A-Za-z0-9 _.:/=+@-]{1,64}")
# UserParameters of a pipeline action end at 1000 characters; about 560 go to the rest.
_HYPERPARAMETERS_LENGTH = 300


def read() -> StackSettings:
    """Read the running stack's configuration.

    Raises: pulumi.RunError, naming every problem: of it, Pulumi shows the text without a traceback.
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
    try:
        return parse(values, pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def parse(values: Mapping[str, str], stack: str) -> StackSettings:
    """Turn configuration values into settings.

    Args:
        values: text by key, without the project's prefix, as Pulumi hands it over: numbers
            and booleans as text, structures as JSON; the region as ``aws:region``. Empty
            text is an absent value.
        stack: the stack's name.

    Raises: SettingsError, naming every problem.
    """
    reader = SettingsReader(values, known=(*KEYS, REGION_KEY))
    model_name = reader.text(
        "modelName",
        default="iris-model",
        pattern=_MODEL_NAME,
        allowed="2 to 16 lower-case letters, digits and single hyphens, a letter first",
        example="iris-model",
    )
    environment = reader.choice("environment", Environment, example="dev")
    region = reader.text(REGION_KEY, pattern=_REGION, allowed="an AWS region", example="us-east-1")
    settings = StackSettings(
        stack=stack,
        model_name=model_name,
        environment=environment,
        region=region,
        ownership=_ownership(reader),
        safety=SafetySettings(
            encryption=reader.choice(
                "encryption", Encryption, default=Encryption.AES256, example="AES256"
            ),
            access_logs=reader.boolean("accessLogs", default=False),
            protect=environment is Environment.PRD,
        ),
        endpoint=endpoint(reader),
        delivery=_delivery(reader),
        delivery_account=_account(reader, "deliveryAccount"),
    )
    _check_environment(reader, settings)
    reader.raise_for_problems()
    return settings


def _ownership(reader: SettingsReader) -> OwnershipSettings:
    def tag(key: str, example: str) -> str:
        return reader.text(
            key,
            pattern=_TAG_VALUE,
            allowed="1 to 64 letters, digits, blanks and _.:/=+@-",
            example=example,
        )

    budget = reader.whole_number("monthlyBudgetUsd", default=0, low=0, high=1_000_000)
    settings = OwnershipSettings(
        owner=tag("owner", "ml-platform"),
        cost_centre=tag("costCentre", "research"),
        notification_email=_email(reader, "notificationEmail"),
        monthly_budget_usd=budget or None,
    )
    if budget and settings.notification_email is None:
        reader.problem(
            "monthlyBudgetUsd",
            budget,
            "0 while nobody is told",
            "set notificationEmail, or leave the budget out",
        )
    return settings


def _delivery(reader: SettingsReader) -> DeliverySettings:
    production_stack = reader.text(
        "productionStack",
        default="",
        pattern=_STACK_REFERENCE,
        allowed="organization/project/stack, or empty",
        example="organization/mlops-lab/prd",
    )
    return DeliverySettings(
        production_stack=production_stack or None,
        production_account=_account(reader, "productionAccount"),
        approval_email=_email(reader, "approvalEmail"),
        approval_timeout_minutes=reader.whole_number(
            "approvalTimeoutMinutes", default=10_080, low=5, high=86_400
        ),
        execution_mode=reader.choice(
            "executionMode", ExecutionMode, default=ExecutionMode.SUPERSEDED, example="SUPERSEDED"
        ),
        minimum_accuracy=reader.fraction("minimumAccuracy", default=0.8),
        source_branch=reader.text(
            "sourceBranch",
            default="main",
            pattern=_BRANCH,
            allowed="a branch name of 1 to 100 letters, digits and ._/-",
            example="main",
        ),
        training=TrainingSettings(
            instance_type=reader.text(
                "trainingInstanceType", default="ml.m5.large", **INSTANCE_TYPE
            ),
            max_runtime_seconds=reader.whole_number(
                "trainingMaxRuntimeSeconds", default=3600, low=60, high=86_400
            ),
            hyperparameters=_hyperparameters(reader),
        ),
    )


def _email(reader: SettingsReader, key: str) -> str | None:
    found = reader.text(
        key,
        default="",
        pattern=_EMAIL,
        allowed="an e-mail address, or empty",
        example="ops@example.com",
    )
    return found or None


def _account(reader: SettingsReader, key: str) -> str | None:
    found = reader.text(
        key,
        default="",
        pattern=_ACCOUNT,
        allowed="an AWS account of 12 digits, or empty for the stack's own",
        example="123456789012",
    )
    return found or None


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
    delivery = settings.delivery
    if settings.environment is Environment.PRD:
        for key, value in (
            ("productionStack", delivery.production_stack),
            ("productionAccount", delivery.production_account),
        ):
            if value is not None:
                reader.problem(
                    key,
                    value,
                    "empty in an environment of prd, which nothing is delivered from",
                    "remove it, or set environment to dev",
                )
        account = settings.delivery_account
    else:
        account = delivery.production_account
        if settings.delivery_account is not None:
            reader.problem(
                "deliveryAccount",
                settings.delivery_account,
                "empty in an environment of dev, which delivers from its own account",
                "remove it, or set environment to prd",
            )
        if account is not None and delivery.production_stack is None:
            reader.problem(
                "productionAccount",
                account,
                "empty without a productionStack",
                "set productionStack, or remove it",
            )
    # The key of S3 itself cannot be shared with another account.
    if account is not None and settings.safety.encryption is not Encryption.KMS:
        reader.problem(
            "encryption",
            settings.safety.encryption.value,
            "aws:kms where two accounts share the artifacts",
            "set encryption to aws:kms in both stacks",
        )
