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

import logging
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.cloudformation.dynamic_references import resolved, with_stored
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack, StackResource
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import Call, CreatedResource, ResourceFailed
from localcloud.cloudformation.resource_types.nested_stack import NESTED
from localcloud.cloudformation.stack_events import StackEventLog
from localcloud.cloudformation.stack_policies import refusal
from localcloud.cloudformation.template import RETAINING, Template, TemplateError, dependencies
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudformation")

_REPLACES = "Requested update requires the creation of a new physical resource; hence creating one."
# What services say of a resource that is not there any more.
_GONE = ("Could not find", "NotFound", "No scalable target", "does not exist")
_TOKEN_LENGTH = 12
_ALPHABET = string.ascii_uppercase + string.digits


class ResourceSteps:
    """Carries out the steps of all stacks.

    Args:
        context: what services share.
        event_log: records the events of resources, and stores the stack.
        rollback_reasons: why the operation on a stack is to end, by the stack's id.

    Attributes:
        resumed: the ids of stacks whose operation began before a restart.
    """

    def __init__(
        self,
        context: ServiceContext,
        event_log: StackEventLog,
        rollback_reasons: Mapping[str, str],
    ) -> None:
        self._context = context
        self._event_log = event_log
        self._event = event_log.event
        self._rollback_reasons = rollback_reasons
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
        unknown: TemplateError | None = None
        try:
            resource.properties = renderer.render(declared.get("Properties", {}))
        except TemplateError as error:
            unknown = error
        if interrupted is None:
            self._event(stack, resource, "CREATE_IN_PROGRESS")
        elif begun is not None:
            resource.status, resource.changed = interrupted.status, begun
        try:
            if unknown is not None:
                raise ResourceFailed(str(unknown)) from unknown
            call = self.call(stack, resource, begun)
            made = await self._created(call, stack, declared["Type"], resource.properties)
        except ResourceFailed as error:
            if error.made is not None:
                take(resource, error.made)  # it exists, although it failed
            self._event(stack, resource, "CREATE_FAILED", str(error))
            raise ResourceFailed(
                f"The following resource(s) failed to create: [{logical_id}]."
            ) from error
        call.initiated(made.physical_id)
        take(resource, made)
        self._event(stack, resource, "CREATE_COMPLETE")

    async def _created(
        self, call: Call, stack: Stack, resource_type: str, properties: dict[str, Any]
    ) -> CreatedResource:
        """Check properties and create a resource of them.

        Raises:
            ResourceFailed: it could not be created.
        """
        handler = handler_of(resource_type)
        with _failures(call.logical_id):
            properties = await resolved(call, properties)
            handler.check(call.logical_id, properties)
            tagged = handler.tagged(properties, stack.tags)
            made: CreatedResource = await handler.create(call, tagged)
        return made

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
        handler = handler_of(declared["Type"])
        before = with_stored(resource.properties, stack.references)
        before = handler.tagged(before, stack.applied_tags)
        wanted = handler.tagged(with_stored(properties, stack.new_references), stack.tags)
        # The template of a nested stack may have changed at its URL.
        nested = declared["Type"] == NESTED
        if before == wanted and declared["Type"] == resource.type and not nested:
            return None
        interrupted = _begun(resource, "UPDATE_IN_PROGRESS")
        begun = interrupted.changed if interrupted else None
        old = replace(resource)
        if interrupted is None:
            resource.token = _token()
        replaced = declared["Type"] != resource.type or handler.must_replace(before, wanted)
        if interrupted is None:
            reason = _REPLACES if replaced else None
            self._event(stack, resource, "UPDATE_IN_PROGRESS", reason, properties)
        changing = False
        try:
            call = self.call(stack, resource, begun)
            made = CreatedResource(resource.physical_id, resource.attributes)
            if before != wanted:
                _check_policy(stack, resource, "Replace" if replaced else "Modify")
            if replaced:
                fixed = wanted.get(handler.name_property) if handler.name_property else None
                if fixed is not None and fixed == before.get(handler.name_property):
                    raise ResourceFailed(
                        "CloudFormation cannot update a stack when a custom-named resource "
                        f"requires replacing. Rename {fixed} and update the stack again."
                    )
                made = await self._created(call, stack, declared["Type"], properties)
                call.initiated(made.physical_id)
            else:
                with _failures(resource.logical_id):
                    after = await resolved(call, properties)
                    handler.check(resource.logical_id, after)
                    after = handler.tagged(after, stack.tags)
                    changing = True
                    made = await handler.update(call, made, before, after)
        except ResourceFailed as error:
            if changing:  # in part, so that a rollback has something to restore
                resource.properties = properties
            self._event(stack, resource, "UPDATE_FAILED", str(error), properties)
            if replaced and error.made is not None:
                half = replace(resource, type=declared["Type"])
                take(half, error.made)
                await self.delete(stack, half, replaced=True)
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
        if handler is not None:
            now = handler.tagged(now, stack.tags)
            then = handler.tagged(then, stack.applied_tags)
        changed = now != then
        if handler is not None and handler.restore is not None:
            changed = changed or current.changed != old.changed
        if changed and handler is not None:
            call = self.call(stack, current)
            back = handler.restore or handler.update
            made = CreatedResource(current.physical_id, current.attributes)
            try:
                with _failures(old.logical_id):
                    await back(call, made, now, await resolved(call, then))
            except ResourceFailed as error:
                self._event(stack, current, "UPDATE_FAILED", str(error))
                return f"{old.logical_id}: {error}"
        stack.resources[old.logical_id] = old
        if current.status == "UPDATE_FAILED" or changed:
            self._event(stack, old, "UPDATE_COMPLETE")
        return ""

    def check_removals(self, stack: Stack, names: Iterable[str]) -> None:
        """Refuse an update that removes a resource against the stack policy.

        Raises:
            ResourceFailed: names the resource; its event has the statement.
        """
        for name in names:
            resource = stack.resources[name]
            try:
                _check_policy(stack, resource, "Delete")
            except ResourceFailed as error:
                self._event(stack, resource, "UPDATE_FAILED", str(error))
                raise ResourceFailed(
                    f"The following resource(s) failed to update: [{name}]."
                ) from error

    async def delete_all(self, stack: Stack, names: Iterable[str]) -> str:
        """Delete resources; return which failed to be deleted, or an empty string."""
        failures: list[str] = []
        for logical_id in list(names):
            resource = stack.resources[logical_id]
            # RetainExceptOnCreate does not retain while a creation is rolled back.
            kept = ("Retain",) if stack.status == "ROLLBACK_IN_PROGRESS" else RETAINING
            retained = resource.deletion_policy in kept
            failure = await self.delete(stack, resource, retained=retained)
            if failure:
                failures.append(logical_id)
            else:
                del stack.resources[logical_id]
        if not failures:
            return ""
        return f"The following resource(s) failed to delete: [{', '.join(failures)}]. "

    async def delete(
        self,
        stack: Stack,
        resource: StackResource,
        *,
        retained: bool = False,
        replaced: bool = False,
    ) -> str:
        """Delete a resource; return the reason of a failure, or an empty string.

        Args:
            stack: its stack.
            resource: the resource.
            retained: whether it is to be left as it is.
            replaced: whether another one has taken its place.
        """
        if not resource.physical_id:
            return ""
        if retained:
            self._event(stack, resource, "DELETE_SKIPPED")
            return ""
        record = partial(self._event_log.forgotten if replaced else self._event, stack, resource)
        record("DELETE_IN_PROGRESS")
        try:
            made = CreatedResource(resource.physical_id, resource.attributes)
            with _failures(resource.logical_id):
                await handler_of(resource.type).delete(self.call(stack, resource), made)
        except ResourceFailed as error:
            if not error.says(*_GONE):
                self._event(stack, resource, "DELETE_FAILED", str(error))
                return f"{resource.logical_id}: {error}"
        record("DELETE_COMPLETE")
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
            _once(partial(self._event_log.initiated, stack, resource)),
            lambda: self._rollback_reasons.get(stack.id, ""),
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


def _once(record: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that calls another one only the first time."""
    called: list[str] = []

    def call(physical_id: str) -> None:
        if not called:
            called.append(physical_id)
            record(physical_id)

    return call


@contextmanager
def _failures(logical_id: str) -> Iterator[None]:
    """Let an error that nobody foresaw fail the resource, in AWS's words."""
    try:
        yield
    except ResourceFailed:
        raise
    except Exception as error:
        log.exception("the resource %s", logical_id)
        raise ResourceFailed("Internal Failure") from error


def _begun(resource: StackResource | None, status: str) -> StackResource | None:
    return resource if resource is not None and resource.status == status else None


def _token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH))


def _check_policy(stack: Stack, resource: StackResource, what: str) -> None:
    """Refuse an update that the stack policy does not allow.

    Raises:
        ResourceFailed: names the statement.
    """
    policy = stack.policy_during_update or stack.policy
    reason = refusal(policy, f"Update:{what}", resource.logical_id, resource.type)
    if reason:
        raise ResourceFailed(reason)


def _take_policies(resource: StackResource, declared: dict[str, Any]) -> None:
    resource.deletion_policy = declared.get("DeletionPolicy", "Delete")
    resource.replace_policy = declared.get("UpdateReplacePolicy", "Delete")
