"""The versions of the model in SageMaker's registry, as the pipeline's functions list them."""

from collections.abc import Iterator
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
