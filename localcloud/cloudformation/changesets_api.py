"""The operations of CloudFormation on change sets.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
Differs: IMPORT is refused; change sets of nested stacks, drift and hooks are not supported.
"""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.cloudformation.api import CloudFormationApi
from localcloud.cloudformation.model import ChangeSet, Stack
from localcloud.cloudformation.request_validation import (
    check_members,
    check_role,
    check_stack,
    check_stack_name,
    check_updatable,
    checked,
    invalid,
    paged,
    parameters_of,
    secrets_of,
    tags_of,
)
from localcloud.cloudformation.rollback_triggers import problem_of
from localcloud.cloudformation.template_source import template_body
from localcloud.service_context import ServiceContext

# The attributes that must be equal for a request with an existing name to count as a retry, under
# AWS's names.
_IDENTITY = {
    "Template": "template_body",
    "Parameters": "parameters",
    "Tags": "tags",
    "RoleARN": "role_arn",
    "Capabilities": "capabilities",
    "Description": "description",
    "ChangeSetType": "type",
    "ClientToken": "token",
}
_VALUES = ("Path", "BeforeValue", "AfterValue", "AttributeChangeType")


class ChangeSetsApi:
    """The operations on change sets."""

    def __init__(self, context: ServiceContext, stacks: CloudFormationApi) -> None:
        self._context = context
        self._stacks = stacks
        self._change_sets = stacks.change_sets

    @operation("CreateChangeSet")
    async def create_change_set(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        check_members("CreateChangeSet", params)
        problem = problem_of(params.get("RollbackConfiguration"))
        if problem:
            raise invalid(problem)
        kind, name = params.get("ChangeSetType") or "UPDATE", params["ChangeSetName"]
        if kind == "IMPORT" or params.get("ResourcesToImport"):
            raise invalid(
                "The local cloud does not import resources; a change set has the type CREATE or "
                "UPDATE."
            )
        if kind == "UPDATE" and params.get("OnStackFailure") == "DELETE":
            raise invalid("OnStackFailure DELETE is only valid for ChangeSetType CREATE.")
        stack = self._stacks.live(scope, params["StackName"])
        if stack is None and kind == "UPDATE":
            raise invalid(f"Stack [{params['StackName']}] does not exist")
        previous = stack if kind == "UPDATE" else None
        body = await template_body(self._context, scope, params, previous)
        self._check_stack(stack, kind, params)
        role_arn = params.get("RoleARN") or (stack.role_arn if stack is not None else None)
        await check_role(self._context, role_arn)
        previous = stack if kind == "UPDATE" else None
        name_ = stack.name if stack is not None else params["StackName"]
        wanted = await checked(self._context, scope, body, params, previous, name=name_)
        # Check again, because reading a TemplateURL and parameters takes time.
        stack = self._stacks.live(scope, params["StackName"])
        current = self._change_sets.get(scope, stack, name) if stack is not None else None
        self._check_stack(stack, kind, params)
        made = ChangeSet(
            id=scope.arn("cloudformation", f"changeSet/{name}/{uuid.uuid4()}"),
            name=name,
            stack_id=stack.id if stack is not None else "",
            stack_name=stack.name if stack is not None else params["StackName"],
            type=kind,
            template_body=body,
            parameters=wanted.parameters,
            stored=wanted.stored,
            references=wanted.references,
            notification_arns=params.get("NotificationARNs") or [],
            rollback=params.get("RollbackConfiguration"),
            tags=tags_of(params, previous),
            created=self._context.clock.now(),
            description=params.get("Description"),
            role_arn=params.get("RoleARN"),
            capabilities=params.get("Capabilities") or [],
            on_stack_failure=params.get("OnStackFailure"),
            token=params.get("ClientToken"),
        )
        if current is not None and not current.is_executed:
            return {"Id": _retried(current, made).id, "StackId": current.stack_id}
        if stack is None:
            stack = self._review(scope, made)
            made.stack_id = stack.id
        self._change_sets.create(made)
        return {"Id": made.id, "StackId": stack.id}

    def _check_stack(self, stack: Stack | None, kind: str, params: dict[str, Any]) -> None:
        """Refuse a change set of a type that does not fit its stack."""
        name = params["StackName"]
        if stack is None and (kind == "UPDATE" or self._stacks.stacks.get(name) is None):
            if kind == "UPDATE" or name.startswith("arn:"):
                raise invalid(f"Stack [{name}] does not exist")
            check_stack_name(name)
        elif stack is None:
            raise invalid(
                f"Stack [{name}] already exists and cannot be created again with the changeSet "
                f"[{params['ChangeSetName']}]."
            )
        elif kind == "UPDATE":
            check_updatable(stack)
        elif stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(
                f"Stack [{stack.name}] already exists and cannot be created again with the "
                f"changeSet [{params['ChangeSetName']}]."
            )

    @operation("DescribeChangeSet")
    def describe_change_set(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = self._named(scope, params)
        with_values = bool(params.get("IncludePropertyValues"))
        shown, token = paged(found.changes, lambda change: str(change["LogicalResourceId"]), params)
        secret = secrets_of(found.template_body)
        hidden = [values[name] for values in _both(found) for name in secret & values.keys()]
        return {
            **_summary(found),
            "NextToken": token,
            "Parameters": parameters_of(found.template_body, found.parameters, found.stored)
            or None,
            "NotificationARNs": found.notification_arns,
            "RollbackConfiguration": found.rollback or {},
            "Capabilities": found.capabilities,
            "Tags": [{"Key": k, "Value": v} for k, v in found.tags.items()],
            "Changes": [
                {
                    "Type": "Resource",
                    "ResourceChange": _hidden(change, hidden) if with_values else _plain(change),
                }
                for change in shown
            ],
            "OnStackFailure": found.on_stack_failure,
        }

    @operation("ExecuteChangeSet")
    def execute_change_set(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        check_members("ExecuteChangeSet", params)
        found = self._named(scope, params)
        if found.on_stack_failure and params.get("DisableRollback") is not None:
            raise invalid(
                "DisableRollback must not be specified if the change set was created with "
                f"OnStackFailure, which is {found.on_stack_failure}."
            )
        token, stack = params.get("ClientRequestToken"), self._stacks.stacks.get(found.stack_id)
        if token and found.is_executed and stack is not None and stack.request_token == token:
            return {}  # the same request, sent again
        self._change_sets.execute(
            found,
            disable_rollback=bool(params.get("DisableRollback")),
            request_token=token,
        )
        return {}

    @operation("DeleteChangeSet")
    def delete_change_set(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["ChangeSetName"]
        stack = self._stacks.named_stack(scope, params.get("StackName"), name)
        found = self._change_sets.get(scope, stack, name)
        if found is not None:
            self._change_sets.delete(found)
        return {}

    @operation("ListChangeSets")
    def list_change_sets(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        """Return the change sets of a stack that were not executed."""
        check_stack(params["StackName"])
        stack = self._stacks.live(scope, params["StackName"])
        if stack is None:
            raise invalid(f"Stack [{params['StackName']}] does not exist")
        shown, token = paged(self._change_sets.pending(stack), lambda found: found.id, params)
        return {"Summaries": [_summary(found) for found in shown], "NextToken": token}

    def _named(self, scope: Scope, params: dict[str, Any]) -> ChangeSet:
        name = params["ChangeSetName"]
        stack = self._stacks.named_stack(scope, params.get("StackName"), name)
        return self._change_sets.find(scope, stack, name)

    def _review(self, scope: Scope, change_set: ChangeSet) -> Stack:
        name = change_set.stack_name
        stack = Stack(
            id=scope.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}"),
            name=name,
            template_body="",
            parameters={},
            tags={},
            created=self._context.clock.now(),
            status="REVIEW_IN_PROGRESS",
        )
        self._stacks.engine.review(stack)
        return stack


def _retried(current: ChangeSet, made: ChangeSet) -> ChangeSet:
    """Return an existing change set if the request is a retry of the one that created it.

    Raises:
        AwsError: AlreadyExistsException: the request differs.
    """
    for name, attribute in _IDENTITY.items():
        if getattr(current, attribute) != getattr(made, attribute):
            raise AwsError(
                "AlreadyExistsException",
                f"ChangeSet {made.name} cannot be created due to a mismatch with existing "
                f"attribute {name}",
            )
    if current.token is None:
        raise AwsError("AlreadyExistsException", f"ChangeSet [{made.name}] already exists")
    return current


def _both(found: ChangeSet) -> tuple[dict[str, str], dict[str, str]]:
    return found.parameters, found.stored


def _summary(found: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetId": found.id,
        "ChangeSetName": found.name,
        "StackId": found.stack_id,
        "StackName": found.stack_name,
        "Description": found.description,
        "CreationTime": found.created,
        "Status": found.status,
        "StatusReason": found.status_reason,
        "ExecutionStatus": found.execution_status,
        "IncludeNestedStacks": False,
    }


def _hidden(change: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """Return a change with the values of NoEcho parameters masked."""
    details = []
    for detail in change["Details"]:
        target = dict(detail["Target"])
        for name in ("BeforeValue", "AfterValue"):
            for secret in secrets if isinstance(target.get(name), str) else ():
                if secret:
                    target[name] = target[name].replace(secret, "****")
        details.append({**detail, "Target": target})
    return {**change, "Details": details}


def _plain(change: dict[str, Any]) -> dict[str, Any]:
    """Return a change without the values of properties, which a request must ask for."""
    details = [
        {**d, "Target": {k: v for k, v in d["Target"].items() if k not in _VALUES}}
        for d in change["Details"]
    ]
    return {**change, "Details": details}
