"""The clock can be put on, and a local cloud can be emptied: by route, by command."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ROOT, TestCloud, have_role, local_cloud, wait_for
from tests.pipelines import ROLE

pytestmark = pytest.mark.emulator_only

_KIND = {"owner": "AWS", "version": "1"}


@pytest.fixture
def slow(slow_cloud: TestCloud) -> TestCloud:
    return slow_cloud


def _localcloud(cloud: TestCloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments, "--endpoint-url", cloud.url],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )


def _now(cloud: TestCloud) -> float:
    _, body = cloud.get("/_localcloud/clock")
    return float(json.loads(body)["now"])


def test_a_command_advances_the_clock(slow: TestCloud) -> None:
    before = _now(slow)
    ended = _localcloud(slow, "clock", "advance", "1h30m")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert timedelta(minutes=90) <= timedelta(seconds=_now(slow) - before) < timedelta(minutes=92)
    assert "1 AWS seconds per wall-clock second" in _localcloud(slow, "clock").stdout


def test_a_command_changes_the_clocks_speed(slow: TestCloud) -> None:
    faster = json.loads(_localcloud(slow, "clock", "speed", "1200", "--json").stdout)
    assert faster["speed"] == 1200
    assert "AWS seconds per wall-clock second" in _localcloud(slow, "clock", "speed", "1").stdout
    refused = _localcloud(slow, "clock", "speed", "5000")
    assert refused.stderr == (
        "error: speed is '5000.0': speed is 5000; it must be from 0.001 to 3600\n"
    )


@pytest.mark.parametrize("duration", ["15", "0s", "400d"])
def test_a_duration_that_is_none_is_one_clear_error(slow: TestCloud, duration: str) -> None:
    ended = _localcloud(slow, "clock", "advance", duration)
    assert ended.returncode != 0
    assert "error:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_approval_times_out_when_the_clock_is_put_past_it(slow: TestCloud) -> None:
    pipeline = slow.client("codepipeline")
    _pipeline(slow, "times-out", timeout_minutes=60)

    def action() -> dict[str, Any] | None:
        (_, stage) = pipeline.get_pipeline_state(name="times-out")["stageStates"]
        found: dict[str, Any] = stage["actionStates"][0].get("latestExecution", {})
        return found

    wait_for("the approval", lambda: (action() or {}).get("token"))
    _localcloud(slow, "clock", "advance", "59m")
    assert (action() or {})["status"] == "InProgress"
    _localcloud(slow, "clock", "advance", "2m")
    wait_for("its end", lambda: (action() or {}).get("status") == "Failed")


def test_an_alarm_sees_the_minutes_that_were_skipped(slow: TestCloud) -> None:
    cloudwatch = slow.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="skipped",
        Namespace="N",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=3,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["skipped"])["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    _localcloud(slow, "clock", "advance", "5m")

    def state() -> bool:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["skipped"])["MetricAlarms"]
        return bool(alarm["StateValue"] == "ALARM")

    wait_for("the alarm", state, 5)


def test_a_reset_forgets_everything_and_the_cloud_goes_on(slow: TestCloud) -> None:
    s3, pipeline = slow.client("s3"), slow.client("codepipeline")
    _pipeline(slow, "forgotten", timeout_minutes=60)
    slow.client("sns").create_topic(Name="forgotten")
    before = _now(slow)
    refused = _localcloud(slow, "reset")
    assert "add --yes" in refused.stderr
    assert pipeline.get_pipeline(name="forgotten")
    ended = _localcloud(slow, "reset", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert s3.list_buckets()["Buckets"] == []
    assert slow.client("sns").list_topics()["Topics"] == []
    assert pipeline.list_pipelines()["pipelines"] == []
    assert before <= _now(slow)  # time goes on
    # It is a whole cloud: what has been reset works, events reach pipelines.
    _pipeline(slow, "after", timeout_minutes=60)
    state = pipeline.get_pipeline_state(name="after")
    assert [stage["stageName"] for stage in state["stageStates"]] == ["Source", "Approve"]


def test_a_state_directory_belongs_to_one_cloud(slow: TestCloud, tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path):
        command = [sys.executable, "-m", "localcloud"]
        for arguments in (
            ["start", "--port", "0", "--state-dir", str(tmp_path)],
            ["reset", "--yes", "--state-dir", str(tmp_path)],
        ):
            ended = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, timeout=60
            )
            assert ended.returncode == 1
            assert "another local cloud runs on" in " ".join(ended.stderr.split())
    ended = subprocess.run(
        [*command, "reset", "--yes", "--state-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def _pipeline(cloud: TestCloud, name: str, *, timeout_minutes: int) -> None:
    """Make a pipeline of a source and an approval."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="source.zip", Body=zip_of({"a": "b"}))
    source = {
        "name": "Object",
        "actionTypeId": {**_KIND, "category": "Source", "provider": "S3"},
        "configuration": {
            "S3Bucket": name,
            "S3ObjectKey": "source.zip",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "Approve",
        "actionTypeId": {**_KIND, "category": "Approval", "provider": "Manual"},
        "timeoutInMinutes": timeout_minutes,
    }
    have_role(cloud, ROLE, "codepipeline")
    try:
        cloud.client("codepipeline").create_pipeline(
            pipeline={
                "name": name,
                "roleArn": ROLE,
                "artifactStore": {"type": "S3", "location": name},
                "stages": [
                    {"name": "Source", "actions": [source]},
                    {"name": "Approve", "actions": [approval]},
                ],
            }
        )
    except ClientError as error:
        pytest.fail(str(error))
