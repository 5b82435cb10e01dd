"""The processing handler: start, poll, and one result on every path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambda_src.run_processing import handler
from tests.unit.lambda_src.fake_aws import (
    EXECUTION_ID,
    IMAGE_URI,
    AwsError,
    FakeAws,
    pipeline_event,
)

NAME = "iris-model-abcdef01-11111111"
REPORT = f"s3://artifacts/reports/{NAME}"
PARAMETERS = {
    "command": "check",
    "modelName": "iris-model",
    "executionId": EXECUTION_ID,
    "datasetVersionId": "version-1",
    "roleArn": "arn:aws:iam::123456789012:role/mlops-iris-model-training-us-east-1",
    "imageParameter": "/mlops/iris-model/image",
    "instanceType": "ml.m5.large",
    "maxRuntimeSeconds": 3600,
    "networkIsolation": True,
    "champion": "baseline",
    "hyperparameters": {"header": "yes", "n_estimators": 100},
}
TOKEN = json.dumps({"processingJobName": NAME})
BASELINE = "s3://artifacts/reports/earlier/baseline.json"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_OUTPUT", "s3://artifacts/reports")


def start(**changes: Any) -> None:
    handler(pipeline_event({**PARAMETERS, **changes}), None)


def poll(aws: FakeAws, **description: Any) -> None:
    aws.processing_jobs[NAME] = description
    handler(pipeline_event(PARAMETERS, continuation=TOKEN), None)


def package(status: str, uri: str | None) -> dict[str, Any]:
    statistics = {"Statistics": {"ContentType": "application/json", "S3Uri": uri}}
    return {
        "ModelPackageArn": f"arn:aws:sagemaker:us-east-1:123456789012:model-package/m/{uri}",
        "ModelApprovalStatus": status,
        "DriftCheckBaselines": {"ModelDataQuality": statistics if uri else {}},
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE_URI, "ModelDataUrl": "s3://a/model.tar.gz"}]
        },
    }


def test_the_first_invocation_starts_a_processing_job(aws: FakeAws) -> None:
    start()
    assert json.loads(aws.success()["continuationToken"]) == json.loads(TOKEN)
    (request,) = aws.made("CreateProcessingJob")
    assert request["AppSpecification"] == {"ImageUri": IMAGE_URI, "ContainerArguments": ["check"]}
    (dataset,) = request["ProcessingInputs"]
    assert dataset["InputName"] == "dataset"
    assert dataset["S3Input"]["S3Uri"] == "s3://artifacts/pipeline/Dataset/abc"
    assert dataset["S3Input"]["LocalPath"] == "/opt/ml/processing/dataset"
    (report,) = request["ProcessingOutputConfig"]["Outputs"]
    assert report["S3Output"] == {
        "S3Uri": REPORT,
        "LocalPath": "/opt/ml/processing/report",
        "S3UploadMode": "EndOfJob",
    }
    assert request["Environment"] == {"SM_HP_HEADER": "yes", "SM_HP_N_ESTIMATORS": "100"}
    assert request["NetworkConfig"] == {"EnableNetworkIsolation": True}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_the_report_and_the_volume_are_under_the_stacks_key(aws: FakeAws) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/k"
    handler(pipeline_event(PARAMETERS, encryption_key=key), None)
    (request,) = aws.made("CreateProcessingJob")
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == key
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == key


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ([], None),
        ([package("PendingManualApproval", BASELINE)], None),
        ([package("Approved", None)], None),
        ([package("Approved", "s3://a/old.json"), package("Approved", BASELINE)], BASELINE),
        ([package("Approved", BASELINE), package("Rejected", "s3://a/bad.json")], BASELINE),
    ],
)
def test_the_newest_approved_version_is_the_champion(
    aws: FakeAws, packages: list[dict[str, Any]], expected: str | None
) -> None:
    aws.packages = packages
    start()
    (request,) = aws.made("CreateProcessingJob")
    uris = {i["InputName"]: i["S3Input"]["S3Uri"] for i in request["ProcessingInputs"]}
    assert uris.get("champion") == expected


def test_a_command_may_ask_for_more_inputs_and_for_the_champions_model(aws: FakeAws) -> None:
    aws.packages = [package("Approved", BASELINE)]
    candidate = "s3://artifacts/training/job/output/model.tar.gz"
    start(command="evaluate", champion="model", inputs={"candidate": candidate})
    (request,) = aws.made("CreateProcessingJob")
    assert {i["InputName"]: i["S3Input"]["S3Uri"] for i in request["ProcessingInputs"]} == {
        "dataset": "s3://artifacts/pipeline/Dataset/abc",
        "candidate": candidate,
        "champion": "s3://a/model.tar.gz",
    }


def test_another_part_of_the_champion_is_refused(aws: FakeAws) -> None:
    start(champion="weights")
    assert aws.failure() == (
        "ConfigurationError",
        "champion is 'weights'; it must be baseline or model",
    )


def test_a_model_without_a_group_has_no_champion(aws: FakeAws) -> None:
    aws.errors["ListModelPackages"] = AwsError(
        "ValidationException", "Model Package Group arn:… does not exist."
    )
    start()
    assert "continuationToken" in aws.success()


def test_another_error_of_the_registry_is_not_hidden(aws: FakeAws) -> None:
    aws.errors["ListModelPackages"] = AwsError("AccessDeniedException", "not allowed")
    start()
    assert "not allowed" in aws.failure()[1]


def test_a_second_delivery_of_the_event_changes_nothing(aws: FakeAws) -> None:
    start()
    start()
    assert len(aws.processing_jobs) == 1
    assert [operation for operation, _ in aws.answers()] == ["PutJobSuccessResult"] * 2


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_job_that_runs_is_polled_again(aws: FakeAws, status: str) -> None:
    poll(aws, ProcessingJobStatus=status)
    assert json.loads(aws.success()["continuationToken"]) == json.loads(TOKEN)


def test_a_completed_job_says_what_the_container_said(aws: FakeAws) -> None:
    poll(aws, ProcessingJobStatus="Completed", ExitMessage="nothing broken, 1 shift")
    answer = aws.success()
    assert answer["outputVariables"] == {"ReportUrl": REPORT, "Verdict": "nothing broken, 1 shift"}
    assert answer["executionDetails"]["summary"] == (
        f"processing job {NAME} completed: nothing broken, 1 shift"
    )


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_failed_says_why(aws: FakeAws, status: str) -> None:
    poll(aws, ProcessingJobStatus=status, FailureReason="AlgorithmError: a column went")
    kind, message = aws.failure()
    assert kind == "JobFailed"
    assert message == f"processing job {NAME} ended as {status}: AlgorithmError: a column went"


@pytest.mark.parametrize(("missing", "said"), [("command", "command"), ("roleArn", "roleArn")])
def test_a_missing_parameter_is_named(aws: FakeAws, missing: str, said: str) -> None:
    handler(pipeline_event({k: v for k, v in PARAMETERS.items() if k != missing}), None)
    kind, message = aws.failure()
    assert (kind, said in message) == ("ConfigurationError", True)
    assert aws.made("CreateProcessingJob") == []


def test_an_evaluation_gets_the_reference_set_of_the_newest_approved_version(aws: FakeAws) -> None:
    first, second, third = (package("Approved", f"s3://a/{n}.json") for n in (1, 2, 3))
    for number, one in enumerate((first, second), 1):
        url = f"s3://artifacts/reports/{number}/reference.json"
        one["CustomerMetadataProperties"] = {"ReferenceUrl": url}
    # The newest one was not evaluated, and names none.
    aws.packages = [first, second, third]
    start(command="evaluate", champion="model", reference=True)
    (request,) = aws.made("CreateProcessingJob")
    uris = {i["InputName"]: i["S3Input"]["S3Uri"] for i in request["ProcessingInputs"]}
    assert uris["reference"] == "s3://artifacts/reports/2/reference.json"
    aws.calls.clear()
    poll(
        aws,
        ProcessingJobStatus="Completed",
        ExitMessage="fine",
        ProcessingInputs=request["ProcessingInputs"],
    )
    variables = aws.success()["outputVariables"]
    assert variables["ReferenceUrl"] == "s3://artifacts/reports/2/reference.json"


def test_a_first_evaluation_has_no_reference_set(aws: FakeAws) -> None:
    aws.packages = [package("Approved", BASELINE)]
    start(command="evaluate", champion="model", reference=True)
    (request,) = aws.made("CreateProcessingJob")
    assert "reference" not in {i["InputName"] for i in request["ProcessingInputs"]}
