"""Starts a SageMaker training job and polls it, once per invocation.

    first invocation   CreateTrainingJob ─► "still running", with the job's name
    later invocations  InProgress | Stopping ─► "still running"
                       Completed ─► model artifact, success with the model's variables
                       Failed | Stopped ─► failure with SageMaker's reason

The output artifact holds ``parameters.json``, from which CloudFormation takes its parameters.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambda_src.pipeline_job import (
    ConfigurationError,
    Job,
    JobError,
    StillRunning,
    Succeeded,
    parameter,
    run,
)

CHANNEL = "dataset"
VOLUME_GIB = 10
TRAINING_JOB_NAME_LENGTH = 63
# The metrics that the container prints, such as `validation:accuracy=0.97`: those of a classifier,
# and those of a regression.
METRICS = (
    *("train:accuracy", "validation:accuracy", "validation:f1_macro", "validation:log_loss"),
    *("train:r2", "validation:r2", "validation:rmse", "validation:mae"),
)
# The metric that is a model's score, as in scikit-learn: accuracy, or R² for a regression.
SCORES = ("accuracy", "r2")
_IMAGE_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
# Families with local NVMe storage, such as m5d.
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d[a-z]*d[a-z]*|[gp]\d|trn\d|i\d)")
_NAME_KEY = "trainingJobName"
_IMAGE_KEY = "imageUri"


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation by CodePipeline."""
    run(event, train)


def train(job: Job) -> Succeeded | StillRunning:
    """Start the training job, or poll the one that an earlier invocation started."""
    return _start(job) if job.continuation is None else _poll(job, job.continuation)


def _start(job: Job) -> StillRunning:
    sagemaker = boto3.client("sagemaker")
    dataset = job.input()
    name = _training_job_name(job)
    image_uri = _released_image(job)
    hyperparameters = parameter(job, "hyperparameters", dict)
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": metric, "Regex": f"{metric}=([0-9.e-]+)"} for metric in METRICS
            ],
        },
        "RoleArn": parameter(job, "trainingRoleArn", str),
        "HyperParameters": {key: str(value) for key, value in hyperparameters.items()},
        "InputDataConfig": [
            {
                "ChannelName": CHANNEL,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{dataset.bucket}/{dataset.key}",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
                "ContentType": "application/zip",
                "InputMode": "File",
            }
        ],
        **_storage(job),
        **_network(job),
        "StoppingCondition": {"MaxRuntimeInSeconds": parameter(job, "maxRuntimeSeconds", int)},
        "EnableManagedSpotTraining": False,
        "Tags": [
            {"Key": "PipelineExecutionId", "Value": parameter(job, "executionId", str)},
            {"Key": "DatasetVersionId", "Value": parameter(job, "datasetVersionId", str)},
        ],
    }
    try:
        sagemaker.create_training_job(**request)
    except ClientError as error:
        # Only this CodePipeline job uses this name, so Lambda has delivered the event twice.
        if error.response["Error"]["Code"] != "ResourceInUse":
            raise
    return _still_running(name, image_uri, "started")


def _storage(job: Job) -> dict[str, Any]:
    """Return where the model goes, on what the job computes, and the key of both.

    The artifact store's key is the stack's. Without it, SageMaker would write the model under the
    key `aws/s3`, which no other account can use.
    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputDataConfig.html
    """
    instance_type = parameter(job, "instanceType", str)
    output = {"S3OutputPath": parameter(job, "outputPath", str)}
    resources: dict[str, Any] = {
        "InstanceType": instance_type,
        "InstanceCount": 1,
        "VolumeSizeInGB": VOLUME_GIB,
    }
    if job.encryption_key:
        output["KmsKeyId"] = job.encryption_key
        # Local storage is encrypted by the hardware, and SageMaker then refuses a key.
        if not _LOCAL_STORAGE.match(instance_type):
            resources["VolumeKmsKeyId"] = job.encryption_key
    return {"OutputDataConfig": output, "ResourceConfig": resources}


def _network(job: Job) -> dict[str, Any]:
    """Return the job's isolation, and its VPC if the function's environment names one."""
    network: dict[str, Any] = {"EnableNetworkIsolation": parameter(job, "networkIsolation", bool)}
    vpc_config = os.environ.get("TRAINING_VPC_CONFIG")
    if vpc_config:
        network["VpcConfig"] = json.loads(vpc_config)
    return network


def _poll(job: Job, continuation: Mapping[str, Any]) -> Succeeded | StillRunning:
    name, image_uri = continuation.get(_NAME_KEY), continuation.get(_IMAGE_KEY)
    if not name or not image_uri:
        raise ConfigurationError(f"continuationToken must hold {_NAME_KEY} and {_IMAGE_KEY}")
    description = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    status = description["TrainingJobStatus"]
    if status in ("InProgress", "Stopping"):
        return _still_running(name, image_uri, description.get("SecondaryStatus", status))
    if status != "Completed":
        reason = description.get("FailureReason") or description.get("SecondaryStatus", "no reason")
        raise JobError(f"training job {name} ended as {status}: {reason}")

    metric, score = _score(name, description.get("FinalMetricDataList", []))
    variables = {
        "TrainingJobName": name,
        "ModelDataUrl": description["ModelArtifacts"]["S3ModelArtifacts"],
        "ImageUri": image_uri,
        "Metric": metric,
        "Score": score,
    }
    dataset_version_id = parameter(job, "datasetVersionId", str)
    parameters = {**variables, "DatasetVersionId": dataset_version_id}
    job.write(job.output(), {"parameters.json": json.dumps(parameters, indent=2)})
    return Succeeded(
        summary=f"training job {name} completed, validation {metric} {score}",
        external_id=name,
        variables=variables,
    )


def _still_running(name: str, image_uri: str, progress: str) -> StillRunning:
    return StillRunning(
        summary=f"training job {name}: {progress}",
        external_id=name,
        continuation={_NAME_KEY: name, _IMAGE_KEY: image_uri},
    )


def _training_job_name(job: Job) -> str:
    """Return the training job's name, which is always the same for this CodePipeline job."""
    execution_id = parameter(job, "executionId", str)
    suffix = f"-{execution_id[:8]}-{job.id[:8]}"
    model_name = parameter(job, "modelName", str)
    return f"{model_name[: TRAINING_JOB_NAME_LENGTH - len(suffix)]}{suffix}"


def _released_image(job: Job) -> str:
    """Return the URI of the released image, with its digest.

    Training and every endpoint of this execution then run exactly the same image.
    """
    name = parameter(job, "imageParameter", str)
    try:
        image = str(boto3.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        image = "nothing"
    if not _IMAGE_BY_DIGEST.fullmatch(image):
        raise ConfigurationError(
            f"SSM parameter {name} holds {image!r}, not an image URI with a digest: build the "
            "model container first, by a push to its repository"
        )
    return image


def _score(name: str, metrics: list[dict[str, Any]]) -> tuple[str, str]:
    values = {metric["MetricName"]: metric["Value"] for metric in metrics}
    for score in SCORES:
        if f"validation:{score}" in values:
            return score, f"{values[f'validation:{score}']:.4f}"
    expected = " or ".join(f"validation:{score}" for score in SCORES)
    raise JobError(f"training job {name} reported no {expected}")
