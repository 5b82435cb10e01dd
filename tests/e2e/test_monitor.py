"""The monitor in the lab: it runs on its schedule, and an alarm says that traffic has drifted."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.cloud import ACCOUNT, REGION, wait_for
from tests.e2e.conftest import PRD, Lab, cloud_of_its_own, deployed, localcloud_answer

pytestmark = [pytest.mark.e2e, pytest.mark.emulator_only]

CAPTURES = f"mlops-iris-model-capture-prd-{ACCOUNT}-{REGION}"
HALF_A_DAY = 12 * 3600


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, iris: bytes) -> Iterator[Lab]:
    """A lab in production, whose endpoint captures every request."""
    # Every 12 hours: none of its runs falls into a test that does not advance the clock.
    prd = ("dataCapturePercent=100", "monitorInstanceCount=2", "monitorSchedule=rate(12 hours)")
    with cloud_of_its_own(tmp_path_factory.mktemp("monitor"), speed=60.0) as cloud:
        lab = deployed(
            cloud, prd=config(prd), dev=config(["retrainOn=drift", "retrainCooldownHours=100"])
        )
        assert lab.deliver(iris) == "Succeeded"
        yield lab


def config(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in ("--config", value)]


def retrained(lab: Lab) -> list[str]:
    """Return the executions that retraining has started, the newest first."""
    found = lab.cloud.client("codepipeline").list_pipeline_executions(pipelineName=lab.pipeline)
    return [
        str(one["pipelineExecutionId"])
        for one in found["pipelineExecutionSummaries"]
        if one["trigger"]["triggerType"] == "StartPipelineExecution"
    ]


def captures(lab: Lab) -> int:
    """Return the number of captures that are in S3."""
    s3 = lab.cloud.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=CAPTURES, Prefix="capture/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    bodies = [s3.get_object(Bucket=CAPTURES, Key=key)["Body"].read() for key in keys]
    return sum(len(body.splitlines()) for body in bodies)


def ask(lab: Lab, rows: list[str], name: str = "row") -> None:
    """Ask for a prediction of each row, and wait until the requests are captured."""
    before, runtime = captures(lab), lab.cloud.client("sagemaker-runtime")
    for number, row in enumerate(rows):
        runtime.invoke_endpoint(
            EndpointName=PRD, ContentType="text/csv", Body=row, InferenceId=f"{name}-{number}"
        )
    wait_for("the captures", lambda: captures(lab) >= before + len(rows), 20)


def runs(lab: Lab) -> list[dict[str, Any]]:
    pages = lab.cloud.client("sagemaker").get_paginator("list_processing_jobs")
    return [
        dict(job)
        for page in pages.paginate(NameContains=f"{PRD}-monitor", SortOrder="Ascending")
        for job in page["ProcessingJobSummaries"]
    ]


def run_names(lab: Lab) -> list[str]:
    """Return the names of the runs that have written a report."""
    names = [job["ProcessingJobName"] for job in runs(lab)]
    return [name.removesuffix("-merge") for name in names if name.endswith("-merge")]


def next_report(lab: Lab) -> dict[str, Any]:
    """Let half a day pass; return the report of the run that follows."""
    before = len(runs(lab))
    lab.cloud.advance(HALF_A_DAY)

    def ended() -> str | None:
        new = [job for job in runs(lab)[before:] if job["ProcessingJobName"].endswith("-merge")]
        done = [job for job in new if job["ProcessingJobStatus"] == "Completed"]
        return str(done[0]["ProcessingJobName"]) if done else None

    name = wait_for("a run of the monitor", ended, 60).removesuffix("-merge")
    body = lab.cloud.client("s3").get_object(
        Bucket=CAPTURES, Key=f"monitor/runs/{name}/monitor.json"
    )["Body"]
    return dict(json.loads(body.read()))


def alarm(lab: Lab, purpose: str = "drift") -> str:
    cloudwatch = lab.cloud.client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[f"{PRD}-{purpose}"])["MetricAlarms"]
    return str(found["StateValue"])


def rows_of(dataset: bytes) -> list[tuple[str, str]]:
    """Return the label and the features of each training row of a dataset."""
    with zipfile.ZipFile(io.BytesIO(dataset)) as archive:
        lines = archive.read("train.csv").decode().splitlines()
    pairs = (line.partition(",") for line in lines)
    return [(label, row) for label, _, row in pairs if "cm" not in row]


def test_drifted_traffic_raises_the_alarm_and_usual_traffic_ends_it(lab: Lab, iris: bytes) -> None:
    ask(lab, ["9.9,9.9,9.9,9.9"] * 200, "drifted")
    report = next_report(lab)
    assert (report["verdict"], report["sources"]) == ("drift", [f"{PRD}/AllTraffic"])
    assert report["rows"] >= 200
    wait_for("the alarm", lambda: alarm(lab) == "ALARM", 20)
    # Retraining on the dataset that there is makes the same model again, which is no better.
    wait_for("retraining", lambda: retrained(lab), 20)
    (execution,) = retrained(lab)
    assert lab.ended(execution) == "Failed"
    told = lab.state("DeployDev", "Evaluate")["errorDetails"]["message"]
    assert "retrained on drift, so it must be better: not promoted" in told
    usual = rows_of(iris)
    ask(lab, [row for _, row in usual], "usual")
    # Labels come later.
    labels = "".join(f"usual-{n},{label}\n" for n, (label, _) in enumerate(usual))
    s3 = lab.cloud.client("s3")
    s3.put_object(Bucket=CAPTURES, Key="ground-truth/labels.csv", Body=labels.encode())
    report = next_report(lab)
    assert (report["verdict"], report["rows"]) == ("stable", len(usual))
    assert report["accuracy"]["rows"] == len(usual)
    assert report["accuracy"]["value"] > 0.9
    wait_for("the end of the alarm", lambda: alarm(lab) == "OK", 20)
    metrics = lab.cloud.client("cloudwatch").list_metrics(Namespace="MlopsLab/Monitor")["Metrics"]
    assert {m["MetricName"] for m in metrics} >= {"MaximumPsi", "LiveAccuracy", "Failed", "Rows"}
    trend = s3.get_object(Bucket=CAPTURES, Key=f"monitor/runs/{run_names(lab)[-1]}/trend.html")
    assert "1 of 2 runs drifted" in trend["Body"].read().decode()


def test_within_the_cooldown_drift_is_an_alarm_and_no_retraining(lab: Lab) -> None:
    ask(lab, ["9.9,9.9,9.9,9.9"] * 200, "once more")
    assert next_report(lab)["verdict"] == "drift"
    wait_for("the alarm", lambda: alarm(lab) == "ALARM", 20)

    def told() -> bool:
        lines = lab.cloud.client("logs").filter_log_events(
            logGroupName="/aws/lambda/iris-model-retrain", filterPattern="retrained by execution"
        )["events"]
        return bool(lines)

    wait_for("the function", told, 20)
    assert len(retrained(lab)) == 1


@pytest.mark.slow
def test_a_run_that_fails_is_an_alarm_and_the_next_one_counts_its_captures(
    lab: Lab, iris: bytes
) -> None:
    s3 = lab.cloud.client("s3")
    usual = rows_of(iris)
    ask(lab, [row for _, row in usual], "before")
    next_report(lab)
    state = s3.get_object(Bucket=CAPTURES, Key="monitor/state/state.json")["Body"].read()
    s3.put_object(Bucket=CAPTURES, Key="monitor/state/state.json", Body=state[: len(state) // 2])
    ask(lab, [row for _, row in usual], "again")
    lab.cloud.advance(HALF_A_DAY)
    wait_for("the alarm", lambda: alarm(lab, "monitor-failed") == "ALARM", 60)
    failed = lab.cloud.client("sagemaker").describe_processing_job(
        ProcessingJobName=runs(lab)[-1]["ProcessingJobName"]
    )
    assert "state.json is cut off" in failed["ExitMessage"]
    s3.put_object(Bucket=CAPTURES, Key="monitor/state/state.json", Body=state)
    assert next_report(lab)["rows"] == len(usual)
    wait_for("the end of the alarm", lambda: alarm(lab, "monitor-failed") == "OK", 20)


@pytest.mark.slow
def test_a_drill_says_when_the_monitor_notices_a_change(lab: Lab) -> None:
    answer = localcloud_answer(
        lab.cloud.url,
        *("drift", "--column", "petal length (cm)", "--shift", "2sd"),
        *("--rows", "150", "--days", "2", "--json"),
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert (found["noticed"], found["endpoint"]) == (True, PRD)
    assert found["requests"] == 150 * len(found["runs"])
    assert 0 < found["minutes"] <= 24 * 60
    assert found["runs"][-1]["verdict"] == "drift"
    assert "'petal length (cm)'" in found["message"]
    assert {entry["days"] for entry in found["thresholds"]} == {2}
    assert found["thresholds"][0]["noticed_after_runs"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing is changed: add --column"),
        (["--column", "petal", "--shift", "1sd"], "--column is 'petal'; the dataset's columns are"),
        (["--label-flip", "0.2"], "has no alarm: set minimumLiveAccuracy"),
        (["--label-flip", "0.2", "--endpoint", "x"], "no monitored endpoint x; those with a moni"),
        (["--label-flip", "0.2", "--rows", "0"], "--rows is 0; it must be from 1 to 50,000"),
    ],
)
def test_a_drill_that_cannot_work_says_why(lab: Lab, options: list[str], said: str) -> None:
    answer = localcloud_answer(lab.cloud.url, "drift", *options)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert answer.stdout == ""
