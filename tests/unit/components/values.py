"""Settings for the tests, and Hypothesis strategies for valid settings."""

import json
from typing import Any

from hypothesis import strategies as st

from components import settings_loader
from components.settings import RETENTION_DAYS, StackSettings

MINIMAL = {
    "aws:region": "us-east-1",
    "environment": "dev",
    "owner": "ml-platform",
    "costCentre": "research",
    "instanceType": "ml.t2.medium",
}


def parse(values: dict[str, str]) -> StackSettings:
    """Return the settings of a stack named after its environment."""
    return settings_loader.parse(values, values.get("environment", "dev"))


model_names = st.from_regex(r"[a-z](-?[a-z0-9]){1,7}", fullmatch=True)
regions = st.sampled_from(["us-east-1", "eu-central-1", "ap-northeast-3", "us-gov-west-1"])
instance_types = st.sampled_from(["ml.m5.large", "ml.c6i.xlarge", "ml.m7i.2xlarge"])
hyperparameters = st.dictionaries(
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.\-]{0,12}", fullmatch=True),
    max_size=8,
)


def _name(change: dict[str, Any]) -> str:
    return str(change["name"])


@st.composite
def _scheduled(draw: st.DrawFn) -> dict[str, Any]:
    low = draw(st.integers(1, 50))
    change = {
        "name": draw(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)),
        "schedule": draw(
            st.sampled_from(["cron(0 7 ? * MON-FRI *)", "rate(1 day)", "at(2027-01-01T00:00:00)"])
        ),
        "min": low,
        "max": draw(st.integers(low, 100)),
    }
    zone = draw(st.sampled_from([None, "UTC", "Europe/Berlin"]))
    return change if zone is None else {**change, "timezone": zone}


scheduled = _scheduled()


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, str]:
    """Draw a valid configuration of any stack, as strings."""
    low = draw(st.integers(2, 50))
    high = draw(st.integers(low, 100))
    environment = draw(st.sampled_from(["dev", "prd"]))
    values: dict[str, Any] = {
        "aws:region": draw(regions),
        "modelName": draw(model_names),
        "owner": draw(st.sampled_from(["ml-platform", "team: a/b"])),
        "costCentre": "4711",
        "environment": environment,
        "instanceType": draw(instance_types),
        "initialInstanceCount": draw(st.integers(low, high)),
        "scaling": json.dumps(draw(st.booleans())),
        "minInstanceCount": low,
        "maxInstanceCount": high,
        "maxRequestsPerSecond": draw(st.floats(0.01, 100_000)),
        "scalingMetric": draw(st.sampled_from(["invocations", "concurrent-requests"])),
        "maxConcurrentRequests": draw(st.floats(0.1, 100_000)),
        "safetyFactor": draw(st.floats(0.1, 1)),
        "scaleInCooldownSeconds": draw(st.integers(0, 86_400)),
        "scaleOutCooldownSeconds": draw(st.integers(0, 86_400)),
        "executionMode": draw(st.sampled_from(["SUPERSEDED", "QUEUED"])),
        "imageScanSeverity": draw(st.sampled_from(["none", "LOW", "CRITICAL"])),
        "minimumAccuracy": draw(st.floats(0, 1)),
        "minimumMetric": draw(st.sampled_from(["{}", '{"f1_macro": 0.8, "log_loss": 1}'])),
        "sourceBranch": draw(st.sampled_from(["main", "release/2.0"])),
        "sourceApprovals": 0,
        "arm64Image": json.dumps(draw(st.booleans())),
        "sourceRepository": "acme/iris-model",
        "sourceConnectionArn": "arn:aws:codestar-connections:us-east-1:123456789012:connection/"
        "01234567-89ab-cdef-0123-456789abcdef",
        "approvalTimeoutMinutes": draw(st.integers(5, 86_400)),
        "notificationEmail": "ops@example.com",
        "monthlyBudgetUsd": draw(st.integers(0, 1_000_000)),
        "permissionsBoundary": draw(
            st.sampled_from(["", "arn:aws:iam::123456789012:policy/team/boundary"])
        ),
        "rolePath": "/",
        "networkIsolation": json.dumps(draw(st.booleans())),
        "vpcSubnets": '["subnet-0123456789abcdef0", "subnet-01234567"]',
        "vpcSecurityGroups": '["sg-0123456789abcdef0"]',
        "functionConcurrency": draw(st.integers(0, 1_000)),
        "tracing": json.dumps(draw(st.booleans())),
        "logRetentionDays": draw(st.sampled_from(RETENTION_DAYS)),
        "accessLogs": json.dumps(draw(st.booleans())),
        "rehearsal": json.dumps(draw(st.booleans())),
        "encryption": draw(st.sampled_from(["AES256", "aws:kms"])),
        "dataCapturePercent": draw(st.integers(0, 100)),
        "errorRatePercent": draw(st.floats(0, 100)),
        "latencyP99Milliseconds": draw(st.integers(1, 60_000)),
        "noInvocationsMinutes": draw(st.integers(0, 1_440)),
        "trafficShifting": draw(st.sampled_from(["ALL_AT_ONCE", "CANARY", "LINEAR"])),
        "trafficStepPercent": draw(st.integers(10, 50)),
        "bakeSeconds": draw(st.integers(180, 2_700)),
        "scheduledScaling": json.dumps(draw(st.lists(scheduled, max_size=3, unique_by=_name))),
        "trainingInstanceType": draw(instance_types),
        "trainingMaxRuntimeSeconds": draw(st.integers(60, 82_800)),
        "hyperparameters": json.dumps(draw(hyperparameters)),
        "approvalEmail": draw(st.sampled_from(["", "ops@example.com"])),
    }
    if environment == "dev":
        values["productionStack"] = draw(st.sampled_from(["", "organization/mlops-lab/prd"]))
    optional = sorted(set(values) - set(MINIMAL))
    kept = draw(st.sets(st.sampled_from(optional)))
    # The scaling settings are valid only together.
    if kept & {"scaling", "minInstanceCount", "maxInstanceCount", "initialInstanceCount"}:
        kept |= {"scaling", "minInstanceCount", "maxInstanceCount", "initialInstanceCount"}
    # Traffic shifts in steps only in a fleet, and its alarms need time.
    if "trafficShifting" in kept:
        kept |= {"bakeSeconds", "initialInstanceCount"}
        if kept & {"scaling", "minInstanceCount", "maxInstanceCount"}:
            kept |= {"scaling", "minInstanceCount", "maxInstanceCount"}
    # A VPC has subnets and groups.
    if kept & {"vpcSubnets", "vpcSecurityGroups"}:
        kept |= {"vpcSubnets", "vpcSecurityGroups"}
    # A source repository goes with its connection.
    if kept & {"sourceRepository", "sourceConnectionArn"}:
        kept |= {"sourceRepository", "sourceConnectionArn"}
    # A budget needs an address to notify.
    if "monthlyBudgetUsd" in kept:
        kept.add("notificationEmail")
    return {key: str(value) for key, value in values.items() if key in kept or key in MINIMAL}
