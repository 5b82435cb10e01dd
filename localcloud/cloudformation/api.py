"""The operations of CloudFormation.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudformation.changesets import ChangeSets
from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.requests import (
    check_stack_name,
    check_updatable,
    checked,
    declarations,
    invalid,
    is_same,
    tags_of,
    template_body,
)
from localcloud.cloudformation.template import Template, TemplateError, creation_order, parse
from localcloud.errors import AwsError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.store import Collection


class CloudFormationApi:
    """Stacks, their resources and events."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.stacks = Collection(cloud.database, "cloudformation-stack", Stack)
        self.engine = StackEngine(cloud, self.stacks)
        self.change_sets = ChangeSets(cloud, self.stacks, self.engine)

    def resume(self) -> None:
        """After a restart: fail what was in progress."""
        self.engine.resume()
        self.change_sets.resume()

    @operation("CreateStack")
    def create_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["StackName"]
        check_stack_name(name)
        if self.live(scope, name) is not None:
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        body = template_body(params)
        template, parameters = checked(body, params.get("Parameters"), {})
        stack = Stack(
            id=scope.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}"),
            name=name,
            template_body=body,
            parameters=parameters,
            tags=tags_of(params),
            created=self._cloud.clock.now(),
            status="CREATE_IN_PROGRESS",
            role_arn=params.get("RoleARN"),
            capabilities=params.get("Capabilities") or [],
            description=template.document.get("Description"),
            disable_rollback=bool(params.get("DisableRollback"))
            or params.get("OnFailure") == "DO_NOTHING",
        )
        self.engine.create(stack)
        return {"StackId": stack.id}

    @operation("UpdateStack")
    def update_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stack(scope, params["StackName"])
        check_updatable(stack)
        body = template_body(params, stack)
        _, parameters = checked(body, params.get("Parameters"), stack.parameters)
        tags = tags_of(params, stack)
        if is_same(stack, body, parameters, tags):
            raise invalid("No updates are to be performed.")
        self.change_sets.make_obsolete(stack)
        stack.tags = tags
        stack.role_arn = params.get("RoleARN") or stack.role_arn
        self.engine.update(stack, body, parameters)
        return {"StackId": stack.id}

    @operation("DeleteStack")
    def delete_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self.live(scope, params["StackName"])
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return {}
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        self.change_sets.forget(stack)
        self.engine.delete(stack)
        return {}

    @operation("DescribeStacks")
    def describe_stacks(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("StackName"):
            return {"Stacks": [_description(self._stack(scope, params["StackName"]))]}
        return {"Stacks": [_description(s) for s in self._all(scope) if s.deleted is None]}

    @operation("ListStacks")
    def list_stacks(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("StackStatusFilter")
        return {
            "StackSummaries": [
                {
                    "StackId": s.id,
                    "StackName": s.name,
                    "CreationTime": s.created,
                    "LastUpdatedTime": s.updated,
                    "DeletionTime": s.deleted,
                    "StackStatus": s.status,
                    "StackStatusReason": s.status_reason,
                }
                for s in self._all(scope)
                if not wanted or s.status in wanted
            ]
        }

    @operation("DescribeStackEvents")
    def describe_stack_events(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stack(scope, params["StackName"])
        return {
            "StackEvents": [
                {
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "EventId": e.id,
                    "LogicalResourceId": e.logical_id,
                    "PhysicalResourceId": e.physical_id,
                    "ResourceType": e.type,
                    "ResourceStatus": e.status,
                    "ResourceStatusReason": e.reason,
                    "Timestamp": e.timestamp,
                }
                for e in reversed(stack.events)
            ]
        }

    @operation("DescribeStackResources")
    def describe_stack_resources(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stack(scope, params["StackName"])
        return {
            "StackResources": [
                _resource(stack, r) | {"Timestamp": r.changed}
                for r in stack.resources.values()
                if params.get("LogicalResourceId") in (None, r.logical_id)
            ]
        }

    @operation("DescribeStackResource")
    def describe_stack_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stack(scope, params["StackName"])
        resource = stack.resources.get(params["LogicalResourceId"])
        if resource is None:
            raise invalid(
                f"Resource {params['LogicalResourceId']} does not exist for stack {stack.name}"
            )
        detail = _resource(stack, resource) | {"LastUpdatedTimestamp": resource.changed}
        return {"StackResourceDetail": detail}

    @operation("ListStackResources")
    def list_stack_resources(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stack(scope, params["StackName"])
        return {
            "StackResourceSummaries": [
                _resource(stack, r) | {"LastUpdatedTimestamp": r.changed}
                for r in stack.resources.values()
            ]
        }

    @operation("GetTemplate")
    def get_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stages = ["Original", "Processed"]
        if params.get("ChangeSetName"):
            stack = self.named_stack(scope, params.get("StackName"), params["ChangeSetName"])
            found = self.change_sets.find(scope, stack, params["ChangeSetName"])
            return {"TemplateBody": found.template_body, "StagesAvailable": stages}
        if not params.get("StackName"):
            raise invalid("StackName must be specified if ChangeSetName is not specified.")
        stack = self._stack(scope, params["StackName"])
        return {"TemplateBody": stack.template_body, "StagesAvailable": stages}

    @operation("GetTemplateSummary")
    def get_template_summary(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("StackName"):
            template = _parsed(self._stack(scope, params["StackName"]).template_body)
        else:
            template = _parsed(template_body(params))
        return {
            "Description": template.document.get("Description"),
            "Parameters": declarations(template, types=True),
            "ResourceTypes": sorted({r["Type"] for r in template.resources.values()}),
            "Version": template.document.get("AWSTemplateFormatVersion"),
        }

    @operation("ValidateTemplate")
    def validate_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        template = _parsed(template_body(params))
        return {
            "Description": template.document.get("Description"),
            "Parameters": declarations(template, types=False),
        }

    def _all(self, scope: Scope) -> list[Stack]:
        prefix = scope.arn("cloudformation", "stack/")
        return [stack for stack in self.stacks.values() if stack.id.startswith(prefix)]

    def live(self, scope: Scope, name: str) -> Stack | None:
        """Return a stack that is not deleted, by its name or id."""
        for stack in self._all(scope):
            if stack.deleted is None and name in (stack.name, stack.id):
                return stack
        return None

    def _stack(self, scope: Scope, name: str) -> Stack:
        """Return a stack by name, or by id even when it is deleted."""
        stack = self.live(scope, name) or self.stacks.get(name)
        if stack is None:
            raise invalid(f"Stack with id {name} does not exist")
        return stack

    def named_stack(self, scope: Scope, name: str | None, change_set: str) -> Stack | None:
        """Return the stack that a request about a change set names; its ARN needs none.

        Raises:
            ValidationError: no stack is named, or it is not there.
        """
        if change_set.startswith("arn:"):
            return None
        if not name:
            raise invalid(
                "StackName must be specified if ChangeSetName is not specified as an ARN."
            )
        stack = self.live(scope, name)
        if stack is None:
            raise invalid(f"Stack [{name}] does not exist")
        return stack


def _parsed(body: str) -> Template:
    try:
        template = parse(body)
        creation_order(template)
    except TemplateError as error:
        raise invalid(str(error)) from None
    return template


def _description(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set_id,
        "Description": stack.description,
        "Parameters": [
            {"ParameterKey": k, "ParameterValue": v} for k, v in stack.parameters.items()
        ],
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason,
        "DisableRollback": stack.disable_rollback,
        "Capabilities": stack.capabilities,
        "Outputs": stack.outputs or None,
        "RoleARN": stack.role_arn,
        "Tags": [{"Key": k, "Value": v} for k, v in stack.tags.items()],
    }


def _resource(stack: Stack, resource: StackResource) -> dict[str, Any]:
    del stack
    return {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id or None,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
    }
