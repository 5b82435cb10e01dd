"""The endpoint as the pipeline deployed it last, and what its settings may not change any more.

SageMaker refuses to change the instance type of a variant that is registered with Application Auto
Scaling. CloudFormation cannot deregister it first: it updates the endpoint before the scalable
target, which depends on the endpoint, and deletes what a template no longer has at the end. So each
run of the pipeline would train, deploy to DEV and wait for a person, and then be rolled back. The
program ends here instead, in `pulumi preview` already.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-update.html
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from components.naming import VARIANT_NAME
from components.settings import EndpointSettings

_SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_ENDPOINT_CONFIG = "AWS::SageMaker::EndpointConfig"
# How the provider and CloudFormation say that there is no stack of a name.
_MISSING = ("does not exist", "couldn't find resource", "no matching", "not found")


def check(
    stack_name: str,
    endpoint_name: str,
    settings: EndpointSettings,
    opts: pulumi.InvokeOptions,
) -> None:
    """Refuse an instance type that the deployed endpoint cannot be updated to.

    Args:
        stack_name: the CloudFormation stack that the pipeline deploys.
        endpoint_name: the endpoint's name, for the message.
        settings: the endpoint's settings.
        opts: the provider to ask.

    Raises: pulumi.RunError with what to do.
    """
    problem = conflict(_template(stack_name, opts), endpoint_name, settings)
    if problem is not None:
        raise pulumi.RunError(problem)


def conflict(
    template: Mapping[str, Any] | None, endpoint_name: str, settings: EndpointSettings
) -> str | None:
    """Return why an endpoint cannot be updated to its settings, and what to do. Pure.

    Args:
        template: the template that was deployed last; None if there is no stack.
        endpoint_name: the endpoint's name.
        settings: the settings of the next deployment.
    """
    resources = list((template or {}).get("Resources", {}).values())
    if _SCALABLE_TARGET not in [resource.get("Type") for resource in resources]:
        return None
    deployed = [
        variant.get("InstanceType")
        for resource in resources
        if resource.get("Type") == _ENDPOINT_CONFIG
        for variant in resource["Properties"].get("ProductionVariants", [])
        if variant.get("VariantName") == VARIANT_NAME
    ]
    if deployed in ([], [settings.instance_type]):
        return None
    return (
        f"instanceType is {settings.instance_type}, but endpoint {endpoint_name} runs on "
        f"{deployed[0]} and scales: SageMaker does not change the instance type of a variant that "
        "is registered with Application Auto Scaling, and the deployment would be rolled back. "
        f"Set instanceType to {deployed[0]} and scaling to false, run `pulumi up` and the "
        f"pipeline; then set instanceType to {settings.instance_type} and scaling to true, and do "
        "both again"
    )


def _template(stack_name: str, opts: pulumi.InvokeOptions) -> Mapping[str, Any] | None:
    """Return the template of a stack; None if there is no stack, or nothing was made by it."""
    try:
        stack = aws.cloudformation.get_stack(name=stack_name, opts=opts)
    except Exception as error:  # what the provider raises has no type of its own
        if not any(phrase in str(error) for phrase in _MISSING):
            pulumi.log.warn(
                f"The stack {stack_name} could not be read, so a change of the instance type of "
                f"an endpoint that scales would not be noticed: {error}"
            )
        return None
    # A first deployment that failed has no outputs: its stack is deleted, and may change.
    if not stack.outputs:
        return None
    found: Mapping[str, Any] = json.loads(stack.template_body)
    return found
