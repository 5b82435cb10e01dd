"""Creates, updates, rolls back and deletes stacks, resource by resource, with an event a step."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudformation.model import Stack, StackEvent, StackResource
from localcloud.cloudformation.resources import HANDLERS, Call, Made, ResourceFailed
from localcloud.cloudformation.template import (
    Renderer,
    Template,
    TemplateError,
    creation_order,
    dependencies,
    parse,
    scalar_text,
)
from localcloud.routing import scope_of_arn
from localcloud.store import Collection

log = logging.getLogger("localcloud.cloudformation")


class StackEngine:
    """Runs one task a stack operation."""

    def __init__(self, cloud: Cloud, stacks: Collection[Stack]) -> None:
        self._cloud = cloud
        self._stacks = stacks

    def resume(self) -> None:
        """After a restart: fail what was in progress, with the reason."""
        for stack in self._stacks.values():
            if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
                failed = "DELETE_FAILED" if "DELETE" in stack.status else "ROLLBACK_FAILED"
                if stack.status.startswith("UPDATE"):
                    failed = "UPDATE_ROLLBACK_FAILED"
                self._set(stack, failed, "the local cloud ended during the operation")

    def review(self, stack: Stack) -> None:
        """Keep a new stack that has nothing but change sets."""
        self._set(stack, "REVIEW_IN_PROGRESS", "User Initiated")

    def create(self, stack: Stack, then: Callable[[], None] | None = None) -> None:
        """Begin to create a stack, and call `then` when that has ended, well or not."""
        self._set(stack, "CREATE_IN_PROGRESS", "User Initiated")
        work = self._guard(stack, self._create(stack), then)
        self._cloud.spawn(f"create stack {stack.name}", work)

    def update(
        self,
        stack: Stack,
        body: str,
        parameters: dict[str, str],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Begin to update a stack, and call `then` when that has ended, well or not."""
        self._set(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        work = self._guard(stack, self._update(stack, body, parameters), then)
        self._cloud.spawn(f"update stack {stack.name}", work)

    def delete(self, stack: Stack) -> None:
        """Begin to delete a stack."""
        self._set(stack, "DELETE_IN_PROGRESS", "User Initiated")
        self._cloud.spawn(f"delete stack {stack.name}", self._guard(stack, self._delete(stack)))

    async def _guard(self, stack: Stack, work: Any, then: Callable[[], None] | None = None) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("stack %s", stack.name)
            status = stack.status.removesuffix("_IN_PROGRESS") + "_FAILED"
            self._set(stack, status, f"InternalFailure: {error}")
        if then is not None:
            then()

    async def _create(self, stack: Stack) -> None:
        template = parse(stack.template_body)
        renderer = self.renderer(stack, template, stack.parameters)
        try:
            for logical_id in creation_order(template):
                if renderer.included(logical_id):
                    await self._create_resource(stack, template, renderer, logical_id)
            stack.outputs = _outputs(template, renderer)
        except (ResourceFailed, TemplateError) as error:
            await self._roll_back_creation(stack, str(error))
            return
        self._set(stack, "CREATE_COMPLETE")

    async def _create_resource(
        self, stack: Stack, template: Template, renderer: Renderer, logical_id: str
    ) -> None:
        declared = template.resources[logical_id]
        resource = StackResource(logical_id, declared["Type"], {})
        resource.depends_on = sorted(dependencies(declared, template.resources))
        stack.resources[logical_id] = resource
        self._event(stack, resource, "CREATE_IN_PROGRESS")
        try:
            handler = _handler(declared["Type"])
            resource.properties = renderer.render(declared.get("Properties", {}))
            made = await handler.create(self._call(stack, logical_id), resource.properties)
        except (ResourceFailed, TemplateError) as error:
            self._event(stack, resource, "CREATE_FAILED", str(error))
            raise ResourceFailed(
                f"The following resource(s) failed to create: [{logical_id}]."
            ) from error
        _take(resource, made)
        self._event(stack, resource, "CREATE_COMPLETE")

    async def _roll_back_creation(self, stack: Stack, reason: str) -> None:
        if stack.disable_rollback:
            self._set(stack, "CREATE_FAILED", reason)
            return
        self._set(stack, "ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
        left = await self._delete_resources(stack, reversed(_order(stack)))
        self._set(stack, "ROLLBACK_FAILED" if left else "ROLLBACK_COMPLETE", left or None)

    async def _update(self, stack: Stack, body: str, parameters: dict[str, str]) -> None:
        template = parse(body)
        before = {name: replace(resource) for name, resource in stack.resources.items()}
        renderer = self.renderer(stack, template, parameters)
        surplus: list[StackResource] = []
        try:
            for logical_id in creation_order(template):
                if not renderer.included(logical_id):
                    continue
                current = stack.resources.get(logical_id)
                if current is None or not current.physical_id:
                    await self._create_resource(stack, template, renderer, logical_id)
                else:
                    old = await self._update_resource(stack, template, renderer, current)
                    surplus += [old] if old is not None else []
            outputs = _outputs(template, renderer)
        except (ResourceFailed, TemplateError) as error:
            await self._roll_back_update(stack, before, surplus, str(error))
            return
        self._set(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        kept = {name for name in template.resources if renderer.included(name)}
        gone = [name for name in reversed(_order(stack)) if name not in kept]
        for old in surplus:
            await self._delete_one(stack, old)
        await self._delete_resources(stack, gone)
        stack.template_body, stack.parameters, stack.outputs = body, parameters, outputs
        stack.description = template.document.get("Description")
        self._set(stack, "UPDATE_COMPLETE")

    async def _update_resource(
        self, stack: Stack, template: Template, renderer: Renderer, resource: StackResource
    ) -> StackResource | None:
        """Bring one resource up to date; return the old one when it was replaced."""
        declared = template.resources[resource.logical_id]
        try:
            properties = renderer.render(declared.get("Properties", {}))
        except TemplateError as error:
            raise ResourceFailed(str(error)) from error
        resource.depends_on = sorted(dependencies(declared, template.resources))
        if properties == resource.properties and declared["Type"] == resource.type:
            return None
        self._event(stack, resource, "UPDATE_IN_PROGRESS")
        old = replace(resource)
        try:
            handler = _handler(declared["Type"])
            call = self._call(stack, resource.logical_id)
            made = Made(resource.physical_id, resource.attributes)
            replaced = declared["Type"] != resource.type or handler.must_replace(
                resource.properties, properties
            )
            if replaced:
                fixed = properties.get(handler.name_property) if handler.name_property else None
                if fixed is not None and fixed == resource.properties.get(handler.name_property):
                    raise ResourceFailed(
                        "CloudFormation cannot update a stack when a custom-named resource "
                        f"requires replacing. Rename {fixed} and update the stack again."
                    )
                made = await handler.create(call, properties)
            elif handler.update is not None:
                made = await handler.update(call, made, resource.properties, properties)
        except ResourceFailed as error:
            self._event(stack, resource, "UPDATE_FAILED", str(error))
            raise ResourceFailed(
                f"The following resource(s) failed to update: [{resource.logical_id}]."
            ) from error
        resource.properties, resource.type = properties, declared["Type"]
        _take(resource, made)
        self._event(stack, resource, "UPDATE_COMPLETE")
        return old if replaced else None

    async def _roll_back_update(
        self,
        stack: Stack,
        before: dict[str, StackResource],
        surplus: list[StackResource],
        reason: str,
    ) -> None:
        self._set(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
        failures: list[str] = []
        replaced = {old.logical_id for old in surplus}
        for logical_id in reversed(_order(stack)):
            current, old = stack.resources[logical_id], before.get(logical_id)
            if old is not None and logical_id not in replaced:
                handler = HANDLERS.get(old.type)
                if current.properties != old.properties and handler and handler.update:
                    try:
                        made = Made(current.physical_id, current.attributes)
                        await handler.update(
                            self._call(stack, logical_id),
                            made,
                            current.properties,
                            old.properties,
                        )
                    except ResourceFailed as error:
                        failures.append(f"{logical_id}: {error}")
                        continue
                stack.resources[logical_id] = old
                if current.status == "UPDATE_FAILED" or current.properties != old.properties:
                    self._event(stack, old, "UPDATE_COMPLETE")
        for logical_id in reversed(_order(stack)):
            if logical_id not in before or logical_id in replaced:
                left = await self._delete_one(stack, stack.resources[logical_id])
                failures += [left] if left else []
                if logical_id in before:
                    stack.resources[logical_id] = before[logical_id]
                elif not left:
                    del stack.resources[logical_id]
        status = "UPDATE_ROLLBACK_FAILED" if failures else "UPDATE_ROLLBACK_COMPLETE"
        self._set(stack, status, "; ".join(failures) or None)

    async def _delete(self, stack: Stack) -> None:
        left = await self._delete_resources(stack, list(reversed(_order(stack))))
        if left:
            self._set(stack, "DELETE_FAILED", left)
            return
        stack.deleted = self._cloud.clock.now()
        self._set(stack, "DELETE_COMPLETE")

    async def _delete_resources(self, stack: Stack, names: Iterable[str]) -> str:
        """Delete resources; return what could not be, as one text."""
        failures: list[str] = []
        for logical_id in list(names):
            failure = await self._delete_one(stack, stack.resources[logical_id])
            if failure:
                failures.append(failure)
            else:
                del stack.resources[logical_id]
        return "; ".join(failures)

    async def _delete_one(self, stack: Stack, resource: StackResource) -> str:
        if not resource.physical_id:
            return ""
        self._event(stack, resource, "DELETE_IN_PROGRESS")
        try:
            made = Made(resource.physical_id, resource.attributes)
            await _handler(resource.type).delete(self._call(stack, resource.logical_id), made)
        except ResourceFailed as error:
            if not _is_gone(str(error)):
                self._event(stack, resource, "DELETE_FAILED", str(error))
                return f"{resource.logical_id}: {error}"
        self._event(stack, resource, "DELETE_COMPLETE")
        return ""

    def renderer(self, stack: Stack, template: Template, parameters: dict[str, str]) -> Renderer:
        """Return a renderer whose Ref and GetAtt answer from the stack's resources."""

        def lookup(logical_id: str, attribute: str | None) -> str:
            resource = stack.resources.get(logical_id)
            if resource is None or not resource.physical_id:
                raise TemplateError(f"the resource {logical_id} does not exist yet")
            if attribute is None:
                return resource.physical_id
            if attribute not in resource.attributes:
                known = ", ".join(sorted(resource.attributes)) or "none"
                raise TemplateError(
                    f"Template error: {resource.type} {logical_id} has no attribute {attribute}; "
                    f"the local cloud knows: {known}"
                )
            return resource.attributes[attribute]

        return Renderer(template, values(stack, template, parameters), lookup)

    def _call(self, stack: Stack, logical_id: str) -> Call:
        scope = scope_of_arn(stack.id)
        return Call(self._cloud, scope, stack.name, logical_id, stack.role_arn or "")

    def _event(
        self, stack: Stack, resource: StackResource, status: str, reason: str | None = None
    ) -> None:
        now = self._cloud.clock.now()
        resource.status, resource.reason, resource.changed = status, reason, now
        stack.events.append(
            StackEvent(
                str(uuid.uuid4()),
                resource.logical_id,
                resource.physical_id,
                resource.type,
                status,
                reason,
                now,
            )
        )
        self._stacks.put(stack.id, stack)

    def _set(self, stack: Stack, status: str, reason: str | None = None) -> None:
        stack.status, stack.status_reason = status, reason
        now = self._cloud.clock.now()
        stack.events.append(
            StackEvent(
                str(uuid.uuid4()),
                stack.name,
                stack.id,
                "AWS::CloudFormation::Stack",
                status,
                reason,
                now,
            )
        )
        if status.startswith("UPDATE"):
            stack.updated = now
        self._stacks.put(stack.id, stack)


def values(stack: Stack, template: Template, parameters: dict[str, str]) -> dict[str, Any]:
    """Return what Ref answers for parameters, lists as lists, and pseudo parameters."""
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
    typed: dict[str, Any] = {
        name: value.split(",")
        if template.parameters[name].get("Type", "").startswith(("List", "CommaDelimited"))
        else value
        for name, value in parameters.items()
    }
    return pseudo | typed


def _handler(resource_type: str) -> Any:
    handler = HANDLERS.get(resource_type)
    if handler is None:
        raise ResourceFailed(
            f"The local cloud does not support the resource type {resource_type}; it supports: "
            f"{', '.join(sorted(HANDLERS))}"
        )
    return handler


def _take(resource: StackResource, made: Made) -> None:
    resource.physical_id, resource.attributes = made.physical_id, made.attributes


def _order(stack: Stack) -> list[str]:
    """Return the stack's resources, each after those it depends on."""
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


def _outputs(template: Template, renderer: Renderer) -> list[dict[str, str]]:
    outputs = []
    for name, declared in template.document.get("Outputs", {}).items():
        if "Condition" in declared and not renderer.condition(declared["Condition"]):
            continue
        output = {"OutputKey": name, "OutputValue": scalar_text(renderer.render(declared["Value"]))}
        if declared.get("Description"):
            output["Description"] = declared["Description"]
        outputs.append(output)
    return outputs


def _is_gone(message: str) -> bool:
    return any(text in message for text in ("Could not find", "NotFound", "No scalable target"))
