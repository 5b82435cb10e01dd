"""The evaluation of a stack's template: parameter values, outputs, order of resources. Pure."""

from __future__ import annotations

from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.template import Template, scalar_text


def values(stack: Stack, template: Template, parameters: dict[str, str]) -> dict[str, Any]:
    """Return the values of parameters and pseudo parameters for Ref."""
    scope = scope_of_arn(stack.id)
    pseudo: dict[str, Any] = {
        "AWS::AccountId": scope.account,
        "AWS::Region": scope.region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": stack.name,
        "AWS::StackId": stack.id,
        "AWS::NotificationARNs": [],
    }
    return pseudo | typed(template, parameters)


def typed(template: Template, parameters: dict[str, str]) -> dict[str, Any]:
    """Return the values of parameters for Ref, which has lists for list types."""
    return {
        name: value.split(",")
        if template.parameters[name].get("Type", "").startswith(("List", "CommaDelimited"))
        else value
        for name, value in parameters.items()
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
        output = {"OutputKey": name, "OutputValue": scalar_text(renderer.render(declared["Value"]))}
        if declared.get("Description"):
            output["Description"] = declared["Description"]
        if "Export" in declared:
            output["ExportName"] = scalar_text(renderer.render(declared["Export"]["Name"]))
        outputs.append(output)
    return outputs
