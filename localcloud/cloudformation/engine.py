"""The engine of stacks: creates, updates, rolls back and deletes them, resource by resource.

Resources are created in the order of their dependencies, and deleted in reverse. Each operation is
a task, and everything that it needs is in the stack's record, so that it goes on after a restart
where it was: steps that were finished are skipped, and the one that was interrupted is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.cloudformation.evaluation import deletable_order, outputs_of, values
from localcloud.cloudformation.exports import check_exports, value_of
from localcloud.cloudformation.intrinsics import Imported, Renderer
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.request_validation import Wanted
from localcloud.cloudformation.resource_steps import ResourceSteps
from localcloud.cloudformation.resource_types.base import ResourceFailed
from localcloud.cloudformation.rollback_triggers import RollbackTriggers
from localcloud.cloudformation.stack_events import StackEventLog
from localcloud.cloudformation.template import Template, TemplateError, creation_order, parse
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudformation")

Then = Callable[[], None]


class StackEngine:
    """Runs each stack operation as a task."""

    def __init__(self, context: ServiceContext, stacks: Collection[Stack]) -> None:
        self._context = context
        self._stacks = stacks
        event_log = StackEventLog(context, stacks)
        self._event, self._set = event_log.event, event_log.set_status
        self._triggers = RollbackTriggers(context, stacks)
        self._steps = ResourceSteps(context, event_log, self._triggers.fired)

    def resume(self, then: Callable[[Stack], Then | None]) -> None:
        """Continue the operations that a restart interrupted.

        Args:
            then: returns what is called when the operation of a stack has succeeded or failed.
        """
        for stack in self._stacks.values():
            if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
                log.info("stack %s continues in %s", stack.name, stack.status)
                self._steps.resumed.add(stack.id)
                self._run("continue", stack, self._continue(stack), then(stack))

    async def _continue(self, stack: Stack) -> None:
        match stack.status:
            case "CREATE_IN_PROGRESS":
                await self._create(stack)
            case "ROLLBACK_IN_PROGRESS":
                await self._delete_created(stack)
            case "DELETE_IN_PROGRESS":
                await self._delete(stack)
            case "UPDATE_IN_PROGRESS" if stack.new_body is not None:
                await self._update(stack)
            case "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" if stack.new_body is not None:
                await self._clean_up(stack)
            case "UPDATE_ROLLBACK_IN_PROGRESS" if stack.unrolled or stack.leftovers:
                await self._continue_rollback(stack)
            case "UPDATE_ROLLBACK_IN_PROGRESS" if stack.new_body is not None:
                await self._roll_back_update(stack)
            case _:  # the record of a version that did not store what an update needs
                reason = "an older version of the local cloud stopped during the update"
                self._set(stack, "UPDATE_ROLLBACK_FAILED", reason)

    def review(self, stack: Stack) -> None:
        """Store a new stack that has nothing but change sets."""
        self._set(stack, "REVIEW_IN_PROGRESS", "User Initiated")

    def create(self, stack: Stack, then: Then | None = None) -> None:
        """Begin to create a stack; `then` is called when that succeeded or failed."""
        stack.begun = self._context.clock.now()
        stack.applied_tags = stack.tags
        self._set(stack, "CREATE_IN_PROGRESS", "User Initiated")
        self._run("create", stack, self._create(stack), then)

    def update(self, stack: Stack, body: str, wanted: Wanted, then: Then | None = None) -> None:
        """Begin to update a stack; `then` is called when that succeeded or failed."""
        stack.cancelled = False
        stack.unrolled, stack.leftovers, stack.surplus = {}, [], []
        stack.new_body, stack.new_parameters = body, wanted.parameters
        stack.new_stored, stack.new_references = wanted.stored, wanted.references
        stack.before = {name: replace(resource) for name, resource in stack.resources.items()}
        self._set(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        self._run("update", stack, self._update(stack), then)

    def cancel(self, stack: Stack) -> None:
        """Cancel an update after the current resource, and roll it back."""
        stack.cancelled = True
        self._stacks.put(stack.id, stack)

    def _check_cancelled(self, stack: Stack) -> None:
        reason = self._triggers.fired.get(stack.id)
        if reason:
            raise ResourceFailed(reason)
        if stack.cancelled:
            stack.cancelled = False
            raise ResourceFailed("The update was cancelled: User Initiated")

    def continue_rollback(self, stack: Stack, skipped: set[str]) -> None:
        """Begin to continue a failed rollback, without the skipped resources."""
        stack.skipped = sorted(skipped)
        self._set(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        self._run("roll back", stack, self._continue_rollback(stack))

    def delete(self, stack: Stack) -> None:
        """Begin to delete a stack."""
        self._set(stack, "DELETE_IN_PROGRESS", "User Initiated")
        self._run("delete", stack, self._delete(stack))

    def _run(self, what: str, stack: Stack, work: Any, then: Then | None = None) -> None:
        self._context.spawn(f"{what} stack {stack.name}", self._guard(stack, work, then))

    async def _guard(self, stack: Stack, work: Any, then: Then | None) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("stack %s", stack.name)
            status = stack.status.removesuffix("_IN_PROGRESS") + "_FAILED"
            self._set(stack, status, "Internal Failure")
        self._steps.resumed.discard(stack.id)
        if then is not None:
            then()

    async def _create(self, stack: Stack) -> None:
        template = parse(stack.template_body)
        used = set(stack.imports)
        renderer = self.renderer(stack, template, stack.parameters | stack.stored, used)
        try:
            async with self._triggers.watched(stack):
                await self._triggers.check(stack)
                for logical_id in creation_order(template):
                    found = stack.resources.get(logical_id)
                    done = found is not None and found.status == "CREATE_COMPLETE"
                    if renderer.included(logical_id) and not done:
                        await self._steps.create(stack, template, renderer, logical_id)
                        stack.imports = sorted(used)
                        self._steps.call(stack, stack.resources[logical_id]).check_time()
                outputs = outputs_of(template, renderer)
                stack.imports = sorted(used)
                check_exports(stack, outputs, self.of(scope_of_arn(stack.id)))
                await self._triggers.monitor(stack, lambda: None)
            stack.outputs = outputs
        except (ResourceFailed, TemplateError) as error:
            await self._roll_back_creation(stack, str(error))
            return
        stack.monitored = None
        self._set(stack, "CREATE_COMPLETE")

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
        await self._delete_created(stack)

    async def _delete_created(self, stack: Stack) -> None:
        left = await self._steps.delete_all(stack, reversed(deletable_order(stack)))
        self._set(stack, "ROLLBACK_FAILED" if left else "ROLLBACK_COMPLETE", left or None)

    async def _update(self, stack: Stack) -> None:
        template = parse(stack.new_body or "")
        used: set[str] = set()
        renderer = self.renderer(stack, template, stack.new_parameters | stack.new_stored, used)
        try:
            async with self._triggers.watched(stack):
                await self._triggers.check(stack)
                for logical_id in creation_order(template):
                    if not renderer.included(logical_id):
                        continue
                    self._check_cancelled(stack)
                    current = stack.resources.get(logical_id)
                    if current is None or not current.physical_id:
                        await self._steps.create(stack, template, renderer, logical_id)
                    else:
                        await self._steps.update(stack, template, renderer, current)
                self._check_cancelled(stack)
                kept = {name for name in template.resources if renderer.included(name)}
                self._steps.check_removals(stack, sorted(stack.resources.keys() - kept))
                outputs = outputs_of(template, renderer)
                check_exports(stack, outputs, self.of(scope_of_arn(stack.id)))
                await self._triggers.monitor(stack, partial(self._check_cancelled, stack))
        except (ResourceFailed, TemplateError) as error:
            self._set(stack, "UPDATE_ROLLBACK_IN_PROGRESS", str(error))
            await self._roll_back_update(stack)
            return
        self._set(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        await self._clean_up(stack)

    async def _clean_up(self, stack: Stack) -> None:
        """Delete what the new template has no longer, and make it the stack's template."""
        body = stack.new_body or ""
        template = parse(body)
        used: set[str] = set()
        renderer = self.renderer(stack, template, stack.new_parameters | stack.new_stored, used)
        kept = {name for name in template.resources if renderer.included(name)}
        for name in kept:
            renderer.render(template.resources[name].get("Properties", {}))  # notes its imports
        outputs = outputs_of(template, renderer)
        gone = [name for name in reversed(deletable_order(stack)) if name not in kept]
        for old in list(stack.surplus):
            retained = old.replace_policy == "Retain"
            await self._steps.delete(stack, old, retained=retained, replaced=True)
            stack.surplus.remove(old)
        await self._steps.delete_all(stack, gone)
        stack.template_body, stack.parameters, stack.outputs = body, stack.new_parameters, outputs
        stack.stored, stack.references = stack.new_stored, stack.new_references
        stack.applied_tags = stack.tags
        stack.description = template.document.get("Description")
        stack.imports = sorted(used)
        stack.forget_update()
        self._set(stack, "UPDATE_COMPLETE")

    async def _roll_back_update(self, stack: Stack) -> None:
        failures: list[str] = []
        replaced = {old.logical_id: old for old in stack.surplus}
        for logical_id in reversed(deletable_order(stack)):
            current, old = stack.resources[logical_id], stack.before.get(logical_id)
            if old is not None and logical_id not in replaced:
                failure = await self._steps.restore(stack, current, old)
                if failure:
                    stack.unrolled[logical_id] = old
                    failures.append(failure)
        for logical_id in reversed(deletable_order(stack)):
            new = logical_id not in stack.before
            if new or logical_id in replaced:
                made = stack.resources[logical_id]
                retained = new and made.deletion_policy == "Retain"
                left = await self._steps.delete(stack, made, retained=retained)
                if left:
                    stack.leftovers.append(made)
                    failures.append(left)
                if not new:
                    stack.resources[logical_id] = stack.before[logical_id]
                    # Stored with the next event, so that a repetition does not delete the old one.
                    stack.surplus.remove(replaced[logical_id])
                elif not left:
                    del stack.resources[logical_id]
        self._rolled_back(stack, failures)

    def _rolled_back(self, stack: Stack, failures: list[str]) -> None:
        stack.forget_update()
        if stack.applied_tags is not None:
            stack.tags = stack.applied_tags
        status = "UPDATE_ROLLBACK_FAILED" if failures else "UPDATE_ROLLBACK_COMPLETE"
        self._set(stack, status, "; ".join(failures) or None)

    async def _continue_rollback(self, stack: Stack) -> None:
        failures: list[str] = []
        for logical_id, old in list(stack.unrolled.items()):
            current = stack.resources[logical_id]
            failure = ""
            if logical_id in stack.skipped:
                stack.resources[logical_id] = old
                self._event(stack, old, "UPDATE_COMPLETE", "Resource skipped by the user")
            else:
                failure = await self._steps.restore(stack, current, old)
            if failure:
                failures.append(failure)
            else:
                del stack.unrolled[logical_id]
        for made in list(stack.leftovers):
            skip = made.logical_id in stack.skipped
            left = "" if skip else await self._steps.delete(stack, made)
            if left:
                failures.append(left)
                continue
            stack.leftovers.remove(made)
            kept = stack.resources.get(made.logical_id)
            if kept is not None and kept.physical_id == made.physical_id:
                del stack.resources[made.logical_id]
        self._rolled_back(stack, failures)

    async def _delete(self, stack: Stack) -> None:
        left = await self._steps.delete_all(stack, list(reversed(deletable_order(stack))))
        if left:
            self._set(stack, "DELETE_FAILED", left)
            return
        stack.deleted = self._context.clock.now()
        self._set(stack, "DELETE_COMPLETE")

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
                    f"Template error: resource {logical_id} does not support attribute type "
                    f"{attribute} in Fn::GetAtt; it has: {known}"
                )
            return resource.attributes[attribute]

        return Renderer(
            template,
            values(stack, template, parameters),
            lookup,
            self.imported(stack, used),
        )
