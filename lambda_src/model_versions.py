"""The versions of the model in SageMaker's registry, as the pipeline's functions list them."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError


def versions(sagemaker: Any, group: str, status: str) -> Iterator[dict[str, Any]]:
    """Yield the summaries of the versions of a status, the newest first.

    There are none before the first execution registers a version, which makes the group.

    Args:
        sagemaker: a client.
        group: the name of the model's group.
        status: PendingManualApproval, Approved or Rejected.
    """
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group,
        ModelApprovalStatus=status,
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    try:
        for page in pages:
            yield from page["ModelPackageSummaryList"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise


def container_of(package: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container of a version, as DescribeModelPackage has it."""
    (container,) = package["InferenceSpecification"]["Containers"]
    found: Mapping[str, Any] = container
    return found


def baseline_of(package: Mapping[str, Any]) -> str | None:
    """Return the URI of the baseline of a version's data; None if it has none."""
    quality = package.get("DriftCheckBaselines", {}).get("ModelDataQuality", {})
    uri: str | None = quality.get("Statistics", {}).get("S3Uri")
    return uri
