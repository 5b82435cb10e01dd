"""The evaluation of a stack's template: parameter values, outputs, order of resources. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.parameters import typed
from localcloud.cloudformation.template import (
    Template,
    TemplateError,
    check_export_name,
    scalar_text,
)


def values(stack: Stack, template: Template, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of parameters and pseudo parameters for Ref."""
    pseudo = pseudo_parameters(stack.id, stack.name, stack.notification_arns)
    return pseudo | typed(template, parameters)


def pseudo_parameters(stack_id: str, name: str, notification_arns: list[str]) -> dict[str, Any]:
    """Return the values of the pseudo parameters of a stack, but for AWS::NoValue."""
    scope = scope_of_arn(stack_id)
    return {
        "AWS::AccountId": scope.account,
        "AWS::Region": scope.region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": name,
        "AWS::StackId": stack_id,
        "AWS::NotificationARNs": notification_arns,
    }


def deletable_order(stack: Stack) -> list[str]:
    """Return the logical ids of the stack's resources, each after its dependencies."""
    remaining = {
        name: set(resource.depends_on) & stack.resources.keys()
        for name, resource in stack.resources.items()
    }
    order: list[str] = []
    while remaining:
        ready = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        for name in ready or list(remaining):
            order.append(name)
            del remaining[name]
    return order


def outputs_of(template: Template, renderer: Renderer) -> list[dict[str, str]]:
    """Return the outputs whose conditions are true, with the names of their exports.

    Raises:
        TemplateError: an output cannot be evaluated.
    """
    outputs = []
    for name, declared in template.document.get("Outputs", {}).items():
        if "Condition" in declared and not renderer.condition(declared["Condition"]):
            continue
        value = renderer.render(declared["Value"])
        if not isinstance(value, str | int | float):
            raise TemplateError(
                f"Template format error: The Value field of every Outputs member must evaluate to "
                f"a String; that of {name} does not."
            )
        output = {"OutputKey": name, "OutputValue": scalar_text(value)}
        if declared.get("Description"):
            output["Description"] = declared["Description"]
        if "Export" in declared:
            output["ExportName"] = scalar_text(renderer.render(declared["Export"]["Name"]))
            check_export_name(name, output["ExportName"])
        outputs.append(output)
    return outputs
