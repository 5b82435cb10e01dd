"""Pulumi resource types: which AWS API calls make, change and delete each, and its outputs.

Most types are a row of a table: an operation, how the inputs become its parameters (names are
matched by botocore's shapes), and the outputs. A type that is in no table is refused by name, and
so is an input that no parameter takes: nothing is dropped in silence.
"""

from localcloud.deploy.types import codepipeline, ecr, events, iam, lambda_, s3
from localcloud.deploy.types.base import Aws, Inputs, Outputs, ResourceType

TYPES: dict[str, ResourceType] = {
    **s3.TYPES,
    **iam.TYPES,
    **lambda_.TYPES,
    **events.TYPES,
    **ecr.TYPES,
    **codepipeline.TYPES,
}

__all__ = ["TYPES", "Aws", "Inputs", "Outputs", "ResourceType"]
