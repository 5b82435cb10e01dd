"""Starts a SageMaker training job and polls it, once per invocation.

    first invocation   CreateTrainingJob ─► "still running", with the job's name
    later invocations  InProgress | Stopping ─► "still running"
                       Completed ─► model artifact, success with the model's variables
                       Failed | Stopped ─► failure with SageMaker's reason

The output artifact holds ``parameters.json``, from which CloudFormation takes its parameters.
"""

import json
from collections.abc import Mapping
from typing import Any

import boto3

from lambda_src.pipeline_job import (
    ConfigurationError,
    Job,
    JobError,
    StillRunning,
    Succeeded,
    parameter,
    run,
)
from lambda_src.sagemaker_job import (
    cluster,
    created,
    name_of,
    network,
    output_key,
    released_image,
    tags,
)

CHANNEL = "dataset"
# The metrics that the container prints, such as `validation:accuracy=0.97`: those of a classifier,
# and those of a regression.
METRICS = (
    *("train:accuracy", "validation:accuracy", "validation:f1_macro", "validation:log_loss"),
    *("train:r2", "validation:r2", "validation:rmse", "validation:mae"),
)
# The metric that is a model's score, as in scikit-learn: accuracy, or R² for a regression.
SCORES = ("accuracy", "r2")
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
    name = name_of(job)
    image_uri = released_image(job)
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
        "OutputDataConfig": {"S3OutputPath": parameter(job, "outputPath", str), **output_key(job)},
        "ResourceConfig": cluster(job),
        **network(job),
        "StoppingCondition": {"MaxRuntimeInSeconds": parameter(job, "maxRuntimeSeconds", int)},
        "EnableManagedSpotTraining": False,
        "Tags": tags(job),
    }
    created(sagemaker.create_training_job, request)
    return _still_running(name, image_uri, "started")


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


def _score(name: str, metrics: list[dict[str, Any]]) -> tuple[str, str]:
    values = {metric["MetricName"]: metric["Value"] for metric in metrics}
    for score in SCORES:
        if f"validation:{score}" in values:
            return score, f"{values[f'validation:{score}']:.4f}"
    expected = " or ".join(f"validation:{score}" for score in SCORES)
    raise JobError(f"training job {name} reported no {expected}")
