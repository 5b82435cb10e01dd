"""The training handler: start, poll, and one result on every path."""

import io
import json
import re
import zipfile
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from lambda_src.train_model import handler
from tests.unit.lambda_src.fake_aws import (
    EXECUTION_ID,
    IMAGE_URI,
    JOB_ID,
    AwsError,
    FakeAws,
    pipeline_event,
)

TRAINING_JOB = "iris-model-abcdef01-11111111"
PARAMETERS = {
    "modelName": "iris-model",
    "executionId": EXECUTION_ID,
    "datasetVersionId": "version-1",
    "trainingRoleArn": "arn:aws:iam::123456789012:role/mlops-iris-model-training-us-east-1",
    "imageParameter": "/mlops/iris-model/image",
    "instanceType": "ml.m5.large",
    "maxRuntimeSeconds": 3600,
    "outputPath": "s3://artifacts/training",
    "networkIsolation": True,
    "hyperparameters": {"n_estimators": "100"},
}
TOKEN = json.dumps({"trainingJobName": TRAINING_JOB, "imageUri": IMAGE_URI})
COMPLETED = {
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/training/job/model.tar.gz"},
    "FinalMetricDataList": [
        {"MetricName": "train:accuracy", "Value": 1.0},
        {"MetricName": "validation:accuracy", "Value": 0.9666666},
    ],
}


def start(**changes: Any) -> None:
    handler(pipeline_event({**PARAMETERS, **changes}, outputs=True), None)


def follow(parameters: dict[str, Any] = PARAMETERS, **event: Any) -> None:
    handler(pipeline_event(parameters, outputs=True, continuation=TOKEN, **event), None)


def test_the_first_invocation_starts_a_training_job(aws: FakeAws) -> None:
    start()
    answer = aws.success()
    assert answer["jobId"] == JOB_ID
    assert json.loads(answer["continuationToken"]) == json.loads(TOKEN)
    assert "outputVariables" not in answer
    assert answer["executionDetails"] == {
        "summary": f"training job {TRAINING_JOB}: started",
        "externalExecutionId": TRAINING_JOB,
    }


def test_the_image_for_arm64_is_kept_for_endpoints(aws: FakeAws) -> None:
    arm = IMAGE_URI.replace("a" * 64, "b" * 64)
    aws.parameters["/mlops/iris-model/image-arm64"] = arm
    start(arm64Image=True)
    (request,) = aws.made("CreateTrainingJob")
    assert request["AlgorithmSpecification"]["TrainingImage"] == IMAGE_URI
    token = aws.success()["continuationToken"]
    aws.calls.clear()
    # Another release does not change it.
    aws.parameters["/mlops/iris-model/image-arm64"] = "none"
    aws.training_jobs[TRAINING_JOB] = COMPLETED
    handler(pipeline_event(PARAMETERS, outputs=True, continuation=token), None)
    assert "Arm64ImageUri" not in aws.success()["outputVariables"]
    with zipfile.ZipFile(io.BytesIO(aws.objects["artifacts", "pipeline/Model/xyz"])) as archive:
        found = json.loads(archive.read("parameters.json"))
    assert (found["ImageUri"], found["Arm64ImageUri"]) == (IMAGE_URI, arm)


def test_without_an_image_for_arm64_training_says_which_parameter_lacks_it(aws: FakeAws) -> None:
    start(arm64Image=True)
    assert "/mlops/iris-model/image-arm64 holds 'nothing'" in aws.failure()[1]


def test_the_training_job_runs_the_digest_on_the_dataset_artifact(aws: FakeAws) -> None:
    start()
    (request,) = aws.made("CreateTrainingJob")
    assert request["TrainingJobName"] == TRAINING_JOB
    assert request["AlgorithmSpecification"]["TrainingImage"] == IMAGE_URI
    assert request["HyperParameters"] == {"n_estimators": "100"}
    (channel,) = request["InputDataConfig"]
    assert channel["ChannelName"] == "dataset"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://artifacts/pipeline/Dataset/abc"
    assert request["OutputDataConfig"] == {"S3OutputPath": "s3://artifacts/training"}
    assert request["EnableNetworkIsolation"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert {tag["Key"]: tag["Value"] for tag in request["Tags"]} == {
        "PipelineExecutionId": EXECUTION_ID,
        "DatasetVersionId": "version-1",
    }


def test_the_training_job_joins_the_vpc_of_the_functions_environment(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc = {"Subnets": ["subnet-01234567"], "SecurityGroupIds": ["sg-01234567"]}
    start()
    monkeypatch.setenv("TRAINING_VPC_CONFIG", json.dumps(vpc))
    start()
    without, with_vpc = aws.made("CreateTrainingJob")
    assert "VpcConfig" not in without
    assert with_vpc["VpcConfig"] == vpc


@pytest.mark.parametrize(
    ("instance_type", "volume"),
    [
        ("ml.m5.large", True),
        ("ml.c7i.xlarge", True),
        ("ml.m5d.large", False),
        ("ml.m7gd.large", False),
    ],
)
def test_the_model_and_the_volume_are_under_the_stacks_key(
    aws: FakeAws, instance_type: str, *, volume: bool
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/k"
    parameters = {**PARAMETERS, "instanceType": instance_type}
    handler(pipeline_event(parameters, outputs=True, encryption_key=key), None)
    (request,) = aws.made("CreateTrainingJob")
    assert request["OutputDataConfig"] == {
        "S3OutputPath": "s3://artifacts/training",
        "KmsKeyId": key,
    }
    assert volume == (request["ResourceConfig"].get("VolumeKmsKeyId") == key)


def test_the_metric_expressions_read_what_the_container_prints(aws: FakeAws) -> None:
    start()
    (request,) = aws.made("CreateTrainingJob")
    line = "validation:accuracy=0.9667; validation:log_loss=1.5e-05; validation:f1_macro=1.0;"
    found = {
        metric["Name"]: match.group(1)
        for metric in request["AlgorithmSpecification"]["MetricDefinitions"]
        if (match := re.search(metric["Regex"], line))
    }
    assert found == {
        "validation:accuracy": "0.9667",
        "validation:log_loss": "1.5e-05",
        "validation:f1_macro": "1.0",
    }


def test_an_event_that_is_delivered_twice_starts_one_job(aws: FakeAws) -> None:
    start()
    start()
    assert list(aws.training_jobs) == [TRAINING_JOB]
    first, second = aws.answers()
    assert first == second


def test_a_long_model_name_is_truncated_to_the_limit(aws: FakeAws) -> None:
    start(modelName="m" * 60)
    (name,) = aws.training_jobs
    assert len(name) == 63
    assert name.endswith("-abcdef01-11111111")


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_running_job_is_polled_again(aws: FakeAws, status: str) -> None:
    aws.training_jobs[TRAINING_JOB] = {"TrainingJobStatus": status, "SecondaryStatus": "Training"}
    follow()
    answer = aws.success()
    assert json.loads(answer["continuationToken"]) == json.loads(TOKEN)
    assert answer["executionDetails"]["summary"] == f"training job {TRAINING_JOB}: Training"


def test_a_completed_job_returns_variables_and_an_artifact_for_cloudformation(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = COMPLETED
    follow()
    answer = aws.success()
    assert "continuationToken" not in answer
    assert answer["executionDetails"]["percentComplete"] == 100
    variables = {
        "TrainingJobName": TRAINING_JOB,
        "ModelDataUrl": "s3://artifacts/training/job/model.tar.gz",
        "ImageUri": IMAGE_URI,
        "Metric": "accuracy",
        "Score": "0.9667",
    }
    assert answer["outputVariables"] == variables
    with zipfile.ZipFile(io.BytesIO(aws.objects["artifacts", "pipeline/Model/xyz"])) as archive:
        assert archive.namelist() == ["parameters.json"]
        parameters = json.loads(archive.read("parameters.json"))
    assert parameters == {**variables, "DatasetVersionId": "version-1"}


def test_the_artifact_is_written_with_the_credentials_of_the_event(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = COMPLETED
    follow()
    keys = {call.operation: call.access_key for call in aws.calls}
    assert keys == {
        "DescribeTrainingJob": "function",
        "PutObject": "artifact",
        "PutJobSuccessResult": "function",
    }


def test_the_artifact_is_encrypted_with_the_stores_key(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = COMPLETED
    follow(encryption_key="arn:aws:kms:us-east-1:123456789012:key/k")
    (request,) = aws.made("PutObject")
    assert request["ServerSideEncryption"] == "aws:kms"
    assert request["SSEKMSKeyId"] == "arn:aws:kms:us-east-1:123456789012:key/k"


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_failed_job_fails_with_its_reason(aws: FakeAws, status: str) -> None:
    reason = "AlgorithmError: the dataset has one class only"
    aws.training_jobs[TRAINING_JOB] = {"TrainingJobStatus": status, "FailureReason": reason}
    follow()
    assert aws.failure() == (
        "JobFailed",
        f"training job {TRAINING_JOB} ended as {status}: {reason}",
    )


def test_a_stopped_job_without_a_reason_fails_with_its_secondary_status(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = {
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "MaxRuntimeExceeded",
    }
    follow()
    assert aws.failure()[1].endswith("ended as Stopped: MaxRuntimeExceeded")


def test_a_long_reason_is_truncated_to_codepipelines_limit(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = {"TrainingJobStatus": "Failed", "FailureReason": "x" * 9000}
    follow()
    assert len(aws.failure()[1]) == 5000


def test_a_job_without_a_score_fails(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = {**COMPLETED, "FinalMetricDataList": []}
    follow()
    assert aws.failure() == (
        "JobFailed",
        f"training job {TRAINING_JOB} reported no validation:accuracy or validation:r2",
    )


def test_a_regressions_score_is_r2(aws: FakeAws) -> None:
    values = {"rmse": 54.0, "r2": 0.45}
    metrics = [{"MetricName": f"validation:{n}", "Value": v} for n, v in values.items()]
    aws.training_jobs[TRAINING_JOB] = {**COMPLETED, "FinalMetricDataList": metrics}
    follow()
    answer = aws.success()
    assert answer["outputVariables"]["Metric"] == "r2"
    assert answer["outputVariables"]["Score"] == "0.4500"
    assert answer["executionDetails"]["summary"].endswith("completed, validation r2 0.4500")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"accuracy": 0.99}, "validation accuracy is 0.9, and 0.99 is the minimum"),
        ({"log_loss": 0.1}, "validation log_loss is 0.3, and at most 0.1 is allowed"),
        ({"roc_auc": 0.5}, "it reported no validation roc_auc"),
    ],
)
def test_a_model_beyond_a_limit_of_a_metric_fails(
    aws: FakeAws, limits: dict[str, float], reason: str
) -> None:
    metrics = [
        {"MetricName": f"validation:{name}", "Value": value}
        for name, value in (("accuracy", 0.9), ("log_loss", 0.3))
    ]
    aws.training_jobs[TRAINING_JOB] = {**COMPLETED, "FinalMetricDataList": metrics}
    follow(parameters={**PARAMETERS, "minimumMetric": {"accuracy": 0.9, **limits}})
    assert aws.failure() == (
        "JobFailed",
        f"training job {TRAINING_JOB} misses minimumMetric: {reason}",
    )


def test_a_model_within_the_limits_of_its_metrics_passes(aws: FakeAws) -> None:
    metrics = [
        {"MetricName": f"validation:{name}", "Value": value}
        for name, value in (("accuracy", 0.9), ("log_loss", 0.3))
    ]
    aws.training_jobs[TRAINING_JOB] = {**COMPLETED, "FinalMetricDataList": metrics}
    follow(parameters={**PARAMETERS, "minimumMetric": {"accuracy": 0.9, "log_loss": 0.3}})
    assert aws.success()["outputVariables"]["Score"] == "0.9000"


@pytest.mark.parametrize("value", ["none", "", "iris-model:latest", IMAGE_URI[:-1], None])
def test_without_a_released_image_the_error_says_to_build_one(
    aws: FakeAws, value: str | None
) -> None:
    aws.parameters = {} if value is None else {"/mlops/iris-model/image": value}
    start()
    kind, message = aws.failure()
    assert kind == "ConfigurationError"
    assert message.startswith("SSM parameter /mlops/iris-model/image holds ")
    assert "build the model container first" in message
    assert aws.training_jobs == {}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_required(aws: FakeAws, name: str) -> None:
    start(**{name: None})
    kind, message = aws.failure()
    assert kind == "ConfigurationError"
    assert message.startswith(f"UserParameters: {name} must be ")
    assert aws.training_jobs == {}


@pytest.mark.parametrize(
    "error",
    [
        AwsError("AccessDeniedException", "not allowed to CreateTrainingJob"),
        AwsError("ResourceLimitExceeded", "no ml.m5.large left"),
        EndpointConnectionError(endpoint_url="https://sagemaker"),
    ],
)
def test_an_error_of_sagemaker_fails_the_job(aws: FakeAws, error: Exception) -> None:
    aws.errors["CreateTrainingJob"] = error
    start()
    kind, message = aws.failure()
    assert kind == "JobFailed"
    assert message != ""


@pytest.mark.parametrize("token", ["not json", "[]", "{}", '{"trainingJobName": "x"}'])
def test_a_continuation_token_that_is_not_ours_fails(aws: FakeAws, token: str) -> None:
    handler(pipeline_event(PARAMETERS, outputs=True, continuation=token), None)
    assert aws.failure()[0] == "ConfigurationError"


def test_a_missing_output_artifact_fails_before_anything_is_written(aws: FakeAws) -> None:
    aws.training_jobs[TRAINING_JOB] = COMPLETED
    handler(pipeline_event(PARAMETERS, continuation=TOKEN), None)
    assert aws.failure() == (
        "ConfigurationError",
        "the action must have one output artifact, not 0",
    )
