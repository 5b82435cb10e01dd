"""Pulumi resource types: which AWS API calls make, change and delete each, and its outputs.

Most types are a row of a table: an operation, how the inputs become its parameters (names are
matched by botocore's shapes), and the outputs. A type that is in no table is refused by name, and
so is an input that no parameter takes: nothing is dropped in silence.
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
