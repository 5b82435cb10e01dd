"""The common ground of jobs and endpoints: images, credentials, keys, and files of S3.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcloud.aws.errors import AccessDenied
from localcloud.aws.routing import Scope
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_store import Image, parse_reference
from localcloud.iam.actions import metrics_in, pull_of_image
from localcloud.iam.encryption import output_permissions, volume_permissions
from localcloud.sagemaker.s3_source import Found, SourceError, objects_of
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

# The longest FailureReason, in characters.
REASON_LIMIT = 1024
# `g` after the number: AWS's Arm processors, as in c7g and m6gd.
_ARM = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")
_OPT_ML = re.compile(r"(?<![\w./-])/opt/ml(?![\w.-])")


class JobFailed(Exception):
    """The job fails, with this FailureReason."""


def words_at(words: Iterable[str], base: Path) -> list[str]:
    """Return the words of a command, in which `/opt/ml` stands for the container's directory.

    Args:
        words: the words that a request gives.
        base: where the process finds its directory.
    """
    return [_OPT_ML.sub(lambda _: str(base), word) for word in words]


def algorithm_error(reason: str, code: int | None) -> str:
    """Return the FailureReason of a container that ended with a status.

    Args:
        reason: what the container says of it, or its last lines; may be empty.
        code: the exit status, negative for a signal.
    """
    suffix = f", exit code: {code if code is not None else -1}"
    room = REASON_LIMIT - len("AlgorithmError: ") - len(suffix)
    return f"AlgorithmError: {(reason or 'the container printed nothing')[:room]}{suffix}"


async def check_keys(
    context: ServiceContext, scope: Scope, role_arn: str, volume: str | None, output: str | None
) -> None:
    """Check that a role may use the keys of a job's volumes and of its output.

    Raises:
        JobFailed: it may not.
    """
    wanted = [
        *await volume_permissions(context.moto, scope, volume),
        *await output_permissions(context.moto, scope, output),
    ]
    try:
        await context.iam.authorise(role_arn, wanted)
    except AccessDenied as error:
        raise JobFailed(f"ClientError: Cannot use the KMS key: {error.message}") from None


def objects_under(s3: Any, source: dict[str, Any]) -> list[Found]:
    """Return the objects of an S3DataSource; it blocks.

    Raises:
        JobFailed: there are none, or they cannot be listed.
    """
    uri = source["S3Uri"]
    try:
        found = objects_of(s3, source)
    except SourceError as error:
        raise JobFailed(f"ClientError: Data download failed: {error}") from None
    except s3.exceptions.ClientError as error:
        raise JobFailed(
            f"ClientError: Data download failed: could not read {uri}: {error}"
        ) from error
    if not found:
        raise JobFailed(
            "ClientError: Data download failed: No S3 objects found under S3 URL "
            f'"{uri}" given in input data source. Please ensure that the bucket exists in the '
            "selected region, that objects exist under that S3 prefix, and that the role has "
            "permission to read them."
        )
    return found


def download(s3: Any, entries: Iterable[Found], target: Path, *, unzip: bool = False) -> None:
    """Download objects to a directory; it blocks.

    Args:
        s3: a boto3 client.
        entries: the objects.
        target: the directory, which is made.
        unzip: whether the objects are compressed by gzip and the files are not.

    Raises:
        JobFailed: an object cannot be read, or its key leads out of the directory.
    """
    target.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        path = (target / entry.path).resolve()
        if not path.is_relative_to(target.resolve()):
            raise JobFailed(f"ClientError: the key '{entry.key}' is outside of its channel")
        path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"s3://{entry.bucket}/{entry.key}"
        try:
            # Not download_file, which sends a HEAD request first; its refusal has no message.
            body = s3.get_object(Bucket=entry.bucket, Key=entry.key)["Body"]
            with path.open("wb") as file:
                shutil.copyfileobj(gzip.GzipFile(fileobj=body) if unzip else body, file)
        except s3.exceptions.ClientError as error:
            raise JobFailed(
                f"ClientError: Data download failed: could not read {uri}: {error}"
            ) from error
        except (OSError, EOFError) as error:
            raise JobFailed(f"ClientError: Data download failed: {uri}: {error}") from None


def container_environment(
    context: ServiceContext, scope: Scope, role_arn: str, home: Path, *, isolated: bool
) -> dict[str, str]:
    """Return the variables by which the container of a job or a model calls AWS.

    Args:
        context: the parts that services share.
        scope: the account and region of the container.
        role_arn: the execution role.
        home: the directory for HOME.
        isolated: whether it runs under network isolation, where a container has no credentials.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mkt-algo-model-internet-free.html
    Differs: the network of an endpoint's container stays open, and on macOS that of a job.
    """
    return context.role_environment(scope, "" if isolated else role_arn, home)


async def publish_metrics(context: ServiceContext, role_arn: str, namespace: str) -> None:
    """Check that a role may publish the metrics of a container; without it, metrics are lost.

    Differs: the metrics are in DescribeTrainingJob, and instances have no metrics.
    """
    try:
        await context.iam.authorise(role_arn, metrics_in(namespace))
    except AccessDenied as error:
        log.warning("metrics are lost: %s", error.message)


def check_architecture(image: Image, uri: str, instance_type: str) -> None:
    """Refuse an image that instances of a type could not execute.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-graviton.html

    Raises:
        JobFailed: the image is for another architecture.
    """
    needed = "arm64" if _ARM.match(instance_type) else "amd64"
    if image.config.architecture != needed:
        raise JobFailed(
            f"ClientError: The image {uri} is for {image.config.architecture}, and instances of "
            f"{instance_type} are {needed}: exec format error"
        )


async def resolve_image(context: ServiceContext, uri: str, role_arn: str) -> Image:
    """Return the image of a URI from the disk, by its digest in ECR.

    Raises:
        JobFailed: ECR has no such image, its content was never pushed here, or the role may not
            pull it.
    """
    try:
        reference = parse_reference(uri)
        registry = Scope(reference.account, reference.region)
        await context.iam.authorise(role_arn, pull_of_image(registry, reference.repository))
        digest = reference.digest
        if digest is None:
            answer = await context.api(
                registry,
                "ecr",
                "describe_images",
                repositoryName=reference.repository,
                imageIds=[{"imageTag": reference.tag or "latest"}],
            )
            digest = answer["imageDetails"][0]["imageDigest"]
        return await asyncio.to_thread(context.images.get, str(digest))
    except AccessDenied as error:
        raise JobFailed(f"ClientError: Cannot pull the image {uri}: {error.message}") from None
    except ImageError as error:
        raise JobFailed(f"ClientError: Cannot pull the image {uri}: {error}") from None
    except Exception as error:
        raise JobFailed(f"ClientError: Cannot find repository or image {uri}: {error}") from None
