"""The engine of stacks: creates, updates, rolls back and deletes them, resource by resource.

Each step is an event of the stack. Resources are created in the order of their dependencies, and
deleted in reverse.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.cloudformation.evaluation import deletable_order, outputs_of, values
from localcloud.cloudformation.exports import check_exports, value_of
from localcloud.cloudformation.intrinsics import Imported, Renderer
from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import Call, CreatedResource, ResourceFailed
from localcloud.cloudformation.stack_events import StackEventLog
from localcloud.cloudformation.template import (
    RETAINING,
    Template,
    TemplateError,
    creation_order,
    dependencies,
    parse,
)
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudformation")


class StackEngine:
    """Runs each stack operation as a task."""

    def __init__(self, context: ServiceContext, stacks: Collection[Stack]) -> None:
        self._context = context
        self._stacks = stacks
        self._cancelled: set[str] = set()
        event_log = StackEventLog(context, stacks)
        self._event, self._set = event_log.event, event_log.set_status

    def resume(self) -> None:
        """Fail the operations that a restart interrupted."""
        for stack in self._stacks.values():
            if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
                failed = "DELETE_FAILED" if "DELETE" in stack.status else "ROLLBACK_FAILED"
                if stack.status.startswith("UPDATE"):
                    failed = "UPDATE_ROLLBACK_FAILED"
                self._set(stack, failed, "the local cloud stopped during the operation")

    def review(self, stack: Stack) -> None:
        """Store a new stack that has nothing but change sets."""
        self._set(stack, "REVIEW_IN_PROGRESS", "User Initiated")

    def create(self, stack: Stack, then: Callable[[], None] | None = None) -> None:
        """Begin to create a stack; `then` is called when that succeeded or failed."""
        stack.begun = self._context.clock.now()
        self._set(stack, "CREATE_IN_PROGRESS", "User Initiated")
        work = self._guard(stack, self._create(stack), then)
        self._context.spawn(f"create stack {stack.name}", work)

    def update(
        self,
        stack: Stack,
        body: str,
        parameters: dict[str, str],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Begin to update a stack; `then` is called when that succeeded or failed."""
        self._cancelled.discard(stack.id)
        stack.unrolled, stack.leftovers = {}, []
        self._set(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        work = self._guard(stack, self._update(stack, body, parameters), then)
        self._context.spawn(f"update stack {stack.name}", work)

    def cancel(self, stack: Stack) -> None:
        """Cancel an update after the current resource, and roll it back."""
        self._cancelled.add(stack.id)

    def _check_cancelled(self, stack: Stack) -> None:
        if stack.id in self._cancelled:
            self._cancelled.discard(stack.id)
            raise ResourceFailed("The update was cancelled: User Initiated")

    def continue_rollback(self, stack: Stack, skipped: set[str]) -> None:
        """Begin to continue a failed rollback, without the skipped resources."""
        self._set(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        work = self._guard(stack, self._continue_rollback(stack, skipped))
        self._context.spawn(f"roll back stack {stack.name}", work)

    def delete(self, stack: Stack) -> None:
        """Begin to delete a stack."""
        self._set(stack, "DELETE_IN_PROGRESS", "User Initiated")
        self._context.spawn(f"delete stack {stack.name}", self._guard(stack, self._delete(stack)))

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
        used: set[str] = set()
        renderer = self.renderer(stack, template, stack.parameters, used)
        try:
            for logical_id in creation_order(template):
                if renderer.included(logical_id):
                    await self._create_resource(stack, template, renderer, logical_id)
                    stack.imports = sorted(used)
                    self._call(stack, logical_id).check_time()
            outputs = outputs_of(template, renderer)
            stack.imports = sorted(used)
            check_exports(stack, outputs, self.of(scope_of_arn(stack.id)))
            stack.outputs = outputs
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
        _take_policies(resource, declared)
        stack.resources[logical_id] = resource
        self._event(stack, resource, "CREATE_IN_PROGRESS")
        try:
            handler = _handler(declared["Type"])
            resource.properties = renderer.render(declared.get("Properties", {}))
            handler.check(logical_id, resource.properties)
            made = await handler.create(self._call(stack, logical_id), resource.properties)
        except (ResourceFailed, TemplateError) as error:
            if isinstance(error, ResourceFailed) and error.made is not None:
                _take(resource, error.made)  # it exists, although it failed
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
        stack.imports = []
        if stack.on_failure == "DELETE":
            self._set(stack, "DELETE_IN_PROGRESS", reason)
            await self._delete(stack)
            return
        self._set(stack, "ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
        left = await self._delete_resources(stack, reversed(deletable_order(stack)))
        self._set(stack, "ROLLBACK_FAILED" if left else "ROLLBACK_COMPLETE", left or None)

    async def _update(self, stack: Stack, body: str, parameters: dict[str, str]) -> None:
        template = parse(body)
        before = {name: replace(resource) for name, resource in stack.resources.items()}
        used: set[str] = set()
        renderer = self.renderer(stack, template, parameters, used)
        surplus: list[StackResource] = []
        try:
            for logical_id in creation_order(template):
                if not renderer.included(logical_id):
                    continue
                self._check_cancelled(stack)
                current = stack.resources.get(logical_id)
                if current is None or not current.physical_id:
                    await self._create_resource(stack, template, renderer, logical_id)
                else:
                    old = await self._update_resource(stack, template, renderer, current)
                    surplus += [old] if old is not None else []
            self._check_cancelled(stack)
            outputs = outputs_of(template, renderer)
            check_exports(stack, outputs, self.of(scope_of_arn(stack.id)))
        except (ResourceFailed, TemplateError) as error:
            await self._roll_back_update(stack, before, surplus, str(error))
            return
        self._set(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        kept = {name for name in template.resources if renderer.included(name)}
        gone = [name for name in reversed(deletable_order(stack)) if name not in kept]
        for old in surplus:
            await self._delete_one(stack, old, retained=old.replace_policy == "Retain")
        await self._delete_resources(stack, gone)
        stack.template_body, stack.parameters, stack.outputs = body, parameters, outputs
        stack.description = template.document.get("Description")
        stack.imports = sorted(used)
        self._set(stack, "UPDATE_COMPLETE")

    async def _update_resource(
        self, stack: Stack, template: Template, renderer: Renderer, resource: StackResource
    ) -> StackResource | None:
        """Update or replace one resource; return the old one if it was replaced."""
        declared = template.resources[resource.logical_id]
        try:
            properties = renderer.render(declared.get("Properties", {}))
        except TemplateError as error:
            raise ResourceFailed(str(error)) from error
        resource.depends_on = sorted(dependencies(declared, template.resources))
        _take_policies(resource, declared)
        if properties == resource.properties and declared["Type"] == resource.type:
            return None
        self._event(stack, resource, "UPDATE_IN_PROGRESS")
        old = replace(resource)
        try:
            handler = _handler(declared["Type"])
            handler.check(resource.logical_id, properties)
            call = self._call(stack, resource.logical_id)
            made = CreatedResource(resource.physical_id, resource.attributes)
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
            else:
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
        for logical_id in reversed(deletable_order(stack)):
            current, old = stack.resources[logical_id], before.get(logical_id)
            if old is not None and logical_id not in replaced:
                failure = await self._restore(stack, current, old)
                if failure:
                    stack.unrolled[logical_id] = old
                    failures.append(failure)
        for logical_id in reversed(deletable_order(stack)):
            if logical_id not in before or logical_id in replaced:
                made = stack.resources[logical_id]
                retained = logical_id not in before and made.deletion_policy == "Retain"
                left = await self._delete_one(stack, made, retained=retained)
                if left:
                    stack.leftovers.append(made)
                    failures.append(left)
                if logical_id in before:
                    stack.resources[logical_id] = before[logical_id]
                elif not left:
                    del stack.resources[logical_id]
        self._rolled_back(stack, failures)

    async def _restore(self, stack: Stack, current: StackResource, old: StackResource) -> str:
        """Restore a resource; return the reason of a failure, or an empty string."""
        handler = HANDLERS.get(old.type)
        if current.properties != old.properties and handler is not None:
            try:
                await handler.update(
                    self._call(stack, old.logical_id),
                    CreatedResource(current.physical_id, current.attributes),
                    current.properties,
                    old.properties,
                )
            except ResourceFailed as error:
                self._event(stack, current, "UPDATE_FAILED", str(error))
                return f"{old.logical_id}: {error}"
        stack.resources[old.logical_id] = old
        if current.status == "UPDATE_FAILED" or current.properties != old.properties:
            self._event(stack, old, "UPDATE_COMPLETE")
        return ""

    def _rolled_back(self, stack: Stack, failures: list[str]) -> None:
        status = "UPDATE_ROLLBACK_FAILED" if failures else "UPDATE_ROLLBACK_COMPLETE"
        self._set(stack, status, "; ".join(failures) or None)

    async def _continue_rollback(self, stack: Stack, skipped: set[str]) -> None:
        failures: list[str] = []
        for logical_id, old in list(stack.unrolled.items()):
            current = stack.resources[logical_id]
            failure = ""
            if logical_id in skipped:
                stack.resources[logical_id] = old
                self._event(stack, old, "UPDATE_COMPLETE", "Resource skipped by the user")
            else:
                failure = await self._restore(stack, current, old)
            if failure:
                failures.append(failure)
            else:
                del stack.unrolled[logical_id]
        for made in list(stack.leftovers):
            left = "" if made.logical_id in skipped else await self._delete_one(stack, made)
            if left:
                failures.append(left)
                continue
            stack.leftovers.remove(made)
            kept = stack.resources.get(made.logical_id)
            if kept is not None and kept.physical_id == made.physical_id:
                del stack.resources[made.logical_id]
        self._rolled_back(stack, failures)

    async def _delete(self, stack: Stack) -> None:
        left = await self._delete_resources(stack, list(reversed(deletable_order(stack))))
        if left:
            self._set(stack, "DELETE_FAILED", left)
            return
        stack.deleted = self._context.clock.now()
        self._set(stack, "DELETE_COMPLETE")

    async def _delete_resources(self, stack: Stack, names: Iterable[str]) -> str:
        """Delete resources; return the failures as one string."""
        failures: list[str] = []
        for logical_id in list(names):
            resource = stack.resources[logical_id]
            # RetainExceptOnCreate does not retain while a creation is rolled back.
            kept = ("Retain",) if stack.status == "ROLLBACK_IN_PROGRESS" else RETAINING
            retained = resource.deletion_policy in kept
            failure = await self._delete_one(stack, resource, retained=retained)
            if failure:
                failures.append(failure)
            else:
                del stack.resources[logical_id]
        return "; ".join(failures)

    async def _delete_one(
        self, stack: Stack, resource: StackResource, *, retained: bool = False
    ) -> str:
        if not resource.physical_id:
            return ""
        if retained:
            self._event(stack, resource, "DELETE_SKIPPED")
            return ""
        self._event(stack, resource, "DELETE_IN_PROGRESS")
        try:
            made = CreatedResource(resource.physical_id, resource.attributes)
            await _handler(resource.type).delete(self._call(stack, resource.logical_id), made)
        except ResourceFailed as error:
            if not _is_gone(str(error)):
                self._event(stack, resource, "DELETE_FAILED", str(error))
                return f"{resource.logical_id}: {error}"
        self._event(stack, resource, "DELETE_COMPLETE")
        return ""

    def of(self, scope: Scope) -> list[Stack]:
        """Return the existing stacks of an account and region."""
        prefix = scope.arn("cloudformation", "stack/")
        found = self._stacks.values()
        return [stack for stack in found if stack.id.startswith(prefix) and stack.deleted is None]

    def imported(self, stack: Stack, used: set[str]) -> Imported:
        """Return a function for Fn::ImportValue that adds each imported name to `used`."""

        def value(name: str) -> str:
            found = value_of(self.of(scope_of_arn(stack.id)), name)
            used.add(name)
            return found

        return value

    def renderer(
        self, stack: Stack, template: Template, parameters: dict[str, str], used: set[str]
    ) -> Renderer:
        """Return a renderer that evaluates Ref and Fn::GetAtt by the stack's resources."""

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
                    f"the local cloud supports: {known}"
                )
            return resource.attributes[attribute]

        return Renderer(
            template,
            values(stack, template, parameters),
            lookup,
            self.imported(stack, used),
        )

    def _call(self, stack: Stack, logical_id: str) -> Call:
        scope = scope_of_arn(stack.id)
        deadline = None
        if stack.status == "CREATE_IN_PROGRESS" and stack.timeout_minutes is not None:
            deadline = (stack.begun or stack.created) + timedelta(minutes=stack.timeout_minutes)
        return Call(self._context, scope, stack.name, logical_id, stack.role_arn or "", deadline)


def _handler(resource_type: str) -> Any:
    handler = HANDLERS.get(resource_type)
    if handler is None:
        raise ResourceFailed(
            f"The local cloud does not support the resource type {resource_type}; it supports: "
            f"{', '.join(sorted(HANDLERS))}"
        )
    return handler


def _take_policies(resource: StackResource, declared: dict[str, Any]) -> None:
    resource.deletion_policy = declared.get("DeletionPolicy", "Delete")
    resource.replace_policy = declared.get("UpdateReplacePolicy", "Delete")


def _take(resource: StackResource, made: CreatedResource) -> None:
    resource.physical_id, resource.attributes = made.physical_id, made.attributes


def _is_gone(message: str) -> bool:
    return any(text in message for text in ("Could not find", "NotFound", "No scalable target"))
