"""How a deployment's decisions are carried out: on the cloud, or (for a preview) not at all.

It owns the calls and nothing of the decision, which is `plan`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from localcloud.deploy.difference import UNKNOWN
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.state import ResourceState, StackState, StateStore
from localcloud.deploy.types import Aws, Inputs, Outputs, ResourceType


class Effects(Protocol):
    """What a deployment does to the world; `dry` when that is nothing."""

    @property
    def dry(self) -> bool:
        """Return whether nothing is done."""
        ...

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Make a resource; return its id and outputs."""
        ...

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Change a resource in place; return its outputs."""
        ...

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """End a resource; one that is already gone is no error."""
        ...

    def save(self, stack: StackState) -> None:
        """Keep the state."""
        ...

    def forget(self, stack: StackState) -> None:
        """Keep the state no longer: every resource is gone."""
        ...


@dataclass(frozen=True, slots=True)
class CloudEffects:
    """Does it, by AWS's API, and keeps the state after each resource."""

    aws: Aws
    store: StateStore
    dry: bool = False

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Make a resource."""
        return kind.create(self.aws, inputs)

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Change a resource in place."""
        if kind.update is None:
            raise ResourceError("this type cannot be changed in place")
        return kind.update(self.aws, before.id, inputs, before.outputs)

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """End a resource."""
        try:
            kind.delete(self.aws, resource.id, resource.outputs)
        except Exception as error:
            if not _is_gone(error):
                raise

    def save(self, stack: StackState) -> None:
        """Keep the state."""
        self.store.save(stack)

    def forget(self, stack: StackState) -> None:
        """Keep the state no longer."""
        self.store.delete(stack.name)


class NoEffects:
    """Does nothing, and answers what is known beforehand."""

    dry = True

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Answer the inputs; what AWS would compute is not known."""
        id_ = kind.key(inputs) if kind.key is not None else ""
        known = {key: value for key, value in inputs.items() if value != UNKNOWN}
        return "" if UNKNOWN in id_ else id_, known

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Answer the new inputs and what AWS had computed, except for what it computes anew."""
        computed = {key: v for key, v in before.outputs.items() if key not in before.inputs}
        return {**computed, **inputs, **dict.fromkeys(kind.volatile, UNKNOWN)}

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """Do nothing."""

    def save(self, stack: StackState) -> None:
        """Do nothing."""

    def forget(self, stack: StackState) -> None:
        """Do nothing."""


def _is_gone(error: Exception) -> bool:
    text = str(error)
    return any(word in text for word in ("NoSuch", "NotFound", "does not exist"))
