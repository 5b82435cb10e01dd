"""The lifecycle of change sets: created, executed by the stack's engine, obsolete, deleted.

This module owns their records and their background work. `changesets_api.py` checks requests, and
`changes.py` makes the list of changes. `model.py` has a diagram of the two statuses.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.cloudformation.changes import Change, CurrentStack, DesiredStack, changes
from localcloud.cloudformation.dynamic_references import with_stored
from localcloud.cloudformation.engine import StackEngine
from localcloud.cloudformation.evaluation import values
from localcloud.cloudformation.intrinsics import Imported
from localcloud.cloudformation.model import ChangeSet, Stack, StackResource
from localcloud.cloudformation.request_validation import check_updatable, invalid, is_same
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.template import TemplateError, parse
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.cloudformation")

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
_STEP_CLOCK_SECONDS = 1.0


class ChangeSets:
    """The change sets of all stacks."""

    def __init__(
        self, context: ServiceContext, stacks: Collection[Stack], engine: StackEngine
    ) -> None:
        self._context = context
        self._stacks = stacks
        self._engine = engine
        self._records = Collection(context.database, "cloudformation-change-set", ChangeSet)

    def resume(self) -> None:
        """Continue the creations that a restart interrupted."""
        for found in self._records.values():
            if found.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                self._context.spawn(f"change set {found.name}", self._make(found))

    def after(self, stack: Stack) -> Callable[[], None] | None:
        """Return what follows the stack's operation, if that executes a change set."""
        for found in self.of(stack):
            if found.execution_status == "EXECUTE_IN_PROGRESS":
                return partial(self._executed, found, stack)
        return None

    def of(self, stack: Stack) -> list[ChangeSet]:
        """Return a stack's change sets, including those that were executed."""
        return [found for found in self._records.values() if found.stack_id == stack.id]

    def pending(self, stack: Stack) -> list[ChangeSet]:
        """Return a stack's change sets that were not executed."""
        return [found for found in self.of(stack) if not found.is_executed]

    def find(self, scope: Scope, stack: Stack | None, name: str) -> ChangeSet:
        """Return a change set by its ARN, or by its name on a stack.

        Raises:
            AwsError: ChangeSetNotFound.
        """
        found = self.get(scope, stack, name)
        if found is None:
            raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)
        return found

    def get(self, scope: Scope, stack: Stack | None, name: str) -> ChangeSet | None:
        """Return a change set by its ARN, or by its name on a stack, or None."""
        if stack is None:
            here = name.startswith(scope.arn("cloudformation", "changeSet/"))
            return self._records.get(name) if here else None
        return next((found for found in self.of(stack) if found.name == name), None)

    def create(self, change_set: ChangeSet) -> None:
        """Begin to create a change set; it replaces an executed one of the same name."""
        for old in self._records.values():
            if (old.stack_id, old.name) == (change_set.stack_id, change_set.name):
                self._records.delete(old.id)
        self._put(change_set)
        self._context.spawn(f"change set {change_set.name}", self._make(change_set))

    def execute(
        self, change_set: ChangeSet, *, disable_rollback: bool, request_token: str | None
    ) -> None:
        """Begin to execute a change set; the stack's other change sets are deleted.

        Raises:
            AwsError: InvalidChangeSetStatus, or the stack's status forbids it.
        """
        if change_set.status != "CREATE_COMPLETE":
            raise _wrong_status(change_set, "executed", "status", change_set.status)
        if change_set.execution_status != "AVAILABLE":
            what = "execution status"
            raise _wrong_status(change_set, "executed", what, change_set.execution_status)
        stack = self._stack(change_set)
        if change_set.type == "UPDATE":
            check_updatable(stack)
            if disable_rollback:
                raise invalid(
                    "The local cloud always rolls a failed update back; DisableRollback requires a "
                    "change set of the type CREATE."
                )
        change_set.execution_status = "EXECUTE_IN_PROGRESS"
        self._put(change_set)
        for other in self.of(stack):
            if other is not change_set:
                self._records.delete(other.id)
        stack.tags, stack.capabilities = change_set.tags, change_set.capabilities
        stack.role_arn = change_set.role_arn or stack.role_arn
        stack.change_set_id = change_set.id
        stack.rollback = stack.rollback if change_set.rollback is None else change_set.rollback
        stack.request_token = request_token
        stack.notification_arns = change_set.notification_arns or stack.notification_arns
        then = partial(self._executed, change_set, stack)
        if change_set.type == "UPDATE":
            self._engine.update(stack, change_set.template_body, change_set, then)
            return
        stack.template_body, stack.parameters = change_set.template_body, change_set.parameters
        stack.stored, stack.references = change_set.stored, change_set.references
        stack.updated = self._context.clock.now()
        stack.description = parse(stack.template_body).document.get("Description")
        stack.disable_rollback = disable_rollback or change_set.on_stack_failure == "DO_NOTHING"
        self._engine.create(stack, then)

    def delete(self, change_set: ChangeSet) -> None:
        """Delete a change set; the stack stays, even in REVIEW_IN_PROGRESS.

        Raises:
            AwsError: InvalidChangeSetStatus, while it is being created or executed.
        """
        if change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            raise _wrong_status(change_set, "deleted", "status", change_set.status)
        if change_set.execution_status == "EXECUTE_IN_PROGRESS":
            what = "execution status"
            raise _wrong_status(change_set, "deleted", what, change_set.execution_status)
        self._records.delete(change_set.id)

    def make_obsolete(self, stack: Stack) -> None:
        """Make the change sets obsolete that were created before the stack changed."""
        for found in self.pending(stack):
            found.execution_status = "OBSOLETE"
            self._put(found)

    def forget(self, stack: Stack) -> None:
        """Delete the change sets of a stack that is being deleted, but for the one it is of."""
        for found in self.pending(stack):
            self._records.delete(found.id)

    async def _make(self, change_set: ChangeSet) -> None:
        await self._context.clock.sleep(_STEP_CLOCK_SECONDS)
        if change_set.id not in self._records:
            return
        change_set.status = "CREATE_IN_PROGRESS"
        self._put(change_set)
        await self._context.clock.sleep(_STEP_CLOCK_SECONDS)
        if change_set.id not in self._records:
            return
        try:
            self._complete(change_set, self._stack(change_set))
        except TemplateError as error:
            self._fail(change_set, str(error))
        except Exception:
            log.exception("change set %s", change_set.name)
            self._fail(change_set, "Internal Failure")

    def _complete(self, change_set: ChangeSet, stack: Stack) -> None:
        imported = self._engine.imported(stack, set())
        change_set.changes = _changes(stack, change_set, imported)
        asked = (change_set.template_body, change_set, change_set.tags)
        if change_set.type == "UPDATE" and is_same(stack, *asked):
            self._fail(change_set, NO_CHANGES)
            return
        change_set.status = "CREATE_COMPLETE"
        if change_set.execution_status == "UNAVAILABLE":
            change_set.execution_status = "AVAILABLE"
        self._put(change_set)

    def _fail(self, change_set: ChangeSet, reason: str) -> None:
        change_set.status, change_set.status_reason = "FAILED", reason
        change_set.execution_status = "UNAVAILABLE"
        self._put(change_set)

    def _executed(self, change_set: ChangeSet, stack: Stack) -> None:
        done = stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        change_set.execution_status = "EXECUTE_COMPLETE" if done else "EXECUTE_FAILED"
        self._put(change_set)
        if not done and change_set.on_stack_failure == "DELETE":
            self.forget(stack)
            self._engine.delete(stack)

    def _stack(self, change_set: ChangeSet) -> Stack:
        stack = self._stacks.get(change_set.stack_id)
        if stack is None:  # the stack was deleted first
            raise LookupError(change_set.stack_id)
        return stack

    def _put(self, change_set: ChangeSet) -> None:
        self._records.put(change_set.id, change_set)


def _changes(stack: Stack, change_set: ChangeSet, imported: Imported) -> list[Change]:
    template = parse(change_set.template_body)
    parameters = change_set.parameters | change_set.stored
    deployed = CurrentStack()
    if change_set.type == "UPDATE":
        current = stack.parameters | stack.stored
        resources = {name: _as_it_is(stack, r) for name, r in stack.resources.items()}
        deployed = CurrentStack(parse(stack.template_body), current, resources)
    known = values(stack, template, parameters)
    wanted = DesiredStack(template, parameters, known, imported, partial(_adapted, change_set))
    return changes(deployed, wanted, _recreates)


def _as_it_is(stack: Stack, resource: StackResource) -> StackResource:
    """Return a resource with the tags of the stack and the values of dynamic references."""
    properties = with_stored(resource.properties, stack.references)
    handler = HANDLERS.get(resource.type)
    if handler is not None:
        properties = handler.tagged(properties, stack.applied_tags)
    return replace(resource, properties=properties)


def _adapted(change_set: ChangeSet, resource_type: str, name: str, value: Any) -> Any:
    value = with_stored(value, change_set.references)
    handler = HANDLERS.get(resource_type)
    if name != "Tags" or handler is None:
        return value
    found = handler.tagged({} if value is None else {name: value}, change_set.tags)
    return found.get(name)


def _recreates(resource_type: str, name: str) -> bool:
    handler = HANDLERS.get(resource_type)
    return handler is None or handler.replaced_by(name)


def _wrong_status(change_set: ChangeSet, what: str, of: str, status: str) -> AwsError:
    return AwsError(
        "InvalidChangeSetStatus",
        f"ChangeSet [{change_set.id}] cannot be {what} in its current {of} of [{status}]",
    )
