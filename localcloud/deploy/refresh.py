"""Brings the state of a stack up to date with AWS: what a hand changed or deleted.

This module reads resources and changes the state in memory. It must change no resource, and it
saves nothing: `preview --refresh` throws the state away.

Source: https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.deploy.difference import differences
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.plan import ChangeType, Listener, ResourceChange
from localcloud.deploy.state import ResourceState, StackState
from localcloud.deploy.types import Aws, ResourceType


def refresh(
    types: Mapping[str, ResourceType], stack: StackState, aws: Aws, listener: Listener
) -> dict[ChangeType, int]:
    """Set each resource of a state to what AWS has, and remove those that are gone.

    Args:
        types: all resource types.
        stack: the state, which is changed.
        aws: the clients.
        listener: called for each resource: UPDATE if AWS has other values, DELETE if it is gone.

    Returns:
        The number of resources for each type of change.

    Raises:
        ResourceError: a resource could not be read; the state is half refreshed.
    """
    counted: dict[ChangeType, int] = {}
    for resource in list(stack.resources):
        try:
            change = _refresh(types[resource.type], stack, resource, aws)
        except Exception as error:
            raise ResourceError(
                f"{resource.type} '{resource.name}' could not be read: {error}"
            ) from error
        counted[change.change] = counted.get(change.change, 0) + 1
        listener(change)
    return counted


def _refresh(
    kind: ResourceType, stack: StackState, resource: ResourceState, aws: Aws
) -> ResourceChange:
    of = (resource.urn, resource.type, resource.name, resource.id)
    found = kind.read(aws, resource.id, resource.inputs, resource.outputs)
    if found is None:
        stack.resources.remove(resource)
        return ResourceChange(ChangeType.DELETE, *of)
    before = resource.inputs
    resource.inputs, resource.outputs = found
    changed = differences(before, resource.inputs, frozenset(resource.secrets))
    return ResourceChange(ChangeType.UPDATE if changed else ChangeType.SAME, *of, changed)
