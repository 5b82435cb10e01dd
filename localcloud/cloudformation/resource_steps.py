"""Single steps of a stack operation: one resource is created, updated, restored or deleted.

Each step is an event of the stack. A step that a restart interrupted is repeated: the event that
begins it is stored first, with the token of the name that CloudFormation generates, so that the
repetition finds what the first attempt has created and does not create it twice.

An example in time. `CREATE_IN_PROGRESS` of the resource Model is stored with the token K3J…; the
model prd-Model-K3J… is created; the local cloud is killed before the answer is stored. After the
restart the step runs again and asks for the same name; SageMaker answers that the name is taken,
and the step takes that model for the resource.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.dynamic_references import resolved, with_stored
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import Call, CreatedResource, ResourceFailed
from localcloud.cloudformation.resource_types.nested_stack import NESTED
from localcloud.cloudformation.template import RETAINING, Template, TemplateError, dependencies
from localcloud.service_context import ServiceContext

Event = Callable[..., None]
_TOKEN_LENGTH = 12
_ALPHABET = string.ascii_uppercase + string.digits


class ResourceSteps:
    """Carries out the steps of all stacks.

    Args:
        context: what services share.
        event: records an event of a resource, and stores the stack.

    Attributes:
        resumed: the ids of stacks whose operation began before a restart.
    """

    def __init__(self, context: ServiceContext, event: Event) -> None:
        self._context = context
        self._event = event
        self.resumed: set[str] = set()

    async def create(
        self, stack: Stack, template: Template, renderer: Renderer, logical_id: str
    ) -> None:
        """Create a resource.

        Raises:
            ResourceFailed: it could not be created; the event has the reason.
        """
        declared = template.resources[logical_id]
        interrupted = _begun(stack.resources.get(logical_id), "CREATE_IN_PROGRESS")
        resource = StackResource(logical_id, declared["Type"], {})
        resource.token = interrupted.token if interrupted else _token()
        resource.depends_on = sorted(dependencies(declared, template.resources))
        _take_policies(resource, declared)
        stack.resources[logical_id] = resource
        begun = interrupted.changed if interrupted else None
        if interrupted is None:
            self._event(stack, resource, "CREATE_IN_PROGRESS")
        try:
            handler = handler_of(declared["Type"])
            resource.properties = renderer.render(declared.get("Properties", {}))
            call = self.call(stack, resource, begun)
            properties = await resolved(call, resource.properties)
            handler.check(logical_id, properties)
            made = await handler.create(call, properties)
        except (ResourceFailed, TemplateError) as error:
            if isinstance(error, ResourceFailed) and error.made is not None:
                take(resource, error.made)  # it exists, although it failed
            self._event(stack, resource, "CREATE_FAILED", str(error))
            raise ResourceFailed(
                f"The following resource(s) failed to create: [{logical_id}]."
            ) from error
        take(resource, made)
        self._event(stack, resource, "CREATE_COMPLETE")

    async def update(
        self, stack: Stack, template: Template, renderer: Renderer, resource: StackResource
    ) -> StackResource | None:
        """Update or replace one resource; return the old one if it was replaced.

        Raises:
            ResourceFailed: it could not be updated; the event has the reason.
        """
        declared = template.resources[resource.logical_id]
        try:
            properties = renderer.render(declared.get("Properties", {}))
        except TemplateError as error:
            raise ResourceFailed(str(error)) from error
        resource.depends_on = sorted(dependencies(declared, template.resources))
        _take_policies(resource, declared)
        before = with_stored(resource.properties, stack.references)
        wanted = with_stored(properties, stack.new_references)
        # The template of a nested stack may have changed at its URL.
        nested = declared["Type"] == NESTED
        if before == wanted and declared["Type"] == resource.type and not nested:
            return None
        interrupted = _begun(resource, "UPDATE_IN_PROGRESS")
        begun = interrupted.changed if interrupted else None
        old = replace(resource)
        if interrupted is None:
            resource.token = _token()
            self._event(stack, resource, "UPDATE_IN_PROGRESS")
        try:
            handler = handler_of(declared["Type"])
            call = self.call(stack, resource, begun)
            after = await resolved(call, properties)
            handler.check(resource.logical_id, after)
            made = CreatedResource(resource.physical_id, resource.attributes)
            replaced = declared["Type"] != resource.type or handler.must_replace(before, wanted)
            if replaced:
                fixed = wanted.get(handler.name_property) if handler.name_property else None
                if fixed is not None and fixed == before.get(handler.name_property):
                    raise ResourceFailed(
                        "CloudFormation cannot update a stack when a custom-named resource "
                        f"requires replacing. Rename {fixed} and update the stack again."
                    )
                made = await handler.create(call, after)
            else:
                made = await handler.update(call, made, before, after)
        except ResourceFailed as error:
            self._event(stack, resource, "UPDATE_FAILED", str(error))
            raise ResourceFailed(
                f"The following resource(s) failed to update: [{resource.logical_id}]."
            ) from error
        resource.properties, resource.type = properties, declared["Type"]
        take(resource, made)
        if replaced:
            stack.surplus.append(old)
        self._event(stack, resource, "UPDATE_COMPLETE")
        return old if replaced else None

    async def restore(self, stack: Stack, current: StackResource, old: StackResource) -> str:
        """Restore a resource; return the reason of a failure, or an empty string."""
        handler = HANDLERS.get(old.type)
        now = with_stored(current.properties, stack.new_references)
        then = with_stored(old.properties, stack.references)
        if now != then and handler is not None:
            call = self.call(stack, current)
            try:
                await handler.update(
                    call,
                    CreatedResource(current.physical_id, current.attributes),
                    now,
                    await resolved(call, then),
                )
            except ResourceFailed as error:
                self._event(stack, current, "UPDATE_FAILED", str(error))
                return f"{old.logical_id}: {error}"
        stack.resources[old.logical_id] = old
        if current.status == "UPDATE_FAILED" or now != then:
            self._event(stack, old, "UPDATE_COMPLETE")
        return ""

    async def delete_all(self, stack: Stack, names: Iterable[str]) -> str:
        """Delete resources; return the failures as one string."""
        failures: list[str] = []
        for logical_id in list(names):
            resource = stack.resources[logical_id]
            # RetainExceptOnCreate does not retain while a creation is rolled back.
            kept = ("Retain",) if stack.status == "ROLLBACK_IN_PROGRESS" else RETAINING
            retained = resource.deletion_policy in kept
            failure = await self.delete(stack, resource, retained=retained)
            if failure:
                failures.append(failure)
            else:
                del stack.resources[logical_id]
        return "; ".join(failures)

    async def delete(self, stack: Stack, resource: StackResource, *, retained: bool = False) -> str:
        """Delete a resource; return the reason of a failure, or an empty string."""
        if not resource.physical_id:
            return ""
        if retained:
            self._event(stack, resource, "DELETE_SKIPPED")
            return ""
        self._event(stack, resource, "DELETE_IN_PROGRESS")
        try:
            made = CreatedResource(resource.physical_id, resource.attributes)
            await handler_of(resource.type).delete(self.call(stack, resource), made)
        except ResourceFailed as error:
            if not _is_gone(str(error)):
                self._event(stack, resource, "DELETE_FAILED", str(error))
                return f"{resource.logical_id}: {error}"
        self._event(stack, resource, "DELETE_COMPLETE")
        return ""

    def call(self, stack: Stack, resource: StackResource, begun: datetime | None = None) -> Call:
        """Return what a handler needs.

        Args:
            stack: the stack.
            resource: the resource.
            begun: for a step that a restart interrupted, the time at which it began.
        """
        deadline = None
        if stack.status == "CREATE_IN_PROGRESS" and stack.timeout_minutes is not None:
            deadline = (stack.begun or stack.created) + timedelta(minutes=stack.timeout_minutes)
        return Call(
            self._context,
            scope_of_arn(stack.id),
            stack.name,
            resource.logical_id,
            stack.role_arn or "",
            deadline,
            resource.token or _token(),
            begun,
            stack.id in self.resumed,
        )


def handler_of(resource_type: str) -> Any:
    """Return the handler of a resource type.

    Raises:
        ResourceFailed: the local cloud does not support the type.
    """
    handler = HANDLERS.get(resource_type)
    if handler is None:
        raise ResourceFailed(
            f"The local cloud does not support the resource type {resource_type}; it supports: "
            f"{', '.join(sorted(HANDLERS))}"
        )
    return handler


def take(resource: StackResource, made: CreatedResource) -> None:
    """Set the id and the attributes of a resource to those of what was created."""
    resource.physical_id, resource.attributes = made.physical_id, made.attributes


def _begun(resource: StackResource | None, status: str) -> StackResource | None:
    return resource if resource is not None and resource.status == status else None


def _token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH))


def _take_policies(resource: StackResource, declared: dict[str, Any]) -> None:
    resource.deletion_policy = declared.get("DeletionPolicy", "Delete")
    resource.replace_policy = declared.get("UpdateReplacePolicy", "Delete")


def _is_gone(message: str) -> bool:
    return any(text in message for text in ("Could not find", "NotFound", "No scalable target"))
