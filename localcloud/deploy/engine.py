"""One deployment: what happens to each resource as the program registers it, and at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from localcloud.deploy.archives import described
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.state import ResourceState, StackState, StateStore
from localcloud.deploy.types import TYPES, Aws, ResourceType


class Change(StrEnum):
    """What was done to a resource."""

    SAME = "unchanged"
    CREATE = "created"
    UPDATE = "updated"
    REPLACE = "replaced"
    DELETE = "deleted"


# (change, Pulumi type, name, id): a resource is done.
Listener = Callable[[Change, str, str, str], None]


@dataclass(slots=True)
class Deployment:
    """The deployment of one stack.

    Attributes:
        changes: how many resources each change was done to.
    """

    aws: Aws
    store: StateStore
    stack: StackState
    listener: Listener
    changes: dict[Change, int] = field(default_factory=dict)
    error: ResourceError | None = None
    _seen: dict[str, None] = field(default_factory=dict)  # URNs in the order of registration
    _replaced: list[ResourceState] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(
        self, urn: str, type_: str, name: str, inputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Bring one resource to its inputs; return its id and outputs.

        Raises:
            ResourceError: it could not be done; what was made before is in the state.
        """
        with self._lock:
            if self.error is not None:
                raise self.error
            try:
                return self._register(urn, type_, name, inputs)
            except Exception as error:
                self.error = ResourceError(f"{type_} '{name}': {error}")
                raise self.error from error

    def _register(
        self, urn: str, type_: str, name: str, inputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        self._seen[urn] = None
        kind = TYPES.get(type_)
        if kind is None:
            raise ResourceError(
                "the local cloud cannot make this type; it can make: "
                + ", ".join(sorted(t.rpartition(":")[2] for t in TYPES))
            )
        refused = kind.refused(inputs)
        if refused:
            raise ResourceError(
                f"the local cloud cannot honour the input {', '.join(refused)}; it knows: "
                + ", ".join(sorted(kind.takes))
            )
        wanted = described(inputs)
        before = self.stack.find(urn)
        if before is not None and before.inputs == wanted:
            self._done(Change.SAME, before)
            return before.id, before.outputs
        if before is None:
            change = Change.CREATE
            id_, outputs = kind.create(self.aws, inputs)
        elif kind.update is None or _replaces(kind, before.inputs, wanted):
            change = Change.REPLACE
            id_, outputs = kind.create(self.aws, inputs)
            if id_ != before.id:  # an idempotent create answered the same one: nothing is left over
                self._replaced.append(before)
        else:
            change = Change.UPDATE
            id_, outputs = before.id, kind.update(self.aws, before.id, inputs, before.outputs)
        after = ResourceState(urn, type_, name, id_, wanted, described(outputs))
        if before is not None:
            self.stack.resources[self.stack.resources.index(before)] = after
        else:
            self.stack.resources.append(after)
        self.store.save(self.stack)
        self._done(change, after)
        return id_, outputs

    def finish(self, outputs: dict[str, Any]) -> None:
        """Delete what the program no longer has, and keep the outputs.

        Raises:
            ResourceError: a resource could not be deleted.
        """
        for resource in reversed(self._replaced):
            self._delete(resource)
        for resource in reversed(list(self.stack.resources)):
            if resource.urn not in self._seen:
                self._delete(resource)
                self.stack.resources.remove(resource)
                self.store.save(self.stack)
        # The program's order: a resource is deleted before what it depends on.
        order = {urn: index for index, urn in enumerate(self._seen)}
        self.stack.resources.sort(key=lambda resource: order[resource.urn])
        self.stack.outputs = outputs
        self.store.save(self.stack)

    def destroy(self) -> None:
        """Delete every resource, the last made first, and forget the stack.

        Raises:
            ResourceError: a resource could not be deleted; the rest stays in the state.
        """
        for resource in reversed(list(self.stack.resources)):
            self._delete(resource)
            self.stack.resources.remove(resource)
            self.store.save(self.stack)
        self.store.delete(self.stack.name)

    def _delete(self, resource: ResourceState) -> None:
        try:
            TYPES[resource.type].delete(self.aws, resource.id, resource.outputs)
        except Exception as error:
            if not _is_gone(error):
                raise ResourceError(f"{resource.type} '{resource.name}': {error}") from error
        self._done(Change.DELETE, resource)

    def _done(self, change: Change, resource: ResourceState) -> None:
        self.changes[change] = self.changes.get(change, 0) + 1
        self.listener(change, resource.type, resource.name, resource.id)


def _replaces(kind: ResourceType, before: dict[str, Any], after: dict[str, Any]) -> bool:
    return any(before.get(key) != after.get(key) for key in kind.replaced_by)


def _is_gone(error: Exception) -> bool:
    text = str(error)
    return any(word in text for word in ("NoSuch", "NotFound", "does not exist"))
