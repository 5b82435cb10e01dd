"""Carries out the decisions of a deployment on the cloud, or in a preview not at all.

This module makes the calls; `plan` makes the decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from localcloud.deploy.difference import UNKNOWN
from localcloud.deploy.errors import ResourceError, is_gone
from localcloud.deploy.state import ResourceState, StackState, StateStore
from localcloud.deploy.types import Aws, Inputs, Outputs, ResourceType


class Effects(Protocol):
    """The effects of a deployment on the cloud and on the saved state."""

    @property
    def dry(self) -> bool:
        """Return whether this is a preview, which changes nothing."""
        ...

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Create a resource; return its id and outputs."""
        ...

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Change a resource in place; return its outputs."""
        ...

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """Delete a resource; do nothing if it no longer exists."""
        ...

    def save(self, stack: StackState) -> None:
        """Save the state."""
        ...

    def forget(self, stack: StackState) -> None:
        """Delete the state, when no resource is left."""
        ...


@dataclass(frozen=True, slots=True)
class CloudEffects:
    """Calls the AWS API, and saves the state after each resource."""

    aws: Aws
    store: StateStore
    dry: bool = False

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Create a resource."""
        return kind.create(self.aws, inputs)

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Change a resource in place."""
        if kind.update is None:
            raise ResourceError("this type cannot be updated in place")
        return kind.update(self.aws, before.id, inputs, before.outputs)

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """Delete a resource."""
        try:
            kind.delete(self.aws, resource.id, resource.outputs)
        except Exception as error:
            if not is_gone(error):
                raise

    def save(self, stack: StackState) -> None:
        """Save the state."""
        self.store.save(stack)

    def forget(self, stack: StackState) -> None:
        """Delete the state."""
        self.store.delete(stack)


class NoEffects:
    """Changes nothing, and returns the values that are known in advance."""

    dry = True

    def create(self, kind: ResourceType, inputs: Inputs) -> tuple[str, Outputs]:
        """Return the known inputs; values that AWS would compute are unknown."""
        id_ = kind.key(inputs) if kind.key is not None else ""
        known = {key: value for key, value in inputs.items() if value != UNKNOWN}
        return "" if UNKNOWN in id_ else id_, known

    def update(self, kind: ResourceType, before: ResourceState, inputs: Inputs) -> Outputs:
        """Return the new inputs and the computed outputs that an update does not change."""
        computed = {key: v for key, v in before.outputs.items() if key not in before.inputs}
        return {**computed, **inputs, **dict.fromkeys(kind.volatile, UNKNOWN)}

    def delete(self, kind: ResourceType, resource: ResourceState) -> None:
        """Do nothing."""

    def save(self, stack: StackState) -> None:
        """Do nothing."""

    def forget(self, stack: StackState) -> None:
        """Do nothing."""
