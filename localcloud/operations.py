"""What is implemented, read from the code itself: for `localcloud operations` and the docs."""

from __future__ import annotations

from localcloud.autoscaling.api import AutoScalingApi
from localcloud.cloudformation.api import CloudFormationApi
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.passive import SERVICES
from localcloud.protocol import service_model
from localcloud.sagemaker.api import SageMakerApi

LIVE: dict[str, type] = {
    "application-autoscaling": AutoScalingApi,
    "cloudformation": CloudFormationApi,
    "codepipeline": CodePipelineApi,
    "sagemaker": SageMakerApi,
}


def implemented() -> dict[str, list[str]]:
    """Return the operations of the live services."""
    table = {
        service: sorted(
            name
            for attribute in dir(api)
            if (name := getattr(getattr(api, attribute), "aws_operation", None)) is not None
        )
        for service, api in LIVE.items()
    }
    return {**table, "lambda": ["Invoke"], "sagemaker-runtime": ["InvokeEndpoint"]}


def missing(service: str) -> list[str]:
    """Return the operations of botocore's model that answer 501."""
    return sorted(set(service_model(service).operation_names) - set(implemented()[service]))


def passive() -> tuple[str, ...]:
    """Return the services that moto answers for."""
    return SERVICES
