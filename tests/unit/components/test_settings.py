"""Settings: defaults, every problem at once, and the declared configuration."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.setting_kinds import SettingsError
from components.settings import (
    AlarmSettings,
    Encryption,
    EndpointSettings,
    Environment,
    ExecutionMode,
    ScalingMetric,
    ScalingSettings,
    TrafficShifting,
    UpdateSettings,
)
from components.settings_file import MARK, config_section
from components.settings_loader import KEYS, declared
from tests.unit.components.recording import ROOT, stack_config
from tests.unit.components.values import MINIMAL, configurations, parse

SCALED = {"scaling": "true", "instanceType": "ml.m5.large", "initialInstanceCount": "2"}
# For each key, values that it must refuse.
INVALID = {
    "modelName": ["Iris", "-iris", "iris--model", "iris_model", "i", "a" * 17, "1iris", "iris-"],
    "environment": ["", "prod", "DEV"],
    "owner": ["", "a" * 65, "a\tb", "größe"],
    "costCentre": ["", "a;b"],
    "notificationEmail": ["ops", "@example.com"],
    "monthlyBudgetUsd": ["-1", "10.5", "1000001"],
    "encryption": ["kms", "aes256", "none"],
    "accessLogs": ["yes"],
    "permissionsBoundary": [
        "boundary",
        "arn:aws:iam::123456789012:role/boundary",
        "arn:aws:iam::1234:policy/boundary",
        "arn:aws:iam::123456789012:policy/",
    ],
    "rolePath": ["mlops", "/mlops", "mlops/", "//", "/a b/", "/aws-service-role/", f"/{'a' * 63}/"],
    "networkIsolation": ["on"],
    "vpcSubnets": [
        "subnet-0123456789abcdef0",
        '["subnet-xyz"]',
        '["sg-01234567"]',
        "[1]",
        '["subnet-01234567", "subnet-01234567"]',
        json.dumps([f"subnet-{n:08x}" for n in range(17)]),
    ],
    "vpcSecurityGroups": [
        "{}",
        '["subnet-01234567"]',
        json.dumps([f"sg-{n:08x}" for n in range(6)]),
    ],
    "functionConcurrency": ["-1", "1001", "few"],
    "tracing": ["Active"],
    "logRetentionDays": ["0", "31", "-1", "030", "1, 3", "3654", "never"],
    "dataCapturePercent": ["-1", "101", "10%"],
    "latencyP99Milliseconds": ["0", "60001"],
    "errorRatePercent": ["-0.1", "101", "few"],
    "noInvocationsMinutes": ["-1", "1441"],
    "trafficShifting": ["canary", "BLUE_GREEN"],
    "trafficStepPercent": ["0", "51"],
    "bakeSeconds": ["-1", "3601"],
    "productionAccount": ["1234", "12345678901a"],
    "deliveryAccount": ["1234"],
    "approvalTimeoutMinutes": ["4", "86401"],
    "instanceType": ["", "m5.large", "ml.m5", "ml.m5.lage", "ml.m5.large "[:-2], "ml..large"],
    "initialInstanceCount": ["0", "-1", "1.5", "two", "101", "9" * 5000, "１"],
    "scaling": ["yes", "True", "1"],
    "minInstanceCount": ["0", "x", "1e1"],
    "maxInstanceCount": ["0", "101"],
    "scalingMetric": ["cpu", "INVOCATIONS", "concurrent"],
    "maxConcurrentRequests": ["0", "100001", "many", "nan"],
    "maxRequestsPerSecond": ["0", "100001", "fast", "nan"],
    "safetyFactor": ["0", "0.05", "1.1", "half"],
    "scheduledScaling": [
        "{",
        "{}",
        "[1]",
        '[{"name": "a", "schedule": "cron(0 7 * * ? *)", "min": 1}]',
        '[{"name": "a b", "schedule": "cron(0 7 * * ? *)", "min": 1, "max": 2}]',
        '[{"name": "a", "schedule": "daily", "min": 1, "max": 2}]',
        '[{"name": "a", "schedule": "rate(1 day)", "min": 3, "max": 2}]',
        '[{"name": "a", "schedule": "rate(1 day)", "min": "1", "max": 2}]',
        '[{"name": "a", "schedule": "rate(1 day)", "min": 1, "max": 2, "timezone": "Mars/X"}]',
        '[{"name": "a", "schedule": "rate(1 day)", "min": 1, "max": 2, "desired": 2}]',
    ],
    "scaleInCooldownSeconds": ["-1", "86401"],
    "scaleOutCooldownSeconds": ["-1", "fast"],
    "productionStack": ["a/b/c/d", "prd stack", "/prd"],
    "approvalEmail": ["ops", "ops@", "a b@example.com", "ops@example"],
    "executionMode": ["superseded", "SERIAL"],
    "dataShift": ["block", "WARN"],
    "promotionGate": ["stop", "BLOCK"],
    "rehearsal": ["on", "1"],
    "maximumRegression": ["-0.1", "1.5", "much"],
    "monitorSchedule": [
        *("hourly", "rate(1 hours)", "rate(0 hours)", "rate(2 hour)", "cron(0 * * * *)"),
        *("Never", "at(2026-01-01T00:00:00)"),
    ],
    "monitorInstanceType": ["ml.m5", "m5.large"],
    "monitorInstanceCount": ["0", "21", "one"],
    "driftPsi": ["0", "11", "nan"],
    "driftMinimumRows": ["9", "1000001"],
    "driftAlarmRuns": ["-1", "101", "1.5"],
    "minimumLiveAccuracy": ["-0.1", "1.1", "nan"],
    "trainOnUpload": ["yes", "1", "False "],
    "retrainOn": ["always", "Drift", "alarm"],
    "retrainSchedule": ["weekly", "rate(1 days)", "never"],
    "retrainCooldownHours": ["-1", "8761", "a day"],
    "arm64Image": ["yes", "True"],
    "imageScanSeverity": ["None", "critical", "UNDEFINED"],
    "minimumAccuracy": ["-0.1", "1.1", "nan", "inf", "high"],
    "minimumMetric": ["[]", '{"f2": 1}', '{"f1_macro": 1.5}', '{"r2": true}', '{"mae": "1"}', "{"],
    "sourceBranch": ["-x", "a b", "x" * 101, "/main"],
    "sourceApprovals": ["-1", "11", "two"],
    "sourceRepository": ["repo", "org/repo.git", "/org/repo", "org/../repo", "a/b/c/d/e", "a b/c"],
    "sourceConnectionArn": [
        "arn:aws:codeconnections:us-east-1:1:connection/01234567-89ab-cdef-0123-456789abcdef",
        "arn:aws:codecommit:us-east-1:123456789012:iris-model",
        "iris-model",
    ],
    "trainingInstanceType": ["ml.m5", "t2.micro"],
    "trainingMaxRuntimeSeconds": ["59", "86401"],
    "hyperparameters": [
        "[]",
        "{",
        '{"a": 1}',
        '{"a": "#{b}"}',
        '{"": "1"}',
        '{"a": "%s"}' % ("x" * 400),
    ],
    "aws:region": ["", "us-east", "mars"],
}


def problems_of(values: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(values)
    return caught.value.problems


def test_five_values_are_enough_for_a_stack() -> None:
    settings = parse(MINIMAL)
    assert settings.environment == Environment.DEV
    assert settings.model_name == "iris-model"
    assert settings.endpoint == EndpointSettings("ml.t2.medium", 1, None)
    assert settings.safety.encryption == Encryption.AES256
    assert settings.delivery.production_stack is None
    assert settings.delivery.execution_mode == ExecutionMode.SUPERSEDED


def test_the_production_file_scales_from_two_to_ten_instances() -> None:
    values = {key.removeprefix("mlops-lab:"): value for key, value in stack_config("prd").items()}
    assert parse(values).endpoint == EndpointSettings(
        "ml.m5.large",
        2,
        ScalingSettings(2, 10, 4.0, 0.5, 300, 60),
        update=UpdateSettings(TrafficShifting.CANARY, 10, 300),
        alarms=AlarmSettings(no_invocations_minutes=60),
        data_capture_percent=10,
    )
    assert parse(values).endpoint.monitored


def test_the_monitor_needs_captures_and_a_schedule() -> None:
    captured = {**MINIMAL, "dataCapturePercent": "100"}
    assert not parse(MINIMAL).endpoint.monitored
    assert parse(captured).endpoint.monitored
    assert not parse({**captured, "monitorSchedule": "never"}).endpoint.monitored


def test_the_monitors_instances_are_of_a_type_for_processing() -> None:
    captured = {**MINIMAL, "dataCapturePercent": "100", "monitorInstanceType": "ml.m99.large"}
    (problem,) = problems_of(captured)
    assert problem.startswith("monitorInstanceType: bad value 'ml.m99.large'")
    assert "that SageMaker runs processing jobs on" in problem
    assert not parse({**captured, "monitorSchedule": "never"}).endpoint.monitored


DELIVERED = {**MINIMAL, "productionStack": "organization/mlops-lab/prd"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {**DELIVERED, "retrainOn": "drift", "promotionGate": "off"},
            "promotionGate: bad value 'off'; allowed: block or warn if retrainOn is drift",
        ),
        (
            {**MINIMAL, "retrainOn": "drift"},
            "retrainOn: bad value 'drift'; allowed: schedule or never without a productionStack",
        ),
        (
            {
                **DELIVERED,
                "retrainOn": "drift",
                "productionAccount": "123456789012",
                "encryption": "aws:kms",
            },
            "retrainOn: bad value 'drift'; allowed: schedule or never with a productionAccount",
        ),
    ],
)
def test_retraining_that_cannot_work_is_refused(values: dict[str, str], problem: str) -> None:
    assert [found for found in problems_of(values) if found.startswith(problem)]
    assert parse({**DELIVERED, "retrainOn": "drift"}).delivery.retraining.cooldown_hours == 24


def test_the_target_is_half_of_what_an_instance_serves_in_a_minute() -> None:
    assert ScalingSettings(max_requests_per_second=4).target_invocations_per_instance == 120
    scaling = ScalingSettings(max_requests_per_second=37.5, safety_factor=0.8)
    assert scaling.target_invocations_per_instance == 1800
    at_once = ScalingSettings(
        metric=ScalingMetric.CONCURRENT_REQUESTS, max_concurrent_requests=8, safety_factor=0.7
    )
    assert (at_once.target, scaling.target) == (5.6, 1800)
    slow = ScalingSettings(max_requests_per_second=0.01)
    assert slow.target_invocations_per_instance == 1


SHIFTING = {"trafficShifting": "LINEAR", "bakeSeconds": "300", "initialInstanceCount": "2"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {**SHIFTING, "trafficStepPercent": "5"},
            "trafficStepPercent: bad value 5",
        ),
        (
            {**SHIFTING, "bakeSeconds": "3600"},
            "bakeSeconds: bad value 3600; allowed: at most 2700 with 10 steps",
        ),
        (
            {"monthlyBudgetUsd": "100"},
            "monthlyBudgetUsd: bad value 100; allowed: 0 unless notificationEmail is set",
        ),
        (
            {"productionAccount": "210987654321", "productionStack": "a/b/c"},
            "encryption: bad value 'AES256'; allowed: aws:kms if two accounts",
        ),
        (
            {"productionAccount": "210987654321", "encryption": "aws:kms"},
            "productionAccount: bad value '210987654321'; allowed: empty without a productionStack",
        ),
        (
            {"environment": "prd", "deliveryAccount": "210987654321"},
            "encryption: bad value 'AES256'; allowed: aws:kms if two accounts",
        ),
        (
            {"deliveryAccount": "210987654321"},
            "deliveryAccount: bad value '210987654321'; allowed: empty if environment is dev",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, str], problem: str) -> None:
    (found,) = problems_of({**MINIMAL, **values})
    assert found.startswith(problem)


def test_two_scheduled_changes_of_one_name_are_refused() -> None:
    change = '{"name": "a", "schedule": "rate(1 day)", "min": 1, "max": 2}'
    (problem,) = problems_of({**MINIMAL, "scheduledScaling": f"[{change}, {change}]"})
    assert problem.startswith("scheduledScaling: bad value 'a'; allowed: each name once")


def test_an_update_shifts_its_traffic_in_steps() -> None:
    assert UpdateSettings().steps == 1
    assert UpdateSettings(TrafficShifting.CANARY, 10).steps == 2
    assert UpdateSettings(TrafficShifting.LINEAR, 30).steps == 4


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in INVALID.items() for v in vs])
def test_an_invalid_value_is_refused_with_its_key_value_and_a_fix(key: str, value: str) -> None:
    (problem,) = problems_of({**MINIMAL, key: value})
    assert problem.startswith(f"{key}: ")
    assert "; allowed: " in problem
    assert "; fix: " in problem


def test_every_key_has_invalid_examples() -> None:
    assert set(INVALID) == {*KEYS, "aws:region"}


def test_all_problems_are_reported_together() -> None:
    problems = problems_of({"environment": "qa", "scaling": "on", "minInstanceCount": "0"})
    assert [problem.split(":")[0] for problem in problems] == [
        "environment",
        "aws",
        "owner",
        "costCentre",
        "instanceType",
        "scaling",
        "minInstanceCount",
    ]


def test_an_unknown_key_is_reported_with_the_nearest_known_one() -> None:
    (problem,) = problems_of({**MINIMAL, "minInstanceCuont": "2"})
    assert problem.startswith(
        "minInstanceCuont: unknown key, with the value '2'; allowed: one of modelName, "
    )
    assert problem.endswith("fix: did you mean minInstanceCount?")


def test_a_missing_value_says_how_to_set_it() -> None:
    (problem,) = problems_of({k: v for k, v in MINIMAL.items() if k != "environment"})
    assert problem == (
        "environment: missing value; allowed: dev, prd; fix: pulumi config set environment dev"
    )


def test_scaling_refuses_a_minimum_above_the_maximum() -> None:
    values = {**MINIMAL, "instanceType": "ml.m5.large", "scaling": "true"}
    (problem,) = problems_of({**values, "minInstanceCount": "5", "maxInstanceCount": "3"})
    assert problem.startswith(
        "minInstanceCount: bad value 5; allowed: at most maxInstanceCount (3)"
    )


def test_scaling_refuses_an_initial_count_outside_its_limits() -> None:
    values = {**MINIMAL, "instanceType": "ml.m5.large", "scaling": "true"}
    (problem,) = problems_of({**values, "initialInstanceCount": "1"})
    assert problem.startswith("initialInstanceCount: bad value 1; allowed: 2 to 10")


def test_scaling_refuses_burstable_instances() -> None:
    (problem,) = problems_of({**MINIMAL, "scaling": "true", "initialInstanceCount": "2"})
    assert problem.startswith("instanceType: bad value 'ml.t2.medium'")


def test_production_delivers_to_nobody() -> None:
    values = {**MINIMAL, "environment": "prd", "productionStack": "organization/mlops-lab/prd"}
    (problem,) = problems_of(values)
    assert problem.startswith("productionStack: bad value 'organization/mlops-lab/prd'")


@given(configurations())
def test_any_valid_configuration_is_accepted_as_it_is(values: dict[str, str]) -> None:
    settings = parse(values)
    assert settings.region == values["aws:region"]
    assert settings.environment.value == values["environment"]
    assert settings.endpoint.instance_type == values["instanceType"]
    assert (settings.endpoint.scaling is not None) == (values.get("scaling") == "true")


@given(configurations(), st.sampled_from([(k, v) for k, vs in INVALID.items() for v in vs]))
def test_one_invalid_value_among_valid_ones_is_named(
    values: dict[str, str], invalid: tuple[str, str]
) -> None:
    key, value = invalid
    assert any(p.startswith(f"{key}: ") for p in problems_of({**values, key: value}))


@given(configurations(), st.text(min_size=1))
def test_any_unknown_key_is_named(values: dict[str, str], key: str) -> None:
    if key not in (*KEYS, "aws:region"):
        assert problems_of({**values, key: "1"})[0].startswith(f"{key}: unknown key")


def test_the_project_file_declares_the_settings_as_the_program_does() -> None:
    _, mark, section = (ROOT / "Pulumi.yaml").read_text().partition(MARK)
    assert config_section() == mark + section, "run: make settings"


def test_pulumi_reads_the_declared_types_and_defaults() -> None:
    section = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert tuple(section) == KEYS
    types = {"string": str, "integer": int, "boolean": bool}
    for setting in declared():
        if setting.key == "aws:region":
            continue
        found = section[setting.key]
        assert found["description"].endswith((".", "endpoint")), setting.key
        assert ("default" in found) == (setting.default is not None)
        if setting.default is not None:
            assert type(found["default"]) is types[found["type"]], setting.key
            assert found["default"] == setting.default


def test_the_defaults_of_the_project_file_are_the_defaults_of_the_program() -> None:
    section = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {
        key: str(schema["default"]).lower() if schema["type"] == "boolean" else schema["default"]
        for key, schema in section.items()
        if "default" in schema
    }
    assert parse({**MINIMAL, **{k: str(v) for k, v in defaults.items()}}) == parse(MINIMAL)


def test_a_key_without_a_default_is_in_every_stacks_file() -> None:
    required = {s.key for s in declared() if s.default is None} - {"aws:region"}
    assert required == {"environment", "owner", "costCentre", "instanceType"}
    for stack in ("dev", "prd"):
        assert {f"mlops-lab:{key}" for key in required} <= set(stack_config(stack))


def test_a_settings_dataclass_made_without_arguments_has_the_defaults() -> None:
    assert parse(MINIMAL).endpoint == EndpointSettings("ml.t2.medium")
    assert parse({**MINIMAL, **SCALED}).endpoint.scaling == ScalingSettings()
