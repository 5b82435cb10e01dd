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
    *("validation:roc_auc", "validation:average_precision", "validation:brier_score"),
    *("train:r2", "validation:r2", "validation:rmse", "validation:mae"),
    *("cv:accuracy_mean", "cv:accuracy_std", "cv:r2_mean", "cv:r2_std"),
)
# The metric that is a model's score, as in scikit-learn: accuracy, or R² for a regression.
SCORES = ("accuracy", "r2")
# Metrics of which less is better.
_LOSSES = ("log_loss", "brier_score", "rmse", "mae")
_NAME_KEY = "trainingJobName"
_IMAGE_KEY = "imageUri"
# The image for endpoints on Arm, which no job runs.
_ARM64_KEY = "arm64ImageUri"


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
    images = {_IMAGE_KEY: released_image(job)}
    if job.parameters.get("arm64Image"):
        images[_ARM64_KEY] = released_image(job, "-arm64")
    hyperparameters = parameter(job, "hyperparameters", dict)
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": images[_IMAGE_KEY],
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
    return _still_running(name, images, "started")


def _poll(job: Job, continuation: Mapping[str, Any]) -> Succeeded | StillRunning:
    name = continuation.get(_NAME_KEY)
    images = {k: str(continuation[k]) for k in (_IMAGE_KEY, _ARM64_KEY) if continuation.get(k)}
    if not name or _IMAGE_KEY not in images:
        raise ConfigurationError(f"continuationToken must hold {_NAME_KEY} and {_IMAGE_KEY}")
    description = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    status = description["TrainingJobStatus"]
    if status in ("InProgress", "Stopping"):
        return _still_running(name, images, description.get("SecondaryStatus", status))
    if status != "Completed":
        reason = description.get("FailureReason") or description.get("SecondaryStatus", "no reason")
        raise JobError(f"training job {name} ended as {status}: {reason}")

    metrics = description.get("FinalMetricDataList", [])
    metric, score = _score(name, metrics)
    if "minimumMetric" in job.parameters:
        _check_limits(name, metrics, parameter(job, "minimumMetric", dict))
    variables = {
        "TrainingJobName": name,
        "ModelDataUrl": description["ModelArtifacts"]["S3ModelArtifacts"],
        "ImageUri": images[_IMAGE_KEY],
        "Metric": metric,
        "Score": score,
    }
    dataset_version_id = parameter(job, "datasetVersionId", str)
    parameters = {**variables, "DatasetVersionId": dataset_version_id}
    if _ARM64_KEY in images:
        parameters["Arm64ImageUri"] = images[_ARM64_KEY]
    job.write(job.output(), {"parameters.json": json.dumps(parameters, indent=2)})
    return Succeeded(
        summary=f"training job {name} completed, validation {metric} {score}",
        external_id=name,
        variables=variables,
    )


def _still_running(name: str, images: Mapping[str, str], progress: str) -> StillRunning:
    return StillRunning(
        summary=f"training job {name}: {progress}",
        external_id=name,
        continuation={_NAME_KEY: name, **images},
    )


def _check_limits(name: str, metrics: list[dict[str, Any]], limits: Mapping[str, float]) -> None:
    values = {metric["MetricName"]: metric["Value"] for metric in metrics}
    problems = []
    for metric, limit in limits.items():
        value = values.get(f"validation:{metric}")
        if value is None:
            problems.append(f"it reported no validation {metric}")
        elif metric in _LOSSES and value > limit:
            problems.append(f"validation {metric} is {value:.4g}, and at most {limit:g} is allowed")
        elif metric not in _LOSSES and value < limit:
            problems.append(f"validation {metric} is {value:.4g}, and {limit:g} is the minimum")
    if problems:
        raise JobError(f"training job {name} misses minimumMetric: {'; '.join(problems)}")


def _score(name: str, metrics: list[dict[str, Any]]) -> tuple[str, str]:
    values = {metric["MetricName"]: metric["Value"] for metric in metrics}
    for score in SCORES:
        if f"validation:{score}" in values:
            return score, f"{values[f'validation:{score}']:.4f}"
    expected = " or ".join(f"validation:{score}" for score in SCORES)
    raise JobError(f"training job {name} reported no {expected}")
