"""The action Rehearse: the newest captures, production's endpoint, and why there may be no job."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src import recorded_traffic
from lambda_src.recorded_traffic import manifest, newest_captures
from lambda_src.run_processing import handler
from tests.unit.lambda_src.fake_aws import EXECUTION_ID, IMAGE_URI, FakeAws, pipeline_event

NAME = "iris-model-abcdef01-11111111"
PLACE = "capture/iris-model-production/AllTraffic"
CAPTURES = f"s3://captured/{PLACE}"
PARAMETERS = {
    "command": "rehearse",
    "modelName": "iris-model",
    "executionId": EXECUTION_ID,
    "datasetVersionId": "version-1",
    "roleArn": "arn:aws:iam::123456789012:role/mlops-iris-model-processing-job-us-east-1",
    "imageParameter": "/mlops/iris-model/image",
    "instanceType": "ml.m5.large",
    "maxRuntimeSeconds": 3600,
    "networkIsolation": True,
    "champion": "model",
    "captures": CAPTURES,
    "inputs": {"candidate": "s3://artifacts/training/job/output/model.tar.gz"},
    "hyperparameters": {},
}
SCALING = {
    "ScalableTarget": {"Properties": {"MinCapacity": 2, "MaxCapacity": 10}},
    "ScalingPolicy": {
        "Properties": {
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 120,
                "ScaleInCooldown": 300,
                "ScaleOutCooldown": 60,
            }
        }
    },
}


def template(**resources: Any) -> dict[str, Any]:
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    config = {
        "ProductionVariants": [variant],
        "DataCaptureConfig": {"InitialSamplingPercentage": 20},
    }
    return {
        "Metadata": {"MlopsLab": {"InstanceHourUsd": "0.115"}},
        "Resources": {"EndpointConfig": {"Properties": config}, **resources},
    }


def artifact(document: object) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("template.json", json.dumps(document))
    return body.getvalue()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_OUTPUT", "s3://artifacts/reports")


@pytest.fixture
def ready(aws: FakeAws) -> FakeAws:
    """A champion, two captures, and production's template."""
    aws.packages = [
        {
            "ModelPackageArn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/m/1",
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE_URI, "ModelDataUrl": "s3://a/champion.tar.gz"}]
            },
        }
    ]
    for hour in ("09", "10"):
        aws.objects["captured", f"{PLACE}/2026/01/31/{hour}/00-00-000-a.jsonl"] = b"{}\n"
    aws.objects["artifacts", "pipeline/Dataset/abc"] = artifact(template(**SCALING))
    return aws


def run(**changes: Any) -> None:
    handler(pipeline_event({**PARAMETERS, **changes}), None)


def test_the_newest_captures_go_through_both_models(ready: FakeAws) -> None:
    run()
    (request,) = ready.made("CreateProcessingJob")
    inputs = {i["InputName"]: i["S3Input"] for i in request["ProcessingInputs"]}
    where = f"s3://artifacts/reports/{NAME}/captures.manifest"
    assert {name: (i["S3Uri"], i["S3DataType"]) for name, i in inputs.items()} == {
        "candidate": ("s3://artifacts/training/job/output/model.tar.gz", "S3Prefix"),
        "champion": ("s3://a/champion.tar.gz", "S3Prefix"),
        "captures": (where, "ManifestFile"),
    }
    assert json.loads(ready.objects["artifacts", f"reports/{NAME}/captures.manifest"]) == [
        {"prefix": f"{CAPTURES}/"},
        "2026/01/31/10/00-00-000-a.jsonl",
        "2026/01/31/09/00-00-000-a.jsonl",
    ]


def test_the_job_knows_productions_endpoint_by_its_template(ready: FakeAws) -> None:
    run()
    (request,) = ready.made("CreateProcessingJob")
    text = request["Environment"]["SM_HP_SERVING"]
    assert json.loads(text) == {
        "type": "ml.m5.large",
        "count": 2,
        "capture": 20,
        "price": "0.115",
        "target": 120,
        "min": 2,
        "max": 10,
        "out": 60,
        "in": 300,
    }
    # SageMaker's limit of a variable.
    assert len(text) <= 256


def test_an_endpoint_may_have_no_scaling_no_capture_and_no_price(ready: FakeAws) -> None:
    document = template()
    del (
        document["Metadata"],
        document["Resources"]["EndpointConfig"]["Properties"]["DataCaptureConfig"],
    )
    ready.objects["artifacts", "pipeline/Dataset/abc"] = artifact(document)
    run()
    (request,) = ready.made("CreateProcessingJob")
    assert json.loads(request["Environment"]["SM_HP_SERVING"]) == {
        "type": "ml.m5.large",
        "count": 2,
        "capture": 100,
        "price": None,
    }


@pytest.mark.parametrize("content", [artifact({}), artifact([]), artifact({"Resources": 1})])
def test_an_artifact_without_a_template_is_named(ready: FakeAws, content: bytes) -> None:
    ready.objects["artifacts", "pipeline/Dataset/abc"] = content
    run()
    kind, message = ready.failure()
    assert kind == "ConfigurationError"
    assert "must hold template.json, the template of an endpoint" in message


def test_without_a_champion_no_job_is_started(ready: FakeAws) -> None:
    ready.packages = []
    run()
    assert ready.made("CreateProcessingJob") == []
    assert ready.success()["outputVariables"] == {
        "ReportUrl": "none",
        "Verdict": "not rehearsed: there is no approved model yet",
    }


@pytest.mark.parametrize("bucket", [True, False], ids=["an empty bucket", "no bucket"])
def test_without_captures_no_job_is_started(ready: FakeAws, bucket: bool) -> None:
    ready.objects = {key: body for key, body in ready.objects.items() if key[0] != "captured"}
    if bucket:
        ready.objects["captured", "capture/another-endpoint/x"] = b""
    else:
        ready.missing_buckets.add("captured")
    run()
    assert ready.made("CreateProcessingJob") == []
    said = ready.success()["executionDetails"]["summary"]
    assert said == f"not rehearsed: nothing is captured in {CAPTURES}"


def test_production_in_another_account_keeps_its_captures(aws: FakeAws) -> None:
    handler(pipeline_event({"without": "production is elsewhere"}), None)
    assert aws.success()["outputVariables"]["Verdict"] == "not rehearsed: production is elsewhere"
    assert aws.made("ListObjectsV2") == []


hours = st.datetimes(datetime(2025, 12, 30), datetime(2026, 1, 3))


@given(st.lists(st.tuples(hours, st.integers(0, 59)), max_size=12, unique=True))
def test_the_newest_files_of_a_day_are_chosen(times: list[tuple[datetime, int]]) -> None:
    aws = FakeAws()
    aws.install()
    keys = {f"{PLACE}/{hour:%Y/%m/%d/%H}/{minute:02d}-a.jsonl": hour for hour, minute in times}
    aws.objects = {("captured", key): b"{}" for key in keys}
    aws.objects["captured", f"{PLACE}/notes/of/some/body/x.jsonl"] = b""
    found = newest_captures(boto3.client("s3", region_name="us-east-1"), CAPTURES)
    newest = max(keys.values(), default=datetime(2026, 1, 1)).replace(minute=0, second=0)
    since = newest.replace(microsecond=0) - timedelta(hours=recorded_traffic.MOST_HOURS - 1)
    assert found == sorted((key for key, hour in keys.items() if hour >= since), reverse=True)


def test_the_files_are_bounded_by_number_and_size(
    ready: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = boto3.client("s3")
    newest = [f"{PLACE}/2026/01/31/{hour}/00-00-000-a.jsonl" for hour in ("10", "09")]
    assert newest_captures(s3, CAPTURES) == newest
    monkeypatch.setattr(recorded_traffic, "MOST_FILES", 1)
    assert newest_captures(s3, CAPTURES) == newest[:1]
    monkeypatch.setattr(recorded_traffic, "MOST_FILES", 9)
    monkeypatch.setattr(recorded_traffic, "MOST_BYTES", 1)
    # The newest file is read in any case.
    assert newest_captures(s3, CAPTURES) == newest[:1]


def test_a_manifest_names_keys_below_its_prefix() -> None:
    assert json.loads(manifest("s3://b/p/q", ["p/q/2026/x.jsonl"])) == [
        {"prefix": "s3://b/p/q/"},
        "2026/x.jsonl",
    ]
