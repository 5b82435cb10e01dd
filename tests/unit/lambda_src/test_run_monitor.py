"""The monitor's function: one job a run over what is new, its metrics, and what stops a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambda_src import run_monitor
from tests.unit.lambda_src.fake_aws import IMAGE_URI, AwsError, FakeAws

NOW = datetime(2026, 1, 31, 10, 5, tzinfo=UTC)
RUN = "iris-model-production-monitor-20260131-1005"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/iris-model/7"
CAPTURED = "capture/iris-model-production/AllTraffic/2026/01/31"
ENVIRONMENT = {
    "ENDPOINT_NAME": "iris-model-production",
    "VARIANT_NAME": "AllTraffic",
    "BUCKET": "captures",
    "CAPTURE_PREFIX": "capture",
    "JOB_ROLE_ARN": "arn:aws:iam::123456789012:role/monitor-job",
    "INSTANCE_TYPE": "ml.m5.large",
    "INSTANCE_COUNT": "1",
    "MAX_RUNTIME_SECONDS": "3600",
    "NETWORK_ISOLATION": "true",
    "MONITOR_PSI_DRIFT": "0.25",
}
METRICS = [{"MetricName": "Rows", "Value": 3.0, "Unit": "Count", "Dimensions": []}]


@pytest.fixture
def lab(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """A deployed endpoint that captured one file an hour since midnight."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    aws.tags["ModelPackageArn"] = PACKAGE
    aws.packages.append(
        {
            "ModelPackageArn": PACKAGE,
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE_URI, "ModelDataUrl": "s3://a/model.tar.gz"}]
            },
            "DriftCheckBaselines": {
                "ModelDataQuality": {"Statistics": {"S3Uri": "s3://a/baseline.json"}}
            },
        }
    )
    for hour in range(11):
        aws.objects["captures", f"{CAPTURED}/{hour:02}/0.jsonl"] = b"{}\n"
    return aws


def start(time: datetime = NOW) -> None:
    run_monitor.handler({"source": "aws.events", "time": time.isoformat()}, None)


def ended(name: str, status: str = "Completed", **more: Any) -> None:
    detail = {"ProcessingJobName": name, "ProcessingJobStatus": status, **more}
    event = {"detail-type": "SageMaker Processing Job State Change", "detail": detail}
    run_monitor.handler(event, None)


def inputs(job: Mapping[str, Any]) -> dict[str, str]:
    return {i["InputName"]: i["S3Input"]["S3Uri"] for i in job["ProcessingInputs"]}


def manifest(lab: FakeAws, name: str, run: str = RUN) -> Any:
    return json.loads(lab.objects["captures", f"monitor/runs/{run}/{name}.manifest"])


def published(lab: FakeAws) -> dict[str, float]:
    return {
        metric["MetricName"]: metric["Value"]
        for request in lab.made("PutMetricData")
        for metric in request["MetricData"]
    }


def test_a_run_reads_what_was_captured_since_the_last_one(lab: FakeAws) -> None:
    lab.processing_jobs["iris-model-production-monitor-20260131-0905"] = {
        "ProcessingJobStatus": "Completed"
    }
    start()
    (job,) = lab.made("CreateProcessingJob")
    assert job["ProcessingJobName"] == RUN
    assert job["AppSpecification"] == {"ImageUri": IMAGE_URI, "ContainerArguments": ["monitor"]}
    assert job["Environment"] == {"MONITOR_PSI_DRIFT": "0.25", "MONITOR_MODEL": PACKAGE}
    assert job["NetworkConfig"] == {"EnableNetworkIsolation": True}
    assert inputs(job) == {
        "model": "s3://a/model.tar.gz",
        "baseline": "s3://a/baseline.json",
        "captures": f"s3://captures/monitor/runs/{RUN}/captures.manifest",
    }
    # An hour more than since the last run: captures may come late.
    assert manifest(lab, "captures") == [
        {"prefix": "s3://captures/capture/"},
        *(f"iris-model-production/AllTraffic/2026/01/31/{hour}/0.jsonl" for hour in ("08", "09")),
        "iris-model-production/AllTraffic/2026/01/31/10/0.jsonl",
    ]
    outputs = {o["OutputName"]: o["S3Output"] for o in job["ProcessingOutputConfig"]["Outputs"]}
    assert outputs["report"]["S3Uri"] == f"s3://captures/monitor/runs/{RUN}"
    assert outputs["state"]["S3Uri"] == "s3://captures/monitor/state"


def test_the_first_run_goes_back_two_days_and_has_no_state(lab: FakeAws) -> None:
    start()
    assert len(manifest(lab, "captures")) == 12
    lab.objects["captures", "monitor/state/state.json"] = b"{}"
    lab.processing_jobs.clear()
    start()
    assert "previous" not in inputs(lab.made("CreateProcessingJob")[0])
    previous = inputs(lab.made("CreateProcessingJob")[1])["previous"]
    assert previous == "s3://captures/monitor/state/state.json"


def test_runs_that_failed_leave_their_captures_to_the_next_one(lab: FakeAws) -> None:
    jobs = lab.processing_jobs
    jobs["iris-model-production-monitor-20260131-0705"] = {"ProcessingJobStatus": "Completed"}
    jobs["iris-model-production-monitor-20260131-0805"] = {"ProcessingJobStatus": "Failed"}
    # Its partials were never merged.
    shards = "iris-model-production-monitor-20260131-0905-shards"
    jobs[shards] = {"ProcessingJobStatus": "Completed"}
    start()
    assert len(manifest(lab, "captures")) == 1 + len(range(6, 11))


def test_labels_that_came_since_the_last_run_are_an_input(lab: FakeAws) -> None:
    lab.processing_jobs["iris-model-production-monitor-20260131-0905"] = {
        "ProcessingJobStatus": "Completed"
    }
    for name, age in (("old.csv", 5), ("new.csv", 1), ("deep/new.jsonl", 1), ("notes.txt", 1)):
        key = f"ground-truth/{name}"
        lab.objects["captures", key] = b""
        lab.written[key] = NOW - timedelta(hours=age)
    start()
    assert manifest(lab, "ground-truth")[1:] == ["deep/new.jsonl", "new.csv"]


def test_an_hour_without_captures_starts_no_job_and_says_so_in_the_metrics(lab: FakeAws) -> None:
    start(NOW + timedelta(days=5))
    assert lab.made("CreateProcessingJob") == []
    assert published(lab) == {"Captures": 0, "Rows": 0}


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_run_that_still_goes_on_is_not_overtaken(lab: FakeAws, status: str) -> None:
    name = "iris-model-production-monitor-20260131-0905-merge"
    lab.processing_jobs[name] = {"ProcessingJobStatus": status}
    start()
    assert lab.made("CreateProcessingJob") == []


def test_an_event_that_is_delivered_twice_starts_one_job(
    lab: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    # The list does not show the new job yet.
    monkeypatch.setattr(
        lab, "_ListProcessingJobs", lambda _: {"ProcessingJobSummaries": []}, raising=False
    )
    start()
    assert list(lab.processing_jobs) == [RUN]


def test_before_the_first_deployment_there_is_nothing_to_do(lab: FakeAws) -> None:
    lab.errors["DescribeEndpoint"] = AwsError(
        "ValidationException", 'Could not find endpoint "arn:aws:sagemaker:…".'
    )
    start()
    assert lab.made("CreateProcessingJob") == []
    lab.errors["DescribeEndpoint"] = AwsError("AccessDeniedException", "not authorized")
    with pytest.raises(Exception, match="not authorized"):
        start()


def test_a_model_that_an_earlier_release_deployed_is_left_alone(lab: FakeAws) -> None:
    lab.tags.clear()
    start()
    assert lab.made("CreateProcessingJob") == []


def test_a_version_without_a_baseline_fails_in_the_job_that_says_so(lab: FakeAws) -> None:
    del lab.packages[0]["DriftCheckBaselines"]
    start()
    assert "baseline" not in inputs(lab.made("CreateProcessingJob")[0])


def test_the_metrics_of_a_run_are_published(lab: FakeAws) -> None:
    key = f"monitor/runs/{RUN}/metrics.json"
    lab.objects["captures", key] = json.dumps({"MetricData": METRICS}).encode()
    ended(RUN, ExitMessage="stable (3 rows in 3 captures)")
    assert published(lab) == {"Rows": 3, "Failed": 0}
    assert {r["Namespace"] for r in lab.made("PutMetricData")} == {"MlopsLab/Monitor"}


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_run_that_failed_is_a_metric(lab: FakeAws, status: str) -> None:
    ended(RUN, status, ExitMessage="not-monitored: cannot read baseline.json")
    (request,) = lab.made("PutMetricData")
    (metric,) = request["MetricData"]
    assert (metric["MetricName"], metric["Value"]) == ("Failed", 1)
    assert metric["Dimensions"] == [
        {"Name": "Endpoint", "Value": "iris-model-production"},
        {"Name": "Variant", "Value": "AllTraffic"},
    ]


def test_several_instances_share_the_captures_and_a_second_job_merges(
    lab: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTANCE_COUNT", "3")
    start()
    (shards,) = lab.made("CreateProcessingJob")
    assert shards["ProcessingJobName"] == f"{RUN}-shards"
    assert shards["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 3
    kinds = {
        i["InputName"]: i["S3Input"]["S3DataDistributionType"] for i in shards["ProcessingInputs"]
    }
    assert kinds["captures"] == "ShardedByS3Key"
    assert kinds["baseline"] == "FullyReplicated"
    lab.processing_jobs[f"{RUN}-shards"] = {
        **shards,
        # As DescribeProcessingJob returns an input.
        "ProcessingInputs": [{**i, "AppManaged": False} for i in shards["ProcessingInputs"]],
        "ProcessingJobStatus": "Completed",
    }
    ended(f"{RUN}-shards")
    merge = lab.made("CreateProcessingJob")[1]
    assert merge["ProcessingJobName"] == f"{RUN}-merge"
    assert merge["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert inputs(merge) == {
        "model": "s3://a/model.tar.gz",
        "baseline": "s3://a/baseline.json",
        "partials": f"s3://captures/monitor/runs/{RUN}/partials/",
    }
    lab.objects["captures", f"monitor/runs/{RUN}/metrics.json"] = b'{"MetricData": []}'
    ended(f"{RUN}-merge")
    assert published(lab) == {"Failed": 0}


def test_a_key_and_a_vpc_of_the_stack_are_the_jobs_too(
    lab: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc = {"Subnets": ["subnet-01234567"], "SecurityGroupIds": ["sg-01234567"]}
    monkeypatch.setenv("KMS_KEY_ARN", "arn:key")
    monkeypatch.setenv("VPC_CONFIG", json.dumps(vpc))
    monkeypatch.setenv("NETWORK_ISOLATION", "false")
    start()
    (job,) = lab.made("CreateProcessingJob")
    assert job["NetworkConfig"] == {"EnableNetworkIsolation": False, "VpcConfig": vpc}
    assert job["ProcessingOutputConfig"]["KmsKeyId"] == "arn:key"
    assert job["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "arn:key"
    lab.processing_jobs.clear()
    monkeypatch.setenv("INSTANCE_TYPE", "ml.m5d.large")
    start()
    cluster = lab.made("CreateProcessingJob")[1]["ProcessingResources"]["ClusterConfig"]
    assert "VolumeKmsKeyId" not in cluster
