"""The operations of CloudFormation.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.template import (
    Template,
    TemplateError,
    creation_order,
    parameter_values,
    parse,
)
from localcloud.errors import AwsError, ValidationError
from localcloud.protocol import operation
from localcloud.routing import Scope
from localcloud.store import Collection

_UPDATABLE = re.compile(r"(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT)_COMPLETE")
_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


class CloudFormationApi:
    """Stacks, their resources and events."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.stacks = Collection(cloud.database, "cloudformation-stack", Stack)
        self.engine = StackEngine(cloud, self.stacks)

    @operation("CreateStack")
    def create_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["StackName"]
        if not _STACK_NAME.fullmatch(name):
            raise _invalid(
                f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: "
                "[a-zA-Z][-a-zA-Z0-9]*"
            )
        if self._live(scope, name) is not None:
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        body = _body(params)
        template, parameters = _check(body, params.get("Parameters") or [], {})
        stack = Stack(
            id=scope.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}"),
            name=name,
            template_body=body,
            parameters=parameters,
            tags=_tags(params),
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
        if not _UPDATABLE.fullmatch(stack.status):
            raise _invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        use_previous = bool(params.get("UsePreviousTemplate"))
        body = stack.template_body if use_previous else _body(params)
        _, parameters = _check(body, params.get("Parameters") or [], stack.parameters)
        tags = _tags(params) if params.get("Tags") is not None else stack.tags
        same = (_normal(body), parameters, tags) == (
            _normal(stack.template_body),
            stack.parameters,
            stack.tags,
        )
        if same:
            raise _invalid("No updates are to be performed.")
        stack.tags = tags
        stack.role_arn = params.get("RoleARN") or stack.role_arn
        self.engine.update(stack, body, parameters)
        return {"StackId": stack.id}

    @operation("DeleteStack")
    def delete_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._live(scope, params["StackName"])
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return {}
        if stack.status.endswith("_IN_PROGRESS"):
            raise _invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
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
            raise _invalid(
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
        stack = self._stack(scope, params["StackName"])
        return {"TemplateBody": stack.template_body, "StagesAvailable": ["Original", "Processed"]}

    @operation("ValidateTemplate")
    def validate_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        try:
            template = parse(_body(params))
            creation_order(template)
        except TemplateError as error:
            raise _invalid(str(error)) from None
        return {
            "Description": template.document.get("Description"),
            "Parameters": [
                {
                    "ParameterKey": name,
                    "DefaultValue": declared.get("Default"),
                    "NoEcho": bool(declared.get("NoEcho", False)),
                    "Description": declared.get("Description"),
                }
                for name, declared in template.parameters.items()
            ],
        }

    def _all(self, scope: Scope) -> list[Stack]:
        prefix = scope.arn("cloudformation", "stack/")
        return [stack for stack in self.stacks.values() if stack.id.startswith(prefix)]

    def _live(self, scope: Scope, name: str) -> Stack | None:
        for stack in self._all(scope):
            if stack.deleted is None and name in (stack.name, stack.id):
                return stack
        return None

    def _stack(self, scope: Scope, name: str) -> Stack:
        """Return a stack by name, or by id even when it is deleted."""
        stack = self._live(scope, name) or self.stacks.get(name)
        if stack is None:
            raise _invalid(f"Stack with id {name} does not exist")
        return stack


def _invalid(message: str) -> ValidationError:
    return ValidationError(message, "ValidationError")


def _body(params: dict[str, Any]) -> str:
    body = params.get("TemplateBody")
    if not body:
        raise _invalid(
            "The local cloud takes a template as TemplateBody; TemplateURL is not supported."
            if params.get("TemplateURL")
            else "Either Template URL or Template Body must be specified."
        )
    return str(body)


def _tags(params: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in params.get("Tags") or []}


def _check(
    body: str, given: list[dict[str, Any]], previous: dict[str, str]
) -> tuple[Template, dict[str, str]]:
    """Parse a template and its parameters; what is wrong is AWS's ValidationError."""
    try:
        template = parse(body)
        creation_order(template)
        values = {
            parameter["ParameterKey"]: previous[parameter["ParameterKey"]]
            if parameter.get("UsePreviousValue") and parameter["ParameterKey"] in previous
            else str(parameter.get("ParameterValue", ""))
            for parameter in given
        }
        return template, parameter_values(template, values)
    except TemplateError as error:
        raise _invalid(str(error)) from None


def _normal(body: str) -> str:
    return json.dumps(parse(body).document, sort_keys=True, default=str)


def _description(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
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
