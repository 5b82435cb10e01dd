"""Traffic shifting to a new fleet, and data capture."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
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
        (blue_green("CANARY", CanarySize=percent(51)), "from 1 to 50 %"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), "from 10 to 50 %"),
        (blue_green("LINEAR"), "requires a LinearStepSize"),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": percent(4), "WaitIntervalInSeconds": 0}},
            "from 5 to 50 %",
        ),
        (
            {
                **blue_green("ALL_AT_ONCE"),
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": percent(5),
                    "WaitIntervalInSeconds": 0,
                },
            },
            "not both",
        ),
    ],
)
def test_steps_that_aws_rejects_are_reported(config: dict[str, Any], problem: str) -> None:
    (found,) = problems_of(config)
    assert problem in found


@shifts
def test_what_aws_takes_is_taken() -> None:
    for config in (
        None,
        {},
        blue_green("ALL_AT_ONCE"),
        blue_green("CANARY", CanarySize=percent(50)),
    ):
        assert [] == problems_of(config)
