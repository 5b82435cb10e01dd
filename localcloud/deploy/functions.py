"""The provider functions that a program may call. Pure."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.types import Aws


def result_of(aws: Aws, token: str) -> dict[str, Any] | None:
    """Return the result of a provider function, or None if there is no such function here.

    Args:
        aws: the account and region.
        token: such as `aws:index/getRegion:getRegion`.
    """
    match token:
        case "aws:index/getCallerIdentity:getCallerIdentity":
            arn = f"arn:aws:iam::{aws.account}:root"
            return {
                "accountId": aws.account,
                "arn": arn,
                "userId": aws.account,
                "id": aws.account,
            }
        case "aws:index/getRegion:getRegion":
            return {"name": aws.region, "region": aws.region, "id": aws.region}
        case "aws:index/getPartition:getPartition":
            return {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"}
    return None
