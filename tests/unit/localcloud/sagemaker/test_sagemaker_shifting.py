"""Traffic shifting to a new fleet, and data capture."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localcloud.sagemaker.capture import Capture, Payload, record
from localcloud.sagemaker.shifting import Shifting, Step, problems_of, shifting_of

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg"
shifts = pytest.mark.aws_documented(f"{GUIDE}/deployment-guardrails-blue-green.html")
capturing = pytest.mark.aws_documented(f"{GUIDE}/model-monitor-data-capture-endpoint.html")


def blue_green(kind: str, wait: int = 60, **more: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **more}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


@shifts
@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (None, [1.0]),
        ({}, [1.0]),
        (blue_green("ALL_AT_ONCE"), [1.0]),
        (blue_green("CANARY", CanarySize=percent(10)), [0.1, 1.0]),
        (blue_green("CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), [0.25, 1.0]),
        (blue_green("LINEAR", LinearStepSize=percent(30)), [0.3, 0.6, 0.9, 1.0]),
        (blue_green("LINEAR", LinearStepSize=percent(50)), [0.5, 1.0]),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 5}},
            [0.5, 1.0],
        ),
    ],
)
def test_traffic_shifts_in_the_steps_that_are_asked_for(
    config: dict[str, Any] | None, shares: list[float]
) -> None:
    assert [step.share for step in shifting_of(config, 4).steps] == shares


def steps_of(config: dict[str, Any] | None, instances: int) -> list[tuple[float, float]]:
    return [(step.share, step.bake_clock_seconds) for step in shifting_of(config, instances).steps]


def instances_of(count: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": count}


def rolling(size: dict[str, Any], wait: int = 30) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}}


@shifts
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (blue_green("LINEAR", LinearStepSize=instances_of(2)), [(0.5, 60), (1, 60)]),
        (blue_green("CANARY", CanarySize=instances_of(3)), [(0.75, 60), (1, 60)]),
        (blue_green("CANARY", CanarySize=instances_of(9)), [(1, 60)]),
        (rolling(instances_of(1)), [(0.25, 30), (0.5, 30), (0.75, 30), (1, 30)]),
        (rolling(instances_of(9)), [(1, 30)]),  # more than there are is all of them
        (blue_green("ALL_AT_ONCE", 90), [(1, 90)]),
        (blue_green("LINEAR", 90, LinearStepSize=percent(50)), [(0.5, 90), (1, 90)]),
        ({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {}}}, [(1, 0)]),
        (
            {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}},
            [(1, 0)],
        ),
        ({"BlueGreenUpdatePolicy": {}}, [(1, 0)]),
        # Without a size, and so refused by problems_of, all of it.
        (blue_green("CANARY"), [(1, 60)]),
        (blue_green("LINEAR"), [(1, 60)]),
    ],
)
def test_a_size_is_a_share_of_the_new_fleet_and_each_step_is_watched(
    config: dict[str, Any], expected: list[tuple[float, float]]
) -> None:
    assert steps_of(config, 4) == expected


@shifts
def test_without_a_configuration_all_traffic_shifts_at_once_and_unwatched() -> None:
    assert shifting_of(None, 3) == Shifting((Step(1.0, 0.0),), (), 0.0)


@shifts
def test_one_instance_of_a_fleet_of_one_is_all_of_it() -> None:
    config = blue_green("CANARY", CanarySize=instances_of(1))
    assert [steps_of(config, count) for count in (0, 1)] == [[(1, 60)], [(1, 60)]]


@shifts
def test_the_old_fleet_ends_at_once_and_no_alarm_is_watched_unless_it_is_said() -> None:
    for config in ({}, blue_green("ALL_AT_ONCE"), rolling(percent(50))):
        found = shifting_of(config, 2)
        assert (found.alarms, found.termination_clock_seconds) == ((), 0.0)


@shifts
def test_a_rolling_update_watches_its_alarms_too() -> None:
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}
    assert shifting_of(rolling(percent(50)) | watched, 2).alarms == ("a", "b")


@shifts
def test_every_step_bakes_and_the_old_fleet_stays_a_while() -> None:
    config = blue_green("CANARY", 300, CanarySize=percent(10))
    config["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] = 120
    config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "slow"}]}
    assert shifting_of(config, 2) == Shifting(
        (Step(0.1, 300.0), Step(1.0, 300.0)), ("slow",), 120.0
    )


@shifts
@given(st.integers(1, 100), st.integers(0, 3600), st.integers(1, 20))
def test_linear_steps_rise_to_all_of_the_traffic_and_end_there(
    step: int, wait: int, instances: int
) -> None:
    config = blue_green("LINEAR", wait, LinearStepSize=percent(step))
    shares = [s.share for s in shifting_of(config, instances).steps]
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0
    assert len(shares) == -(-100 // step)


@shifts
@given(st.integers(1, 60), st.integers(1, 60))
@example(1, 3)
@example(1, 49)
def test_a_step_of_some_instances_takes_as_many_steps_as_it_goes_into_the_fleet(
    size: int, fleet: int
) -> None:
    expected = [min(n * size / fleet, 1) for n in range(1, -(-fleet // size) + 1)]
    for config in (
        blue_green("LINEAR", LinearStepSize=instances_of(size)),
        rolling(instances_of(size)),
    ):
        assert [share for share, _ in steps_of(config, fleet)] == pytest.approx(expected)


CONFIG = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://bucket/some/prefix/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    "KmsKeyId": "arn:key",
}


@capturing
def test_a_capture_is_read_from_its_configuration() -> None:
    capture = Capture.of(CONFIG, "arn:role")
    assert capture == Capture(
        bucket="bucket",
        prefix="some/prefix",
        percent=20,
        modes=frozenset({"Input", "Output"}),
        csv=frozenset(),
        json=frozenset({"application/json"}),
        role_arn="arn:role",
        kms_key="arn:key",
    )


@capturing
@pytest.mark.parametrize(
    "config", [None, {**CONFIG, "EnableCapture": False}, {**CONFIG, "InitialSamplingPercentage": 0}]
)
def test_nothing_is_captured_where_nothing_is_asked_for(config: dict[str, Any] | None) -> None:
    assert Capture.of(config, "arn:role") is None


@capturing
def test_listed_content_types_are_text_and_others_base64() -> None:
    capture = Capture.of(CONFIG, "")
    assert capture is not None
    line = record(
        capture,
        Payload(b'{"a": 1}', "application/json; charset=utf-8"),
        Payload(b"\xff\x00", "application/x-npy"),
        "id",
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    sides = line["captureData"]
    assert (sides["endpointInput"]["encoding"], sides["endpointInput"]["data"]) == (
        "JSON",
        '{"a": 1}',
    )
    assert sides["endpointOutput"]["data"] == base64.b64encode(b"\xff\x00").decode()
    assert line["eventMetadata"] == {"eventId": "id", "inferenceTime": "2026-01-02T03:04:05Z"}


@capturing
def test_only_the_side_that_is_asked_for_is_captured() -> None:
    capture = Capture.of({**CONFIG, "CaptureOptions": [{"CaptureMode": "Output"}]}, "")
    assert capture is not None
    made = record(capture, Payload(b"x", ""), Payload(b"y", ""), "id", datetime.now(UTC))
    assert list(made["captureData"]) == ["endpointOutput"]


@shifts
@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            blue_green("CANARY", CanarySize=percent(51)),
            "CanarySize is 51 %; it must be from 1 to 50 %.",
        ),
        (
            blue_green("CANARY", CanarySize=percent(0)),
            "CanarySize is 0 %; it must be from 1 to 50 %.",
        ),
        (
            blue_green("LINEAR", LinearStepSize=percent(9)),
            "LinearStepSize is 9 %; it must be from 10 to 50 %.",
        ),
        (
            blue_green("LINEAR", LinearStepSize=percent(51)),
            "LinearStepSize is 51 %; it must be from 10 to 50 %.",
        ),
        (blue_green("LINEAR"), "Traffic routing of type LINEAR requires a LinearStepSize."),
        (blue_green("CANARY"), "Traffic routing of type CANARY requires a CanarySize."),
        (rolling(percent(4)), "MaximumBatchSize is 4 %; it must be from 5 to 50 %."),
        (rolling(percent(51)), "MaximumBatchSize is 51 %; it must be from 5 to 50 %."),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": percent(5),
                    "RollbackMaximumBatchSize": percent(4),
                    "WaitIntervalInSeconds": 0,
                }
            },
            "RollbackMaximumBatchSize is 4 %; it must be from 5 to 100 %.",
        ),
        (
            {
                **blue_green("ALL_AT_ONCE"),
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": percent(5),
                    "WaitIntervalInSeconds": 0,
                },
            },
            "Give BlueGreenUpdatePolicy or RollingUpdatePolicy, not both.",
        ),
    ],
)
def test_steps_that_aws_rejects_are_reported(config: dict[str, Any], problem: str) -> None:
    assert problems_of(config) == [problem]


@shifts
def test_what_aws_takes_is_taken() -> None:
    configs: list[dict[str, Any] | None] = [
        None,
        {},
        blue_green("ALL_AT_ONCE"),
        {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {}}},
        blue_green("CANARY", CanarySize=percent(50)),
        blue_green("CANARY", CanarySize=percent(1)),
        blue_green("CANARY", CanarySize=instances_of(70)),
        blue_green("LINEAR", LinearStepSize=percent(10)),
        blue_green("LINEAR", LinearStepSize=percent(50)),
        rolling(percent(5)),
        rolling(percent(50)),
    ]
    assert [[]] * len(configs) == [problems_of(config) for config in configs]


@capturing
def test_a_capture_has_the_callers_id_if_there_is_one() -> None:
    capture = Capture.of(CONFIG, "")
    assert capture is not None
    sides = (Payload(b"x", ""), Payload(b"y", ""))
    named = record(capture, *sides, "id", datetime.now(UTC), "order-7")
    assert named["eventMetadata"]["inferenceId"] == "order-7"
    assert "inferenceId" not in record(capture, *sides, "id", datetime.now(UTC))["eventMetadata"]
