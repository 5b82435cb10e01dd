"""The dependencies of a SageMaker resource: its role, its image and its data have to exist.

AWS looks at them when a model or a job is created, and refuses what could only fail later.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
Source: https://repost.aws/knowledge-center/sagemaker-s3-model-data-access
"""

from __future__ import annotations

import itertools
from typing import Any

from localcloud.aws.errors import AccessDenied, ValidationError
from localcloud.aws.routing import Scope
from localcloud.aws.vpc import malformed
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_store import parse_reference
from localcloud.iam.actions import permissions
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

_PRINCIPAL = "sagemaker.amazonaws.com"
_LOCAL_IMAGES = "The local cloud has the images that were pushed to its own ECR, and none of AWS's."


async def check_role(context: ServiceContext, role_arn: str) -> None:
    """Refuse a role that SageMaker cannot assume.

    Raises:
        ValidationError: it does not exist, or does not trust SageMaker.
    """
    if not await context.iam.trusts(role_arn, _PRINCIPAL):
        raise ValidationError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
            f"principal '{_PRINCIPAL}' to assume the role."
        )


def check_vpc(request: dict[str, Any]) -> None:
    """Refuse a VpcConfig with an id that is malformed.

    Raises:
        ValidationError: names the id.
    """
    wrong = malformed(request.get("VpcConfig"))
    if wrong:
        raise ValidationError(f"{wrong}.")


async def check_model(
    context: ServiceContext, scope: Scope, role_arn: str, container: dict[str, Any]
) -> None:
    """Refuse a model whose role, image or data cannot be used.

    Args:
        context: what services share.
        scope: the account and region of the model.
        role_arn: the execution role, or an empty text, since a model needs none.
        container: the ContainerDefinition that will run.

    Raises:
        ValidationError: names what is missing.
    """
    url = _data_of(container)
    if role_arn and not await context.iam.trusts(role_arn, _PRINCIPAL):
        if url:
            raise _no_access(scope, role_arn, url)
        await check_role(context, role_arn)
    await _check_image(context, container.get("Image", ""))
    if url:
        await _check_data(context, scope, role_arn, url)


async def check_input(
    context: ServiceContext, scope: Scope, role_arn: str, source: dict[str, Any]
) -> None:
    """Refuse an S3DataSource of a job under whose prefix there is no object.

    Raises:
        ValidationError: the bucket does not exist or has no such object.
    """
    bucket, _, key = source["S3Uri"].removeprefix("s3://").partition("/")
    found = await context.moto.call(_objects_under, scope, bucket, key)
    if found:
        return
    raise ValidationError(
        f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please '
        f"ensure that the bucket exists in the selected region ({scope.region}), that objects "
        f'exist under that S3 prefix, and that the role "{role_arn}" has "s3:ListBucket" '
        f'permissions on bucket "{bucket}".'
        + (" Error message from S3: The specified bucket does not exist" if found is None else "")
    )


async def _check_image(context: ServiceContext, uri: str) -> None:
    try:
        reference = parse_reference(uri)
    except ImageError:
        raise ValidationError(
            f'Using non-ECR image "{uri}" without Vpc repository access mode is not supported.'
        ) from None
    registry = Scope(reference.account, reference.region)
    if not await context.moto.call(_has_image, registry, reference):
        raise ValidationError(f"Requested image {uri} not found. {_LOCAL_IMAGES}")


async def _check_data(context: ServiceContext, scope: Scope, role_arn: str, url: str) -> None:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not await context.moto.call(_objects_under, scope, bucket, key):
        raise ValidationError(f"Could not find model data at {url}.")
    try:
        wanted = permissions("s3", "GetObject", {"Bucket": bucket, "Key": key}, scope)
        await context.iam.authorise(role_arn, wanted)
    except AccessDenied:
        raise _no_access(scope, role_arn, url) from None


def _no_access(scope: Scope, role_arn: str, url: str) -> ValidationError:
    return ValidationError(
        f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists '
        'and that its trust relationship policy allows the action "sts:AssumeRole" for the '
        f'service principal "{_PRINCIPAL}". Also ensure that the role has "s3:GetObject" '
        f"permissions and that the object is located in {scope.region}. If your Model uses "
        "multiple models or uncompressed models, please ensure that the role has "
        '"s3:ListBucket" permission.'
    )


def _data_of(container: dict[str, Any]) -> str:
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


def _objects_under(scope: Scope, bucket: str, prefix: str) -> bool | None:
    """Return whether an object's key begins with a prefix; None without the bucket."""
    from moto.s3.exceptions import MissingBucket
    from moto.s3.models import FakeDeleteMarker

    try:
        keys = backend("s3", scope).get_bucket(bucket).keys
    except MissingBucket:
        return None
    # The whole key first, because a bucket may have many.
    return any(
        name in keys and not isinstance(keys[name], FakeDeleteMarker)
        for name in itertools.chain((prefix,), (key for key in keys if key.startswith(prefix)))
    )


def _has_image(registry: Scope, reference: Any) -> bool:
    repository = backend("ecr", registry).repositories.get(reference.repository)
    if repository is None:
        return False
    return any(
        (image.image_digest == reference.digest)
        if reference.digest
        else ((reference.tag or "latest") in image.image_tags)
        for image in repository.images
    )
