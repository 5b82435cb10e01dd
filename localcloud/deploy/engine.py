"""Runs one deployment: each resource as the program registers it, then the deletions.

The engine owns the order of changes and the state. `plan` decides what happens to a resource, and
`effects` carries it out; a preview is the same deployment with effects that change nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from localcloud.deploy.archives import is_asset, with_digests
from localcloud.deploy.effects import Effects
from localcloud.deploy.errors import DeployError, IncompleteError, ProtectedError, ResourceError
from localcloud.deploy.plan import (
    ChangeType,
    Listener,
    Plan,
    Registration,
    ResourceChange,
    deletion_order,
    name_conflicts,
    plan,
)
from localcloud.deploy.state import Options, ResourceState, StackState
from localcloud.deploy.types import TYPES, Inputs, Outputs, ResourceType


@dataclass(slots=True)
class Deployment:
    """The deployment of one stack.

    Attributes:
        changes: the number of resources for each type of change.
        error: the error that stopped the deployment; None while it can continue.
    """

    effects: Effects
    stack: StackState
    listener: Listener
    changes: dict[ChangeType, int] = field(default_factory=dict)
    error: DeployError | None = None
    _registered: dict[str, None] = field(default_factory=dict)  # URNs in the order of registration
    _replaced: set[str] = field(default_factory=set)  # URNs deleted in this run, to be recreated
    _protected: list[ResourceState] = field(
        default_factory=list
    )  # resources that would be replaced
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, registration: Registration) -> tuple[str, Outputs]:
        """Create, update or replace one resource; return its id and outputs.

        Raises:
            DeployError: the change failed; resources created before it are in the state.
        """
        with self._lock:
            if self.error is not None:
                raise self.error
            try:
                return self._register(registration)
            except ProtectedError as error:
                self.error = error
                raise
            except Exception as error:
                self.error = ResourceError(f"{registration.type} '{registration.name}': {error}")
                raise self.error from error

    def _register(self, new: Registration) -> tuple[str, Outputs]:
        self._registered[new.urn] = None
        kind = _kind(new)
        self._rename(new)
        before = self.stack.find(new.urn)
        todo = plan(TYPES, self.stack, new, with_digests(new.inputs), frozenset(self._replaced))
        if before is not None and todo.change is ChangeType.SAME:
            return self._keep_unchanged(before, new)
        inputs, failure = _effective(new, todo), None
        if before is None:
            id_, outputs, failure = self._create(kind, new, todo, inputs)
        elif todo.change is ChangeType.UPDATE:
            id_, outputs = before.id, self.effects.update(kind, before, inputs)
        else:
            protected = _protected([*todo.deletes_first] or [before])
            if protected and self.effects.dry:
                self._protected += protected  # continue, so that `finish` can name all
                return before.id, before.outputs
            _refuse(protected)
            for resource in todo.deletes_first:
                self._delete(resource)
                self.stack.resources.remove(resource)
                self._replaced.add(resource.urn)
                self.effects.save(self.stack)
            id_, outputs, failure = self._create(kind, new, todo, inputs)
            # An idempotent create may return the same resource; then there is nothing to delete.
            if not todo.deletes_first and id_ != before.id:
                self.stack.replaced.append(before)
        after = ResourceState(
            new.urn,
            new.type,
            new.name,
            id_,
            # An incomplete resource has only its name, so that the next run updates the rest.
            todo.inputs if failure is None else _identity(kind, todo.inputs),
            with_digests(outputs),
            new.options,
            sorted(new.secrets),
            {name: list(urns) for name, urns in new.dependencies.items()},
            list(new.depends_on),
        )
        if before in self.stack.resources:
            self.stack.resources[self.stack.resources.index(before)] = after
        else:
            self.stack.resources.append(after)
        self.effects.save(self.stack)
        if failure is not None:
            raise failure
        self._report(todo.change, after, todo)
        return id_, outputs

    def _rename(self, new: Registration) -> None:
        """Give a resource that the state has under an alias its new URN.

        Source: https://www.pulumi.com/docs/iac/concepts/options/aliases/
        """
        if new.aliases and self.stack.find(new.urn) is None:
            found = next(filter(None, map(self.stack.find, new.aliases)), None)
            if found is not None and found.urn not in self._registered:
                found.urn, found.type, found.name = new.urn, new.type, new.name
                self.effects.save(self.stack)

    def _create(
        self, kind: ResourceType, new: Registration, todo: Plan, inputs: Inputs
    ) -> tuple[str, Outputs, IncompleteError | None]:
        for resource in name_conflicts(kind, self.stack, new.type, todo.inputs):
            self._delete(resource)
            self.stack.replaced.remove(resource)
        try:
            return *self.effects.create(kind, inputs), None
        except IncompleteError as error:
            return error.id, error.outputs, error

    def _keep_unchanged(self, before: ResourceState, new: Registration) -> tuple[str, Outputs]:
        kept = (before.options, before.dependencies, before.depends_on)
        before.options = new.options
        before.dependencies = {name: list(urns) for name, urns in new.dependencies.items()}
        before.depends_on = list(new.depends_on)
        if kept != (before.options, before.dependencies, before.depends_on):
            self.effects.save(self.stack)
        self._report(ChangeType.SAME, before)
        return before.id, before.outputs

    def finish(self, outputs: Outputs, secrets: Sequence[str] = ()) -> None:
        """Delete the resources that the program no longer registers, and save the outputs.

        Args:
            outputs: the stack's outputs.
            secrets: the names of those that must not be shown.

        Raises:
            ProtectedError: a resource to delete is protected; nothing was deleted.
            ResourceError: a resource could not be deleted; it stays in the state.
        """
        gone = [r for r in reversed(self.stack.resources) if r.urn not in self._registered]
        _refuse([*self._protected, *_protected(gone)])
        self._delete_all(gone)
        # The program's order, so that `destroy` deletes a resource before its dependencies.
        order = {urn: index for index, urn in enumerate(self._registered)}
        self.stack.resources.sort(key=lambda resource: order[resource.urn])
        self.stack.outputs, self.stack.secret_outputs = outputs, sorted(secrets)
        self.effects.save(self.stack)

    def destroy(self) -> None:
        """Delete every resource, the last created first, and then the stack's state.

        Raises:
            ProtectedError: a resource is protected; nothing was deleted.
            ResourceError: a resource could not be deleted; it and the rest stay in the state.
        """
        self.refuse_protected()
        self._delete_all(self.stack.resources[::-1])
        self.effects.forget(self.stack)

    def refuse_protected(self) -> None:
        """Raise an error that names every protected resource, if there is one.

        Raises:
            ProtectedError: a resource is protected.
        """
        _refuse(_protected(self.stack.resources))

    def unprotect(self) -> None:
        """Remove the protection of every resource, as `pulumi state unprotect --all` does."""
        for resource in self.stack.resources:
            kept = resource.options
            resource.options = Options(
                False,
                kept.retain_on_delete,
                kept.delete_before_replace,
                kept.ignore_changes,
                kept.replace_on_changes,
            )
        self.effects.save(self.stack)

    def _delete_all(self, gone: list[ResourceState]) -> None:
        """Delete these resources and all replaced ones, each before its dependencies."""
        doomed = {(resource.type, resource.id) for resource in gone}
        alive = {(r.type, r.id) for r in self.stack.resources} - doomed
        for resource in deletion_order([*self.stack.replaced[::-1], *gone]):
            waiting = self.stack.replaced if resource in self.stack.replaced else None
            if waiting is None or (resource.type, resource.id) not in alive | doomed:
                self._delete(resource)
            (self.stack.resources if waiting is None else waiting).remove(resource)
            self.effects.save(self.stack)

    def _delete(self, resource: ResourceState) -> None:
        if resource.options.retain_on_delete:
            self._report(ChangeType.RETAIN, resource)
            return
        try:
            self.effects.delete(TYPES[resource.type], resource)
        except Exception as error:
            raise ResourceError(f"{resource.type} '{resource.name}': {error}") from error
        self._report(ChangeType.DELETE, resource)

    def _report(
        self, change: ChangeType, resource: ResourceState, todo: Plan | None = None
    ) -> None:
        self.changes[change] = self.changes.get(change, 0) + 1
        found = todo.differences if todo is not None else ()
        self.listener(
            ResourceChange(change, resource.urn, resource.type, resource.name, resource.id, found)
        )


def _kind(new: Registration) -> ResourceType:
    kind = TYPES.get(new.type)
    if kind is None:
        raise ResourceError(
            "localcloud does not support this type; it supports: "
            + ", ".join(sorted(t.rpartition(":")[2] for t in TYPES))
        )
    refused = kind.refused(new.inputs)
    if refused:
        raise ResourceError(
            f"localcloud does not support the input {', '.join(refused)}; it supports: "
            + ", ".join(sorted(kind.accepts))
        )
    unnamed = kind.unnamed(new.inputs)
    if unnamed:
        raise ResourceError(
            f"the input {', '.join(unnamed)} is missing: localcloud generates no names, and a "
            "resource needs one; `pulumi up` generates them"
        )
    return kind


def _identity(kind: ResourceType, inputs: Inputs) -> Inputs:
    """Return the inputs that make the resource another one."""
    names = kind.name_inputs | kind.replace_on
    return {key: value for key, value in inputs.items() if key in names}


def _effective(new: Registration, todo: Plan) -> Inputs:
    """Return the inputs for the API call: the planned ones, with assets instead of digests."""
    inputs = {}
    for key, value in todo.inputs.items():
        wanted = new.inputs.get(key)
        if is_asset(wanted) and with_digests(wanted) != value:
            raise ResourceError(
                f"ignore_changes of {key} is not supported: the old file is not in the state"
            )
        inputs[key] = wanted if is_asset(wanted) else value
    return inputs


def _protected(resources: list[ResourceState]) -> list[ResourceState]:
    return [resource for resource in resources if resource.options.protect]


def _refuse(protected: list[ResourceState]) -> None:
    if protected:
        named = ", ".join(f"{r.type.rpartition(':')[2]} '{r.name}' ({r.id})" for r in protected)
        raise ProtectedError(f"protected resources cannot be deleted or replaced: {named}")
