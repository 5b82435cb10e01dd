"""The operations of CloudFormation on stacks.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.cloudformation.changesets import ChangeSets
from localcloud.cloudformation.descriptions import (
    capabilities,
    resource_description,
    resource_identifiers,
    stack_description,
    stack_summary,
)
from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.exports import check_exports
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.request_validation import (
    check_members,
    check_role,
    check_stack,
    check_stack_name,
    check_updatable,
    checked,
    declarations,
    invalid,
    is_same,
    paged,
    parsed,
    tags_of,
)
from localcloud.cloudformation.rollback_triggers import problem_of
from localcloud.cloudformation.stack_events import described
from localcloud.cloudformation.template import Template, TemplateError, parse
from localcloud.cloudformation.template_checks import check_template
from localcloud.cloudformation.template_source import stack_policy, template_body
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext


class CloudFormationApi:
    """Stacks, their resources and events."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self.stacks = Collection(context.database, "cloudformation-stack", Stack)
        self.engine = StackEngine(context, self.stacks)
        self.change_sets = ChangeSets(context, self.stacks, self.engine)

    def resume(self) -> None:
        """Continue the operations that a restart interrupted."""
        self.engine.resume(self.change_sets.after)
        self.change_sets.resume()

    @operation("CreateStack")
    async def create_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["StackName"]
        check_members("CreateStack", params)
        check_stack_name(name)
        self._check_rollback(params)
        if params.get("OnFailure") and params.get("DisableRollback") is not None:
            raise invalid("You can specify either DisableRollback or OnFailure, but not both.")
        if params.get("RetainExceptOnCreate"):
            raise invalid(
                "The local cloud supports RetainExceptOnCreate as a resource's DeletionPolicy only."
            )
        body = await template_body(self._context, scope, params)
        wanted = await checked(self._context, scope, body, params, name=name)
        policy = await stack_policy(self._context, scope, params)
        await check_role(self._context, params.get("RoleARN"))
        reviewed = self.live(scope, name)
        token = params.get("ClientRequestToken")
        if reviewed is not None and reviewed.status != "REVIEW_IN_PROGRESS":
            same = (reviewed.template_body, reviewed.parameters) == (body, wanted.parameters)
            if token and token == reviewed.request_token and same:
                return {"StackId": reviewed.id}  # the same request, sent again
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        if reviewed is not None:  # its change sets can create nothing any more
            self.change_sets.make_obsolete(reviewed)
        stack = Stack(
            id=reviewed.id
            if reviewed is not None
            else scope.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}"),
            name=name,
            template_body=body,
            parameters=wanted.parameters,
            stored=wanted.stored,
            references=wanted.references,
            tags=tags_of(params),
            created=reviewed.created if reviewed is not None else self._context.clock.now(),
            events=reviewed.events if reviewed is not None else [],
            status="CREATE_IN_PROGRESS",
            role_arn=params.get("RoleARN"),
            capabilities=params.get("Capabilities") or [],
            description=wanted.template.document.get("Description"),
            disable_rollback=bool(params.get("DisableRollback"))
            or params.get("OnFailure") == "DO_NOTHING",
            on_failure=params.get("OnFailure"),
            timeout_minutes=params.get("TimeoutInMinutes"),
            protected=bool(params.get("EnableTerminationProtection")),
            policy=policy,
            rollback=params.get("RollbackConfiguration") or {},
            request_token=token,
            notification_arns=params.get("NotificationARNs") or [],
        )
        self.engine.create(stack)
        return {"StackId": stack.id}

    @operation("UpdateStack")
    async def update_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        check_members("UpdateStack", params)
        self._check_rollback(params)
        stack = self.stack(scope, params["StackName"])
        body = await template_body(self._context, scope, params, stack)
        token = params.get("ClientRequestToken")
        if token and token == stack.request_token and stack.status.startswith("UPDATE"):
            return _repeated(stack, body, params)
        policy = await stack_policy(self._context, scope, params)
        during = await stack_policy(self._context, scope, params, during_update=True)
        check_updatable(stack)
        await check_role(self._context, params.get("RoleARN") or stack.role_arn)
        wanted = await checked(self._context, scope, body, params, stack)
        check_updatable(stack)  # again, because reading parameters takes time
        tags = tags_of(params, stack)
        if is_same(stack, body, wanted, tags):
            raise invalid("No updates are to be performed.")
        self.change_sets.make_obsolete(stack)
        stack.tags, stack.capabilities = tags, params.get("Capabilities") or []
        stack.role_arn = params.get("RoleARN") or stack.role_arn
        stack.request_token = token
        if params.get("RollbackConfiguration") is not None:
            stack.rollback = params["RollbackConfiguration"]
        stack.policy, stack.policy_during_update = policy or stack.policy, during
        stack.notification_arns = params.get("NotificationARNs") or stack.notification_arns
        self.engine.update(stack, body, wanted)
        return {"StackId": stack.id}

    @operation("DeleteStack")
    async def delete_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        check_members("DeleteStack", params)
        check_stack(params["StackName"])
        stack = self.live(scope, params["StackName"])
        if stack is not None:
            await check_role(self._context, params.get("RoleARN") or stack.role_arn)
            stack = self.live(scope, stack.id)  # again, because reading a role takes time
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return {}
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        if stack.protected:
            raise invalid(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        try:
            check_exports(stack, [], self.engine.of(scope))
        except TemplateError as error:
            raise invalid(str(error)) from None
        self.change_sets.forget(stack)
        stack.role_arn = params.get("RoleARN") or stack.role_arn
        stack.request_token = params.get("ClientRequestToken")
        self.engine.delete(stack)
        return {}

    @operation("DescribeStacks")
    def describe_stacks(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("StackName"):
            return {"Stacks": [stack_description(self.stack(scope, params["StackName"]))]}
        shown, token = paged(self.engine.of(scope), lambda stack: stack.id, params)
        return {"Stacks": [stack_description(stack) for stack in shown], "NextToken": token}

    @operation("ListStacks")
    def list_stacks(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("StackStatusFilter")
        found = [stack for stack in self._all(scope) if not wanted or stack.status in wanted]
        shown, token = paged(found, lambda stack: stack.id, params)
        return {"StackSummaries": [stack_summary(s) for s in shown], "NextToken": token}

    @operation("DescribeStackEvents")
    def describe_stack_events(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self.stack(scope, params["StackName"])
        events, token = paged(described(stack), lambda event: str(event["EventId"]), params)
        return {"StackEvents": events, "NextToken": token}

    @operation("DescribeStackResources")
    def describe_stack_resources(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, physical = params.get("StackName"), params.get("PhysicalResourceId")
        if (name is None) == (physical is None):
            raise invalid("You must specify either StackName or PhysicalResourceId, but not both.")
        if name is not None:
            stack = self.stack(scope, name)
        else:
            stack = self._stack_of(scope, str(physical))
        of_stack = {"StackId": stack.id, "StackName": stack.name}
        return {
            "StackResources": [
                resource_description(r) | of_stack | {"Timestamp": r.changed}
                for r in stack.resources.values()
                if params.get("LogicalResourceId") in (None, r.logical_id)
            ]
        }

    @operation("DescribeStackResource")
    def describe_stack_resource(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self.stack(scope, params["StackName"])
        resource = stack.resources.get(params["LogicalResourceId"])
        if resource is None:
            raise invalid(
                f"Resource {params['LogicalResourceId']} does not exist for stack {stack.name}"
            )
        detail = resource_description(resource) | {
            "LastUpdatedTimestamp": resource.changed,
            "Metadata": self._metadata(stack, resource.logical_id),
        }
        of_stack = {"StackId": stack.id, "StackName": stack.name}
        return {"StackResourceDetail": detail | of_stack}

    @operation("ListStackResources")
    def list_stack_resources(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self.stack(scope, params["StackName"])
        found = list(stack.resources.values())
        shown, token = paged(found, lambda resource: resource.logical_id, params)
        summaries = [resource_description(r) | {"LastUpdatedTimestamp": r.changed} for r in shown]
        return {"StackResourceSummaries": summaries, "NextToken": token}

    @operation("GetTemplate")
    def get_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stages = ["Original", "Processed"]
        if params.get("ChangeSetName"):
            stack = self.named_stack(scope, params.get("StackName"), params["ChangeSetName"])
            found = self.change_sets.find(scope, stack, params["ChangeSetName"])
            return {"TemplateBody": found.template_body, "StagesAvailable": stages}
        if not params.get("StackName"):
            raise invalid("StackName must be specified if ChangeSetName is not specified.")
        stack = self.stack(scope, params["StackName"])
        return {"TemplateBody": stack.template_body, "StagesAvailable": stages}

    @operation("GetTemplateSummary")
    async def get_template_summary(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        check_members("GetTemplateSummary", params)
        if params.get("StackName"):
            if params.get("TemplateBody") or params.get("TemplateURL"):
                raise invalid("Only one of StackName, TemplateBody and TemplateURL may be given.")
            stack = self.stack(scope, params["StackName"])
            if stack.status == "REVIEW_IN_PROGRESS":
                raise invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
            body = stack.template_body
        else:
            body = await template_body(self._context, scope, params)
        template = await asyncio.to_thread(_parsed, body)
        metadata = template.document.get("Metadata")
        return {
            "Description": template.document.get("Description"),
            "Parameters": declarations(template, types=True),
            **capabilities(template),
            "ResourceTypes": sorted({r["Type"] for r in template.resources.values()}),
            "ResourceIdentifierSummaries": resource_identifiers(template),
            "Metadata": json.dumps(metadata) if metadata else None,
            "Version": template.document.get("AWSTemplateFormatVersion"),
        }

    @operation("ValidateTemplate")
    async def validate_template(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        body = await template_body(self._context, scope, params)
        template = await asyncio.to_thread(_parsed, body)
        return {
            "Description": template.document.get("Description"),
            "Parameters": declarations(template, types=False),
            **capabilities(template),
        }

    def _metadata(self, stack: Stack, logical_id: str) -> str:
        """Return the Metadata of a resource as JSON, with its functions evaluated."""
        template = parse(stack.template_body)
        metadata = template.resources.get(logical_id, {}).get("Metadata", {})
        renderer = self.engine.renderer(stack, template, stack.parameters | stack.stored, set())
        with contextlib.suppress(TemplateError):
            metadata = renderer.render(metadata)
        return json.dumps(metadata)

    def _check_rollback(self, params: dict[str, Any]) -> None:
        problem = problem_of(params.get("RollbackConfiguration"))
        if problem:
            raise invalid(problem)

    def _all(self, scope: Scope) -> list[Stack]:
        prefix = scope.arn("cloudformation", "stack/")
        return [stack for stack in self.stacks.values() if stack.id.startswith(prefix)]

    def live(self, scope: Scope, name: str) -> Stack | None:
        """Return an existing stack by its name or id."""
        for stack in self._all(scope):
            if stack.deleted is None and name in (stack.name, stack.id):
                return stack
        return None

    def stack(self, scope: Scope, name: str) -> Stack:
        """Return an existing stack by name, or any stack by id.

        Raises:
            ValidationError: there is none, or it is no name.
        """
        check_stack(name)
        stack = self.live(scope, name) or self.stacks.get(name)
        if stack is None:
            raise invalid(f"Stack with id {name} does not exist")
        return stack

    def _stack_of(self, scope: Scope, physical_id: str) -> Stack:
        """Return the stack of a resource."""
        for stack in self._all(scope):
            if any(r.physical_id == physical_id for r in stack.resources.values()):
                return stack
        raise invalid(f"Stack for {physical_id} does not exist")

    def named_stack(self, scope: Scope, name: str | None, change_set: str) -> Stack | None:
        """Return the stack of a request on a change set; the ARN of a change set needs none.

        Raises:
            ValidationError: the request names no stack, or one that does not exist.
        """
        if change_set.startswith("arn:"):
            return None
        if not name:
            raise invalid(
                "StackName must be specified if ChangeSetName is not specified as an ARN."
            )
        check_stack(name)
        stack = self.live(scope, name)
        if stack is None:
            raise invalid(f"Stack [{name}] does not exist")
        return stack


def _repeated(stack: Stack, body: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to an update that is requested again with its token.

    Raises:
        AwsError: TokenAlreadyExistsException: it is another update.
    """
    _, parameters = parsed(body, params.get("Parameters"), stack.parameters)
    begun = (stack.template_body, stack.parameters)
    if stack.new_body is not None:
        begun = (stack.new_body, stack.new_parameters)
    if begun != (body, parameters):
        token = params["ClientRequestToken"]
        raise AwsError("TokenAlreadyExistsException", f"Token already exists: {token}")
    return {"StackId": stack.id}


def _parsed(body: str) -> Template:
    try:
        template = parse(body)
        check_template(template)
    except TemplateError as error:
        raise invalid(str(error)) from None
    return template
