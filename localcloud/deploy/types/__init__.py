"""Pulumi resource types: the AWS API calls that create, read, update and delete each.

Most types are one row of a table: an operation, a function from inputs to its parameters (names
are matched against botocore's shapes), and the outputs. A type that is in no table is refused by
name, as is an input that no parameter accepts, so nothing is silently dropped.
"""

from localcloud.deploy.types import (
    budgets,
    cloudwatch,
    code,
    codepipeline,
    ecr,
    events,
    iam,
    kms,
    lambda_,
    logs,
    s3,
    sns,
    ssm,
)
from localcloud.deploy.types.base import Aws, Inputs, Outputs, ResourceType

TYPES: dict[str, ResourceType] = {
    **s3.TYPES,
    **iam.TYPES,
    **kms.TYPES,
    **lambda_.TYPES,
    **logs.TYPES,
    **cloudwatch.TYPES,
    **events.TYPES,
    **sns.TYPES,
    **ssm.TYPES,
    **ecr.TYPES,
    **code.TYPES,
    **codepipeline.TYPES,
    **budgets.TYPES,
}

__all__ = ["TYPES", "Aws", "Inputs", "Outputs", "ResourceType"]
