"""Stacks and resources in the form of the API. Pure.

A member that AWS leaves out is None here.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
Differs: drift is never detected, so that everything is NOT_CHECKED.
"""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.request_validation import needed_capabilities, parameters_of
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.template import Template

_STACK_DRIFT = {"StackDriftStatus": "NOT_CHECKED"}
_RESOURCE_DRIFT = {"StackResourceDriftStatus": "NOT_CHECKED"}


def stack_description(stack: Stack) -> dict[str, Any]:
    """Return a stack as DescribeStacks has it."""
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set_id,
        "Description": stack.description,
        "Parameters": parameters_of(stack.template_body, stack.parameters, stack.stored) or None,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "RollbackConfiguration": stack.rollback,
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason,
        "DisableRollback": stack.disable_rollback,
        "TimeoutInMinutes": stack.timeout_minutes,
        "EnableTerminationProtection": None if stack.deleted else stack.protected,
        "NotificationARNs": stack.notification_arns,
        "Capabilities": stack.capabilities or None,
        "Outputs": stack.outputs or None,
        "RoleARN": stack.role_arn,
        "Tags": [{"Key": k, "Value": v} for k, v in stack.tags.items()],
        "DriftInformation": _STACK_DRIFT,
    }


def stack_summary(stack: Stack) -> dict[str, Any]:
    """Return a stack as ListStacks has it."""
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "TemplateDescription": stack.description,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason,
        "DriftInformation": _STACK_DRIFT,
    }


def resource_description(resource: StackResource) -> dict[str, Any]:
    """Return what the lists and descriptions of a stack's resources have in common."""
    return {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id or None,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": _RESOURCE_DRIFT,
    }


def capabilities(template: Template) -> dict[str, Any]:
    """Return the capabilities that a template requires, with the reason, if there are any."""
    needed = needed_capabilities(template)
    if not needed:
        return {}
    types = sorted({r["Type"] for r in template.resources.values() if "::IAM::" in r["Type"]})
    reason = f"The following resource(s) require capabilities: [{', '.join(types)}]"
    return {"Capabilities": needed, "CapabilitiesReason": reason}


def resource_identifiers(template: Template) -> list[dict[str, Any]]:
    """Return the ResourceIdentifierSummaries of GetTemplateSummary."""
    found: dict[str, list[str]] = {}
    for logical_id, resource in template.resources.items():
        found.setdefault(resource["Type"], []).append(logical_id)
    summaries = []
    for kind, logical_ids in sorted(found.items()):
        summary: dict[str, Any] = {"ResourceType": kind, "LogicalResourceIds": logical_ids}
        handler = HANDLERS.get(kind)
        if handler is not None and handler.schema.identifiers:
            summary["ResourceIdentifiers"] = list(handler.schema.identifiers)
        summaries.append(summary)
    return summaries
