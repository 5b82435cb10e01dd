"""The common ground of training and processing jobs: name, image, key, network, inputs.

Owns the members of a request that follow from the pipeline's job and the stack's settings, and the
form of the others. Must not: know what the job computes.
"""

import json
import os
import re
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambda_src.pipeline_job import ConfigurationError, Job, parameter

# Of a processing job's inputs and outputs.
DIRECTORY = "/opt/ml/processing"
VOLUME_GIB = 10
NAME_LENGTH = 63
_IMAGE_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
# Families with local NVMe storage, such as m5d.
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d[a-z]*d[a-z]*|[gp]\d|trn\d|i\d)")


def name_of(job: Job) -> str:
    """Return the SageMaker job's name, which is always the same for this CodePipeline job."""
    execution_id = parameter(job, "executionId", str)
    suffix = f"-{execution_id[:8]}-{job.id[:8]}"
    model_name = parameter(job, "modelName", str)
    return f"{model_name[: NAME_LENGTH - len(suffix)]}{suffix}"


def released_image(job: Job, suffix: str = "") -> str:
    """Return the URI of the released image, with its digest.

    All jobs and every endpoint of this execution then run exactly the same image.

    Args:
        job: the pipeline's job.
        suffix: what follows the name of the parameter: ``-arm64`` for the image of that
            architecture.

    Raises: ConfigurationError when no image was released.
    """
    name = parameter(job, "imageParameter", str) + suffix
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


def cluster(job: Job) -> dict[str, Any]:
    """Return the instance on which the job computes, and the key of its volume.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html
    """
    return instances(parameter(job, "instanceType", str), 1, job.encryption_key)


def instances(instance_type: str, count: int, key_arn: str | None) -> dict[str, Any]:
    """Return a job's instances, with the KMS key of their volumes if there is one."""
    resources: dict[str, Any] = {
        "InstanceType": instance_type,
        "InstanceCount": count,
        "VolumeSizeInGB": VOLUME_GIB,
    }
    # Local storage is encrypted by the hardware, and SageMaker then refuses a key.
    if key_arn and not _LOCAL_STORAGE.match(instance_type):
        resources["VolumeKmsKeyId"] = key_arn
    return resources


def output_key(job: Job) -> dict[str, str]:
    """Return the key of what the job writes.

    The artifact store's key is the stack's. Without it, SageMaker would write under the key
    `aws/s3`, which no other account can use.
    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputDataConfig.html
    """
    return {"KmsKeyId": job.encryption_key} if job.encryption_key else {}


def network(job: Job) -> dict[str, Any]:
    """Return the job's isolation, and its VPC if the function's environment names one."""
    found: dict[str, Any] = {"EnableNetworkIsolation": parameter(job, "networkIsolation", bool)}
    vpc_config = os.environ.get("TRAINING_VPC_CONFIG")
    if vpc_config:
        found["VpcConfig"] = json.loads(vpc_config)
    return found


def tags(job: Job) -> list[dict[str, str]]:
    """Return the tags that lead from a job to its execution and its dataset."""
    return [
        {"Key": "PipelineExecutionId", "Value": parameter(job, "executionId", str)},
        {"Key": "DatasetVersionId", "Value": parameter(job, "datasetVersionId", str)},
    ]


def processing_input(
    name: str, uri: str, data_type: str = "S3Prefix", distribution: str = "FullyReplicated"
) -> dict[str, Any]:
    """Return an input of a processing job, in the directory of its name.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{DIRECTORY}/{name}",
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": distribution,
        },
    }


def processing_output(name: str, uri: str) -> dict[str, Any]:
    """Return an output of a processing job, from the directory of its name."""
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": uri,
            "LocalPath": f"{DIRECTORY}/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def created(create: Any, request: dict[str, Any]) -> None:
    """Create a job, unless an earlier delivery of the same event has created it.

    Only this event uses the name, so a name in use means that Lambda has delivered it twice.

    Args:
        create: the operation of the SageMaker client.
        request: its parameters.
    """
    try:
        create(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUse":
            raise
