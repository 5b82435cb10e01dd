"""Decides what a deployment does to one resource. Pure: `up` executes it, `preview` shows it.

This module makes the decision and lists the differences behind it. It must not call AWS or save
anything: both commands decide here, from the same state and the same registration, so they cannot
disagree.

    in the state    registered by the program           change
    ------------    --------------------------------    -------------------------------------------
    no              yes                                 CREATE
    yes             with the same inputs                SAME
    yes             with other inputs                   UPDATE, in place
    yes             with another immutable input        REPLACE: create the new one first, unless
                                                        both would have the same name
    yes             no                                  DELETE, or RETAIN: removed from the state
                                                        only

Source: https://www.pulumi.com/docs/iac/concepts/options/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from localcloud.deploy.difference import Difference, differences
from localcloud.deploy.paths import restore, value_at
from localcloud.deploy.state import Options, ResourceState, StackState
from localcloud.deploy.types import Inputs, ResourceType


class ChangeType(StrEnum):
    """The change that a deployment makes to a resource."""

    SAME = "unchanged"
    CREATE = "created"
    UPDATE = "updated"
    REPLACE = "replaced"
    DELETE = "deleted"
    RETAIN = "retained"


@dataclass(frozen=True, slots=True)
class Registration:
    """A resource as the program registers it.

    Attributes:
        inputs: the inputs, with assets; `UNKNOWN` where the value comes from a resource that does
            not exist yet.
        secrets: names of the inputs that must not be shown.
        dependencies: for each input, the URNs from which its value comes.
        depends_on: every URN on which the resource depends, through an input or explicitly.
        aliases: earlier URNs of the resource.
    """

    urn: str
    type: str
    name: str
    inputs: Inputs
    options: Options = field(default_factory=Options)
    secrets: frozenset[str] = frozenset()
    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    depends_on: Sequence[str] = ()
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource's change, as reported to the listener."""

    change: ChangeType
    urn: str
    type: str
    name: str
    id: str
    differences: tuple[Difference, ...] = ()


# Called after each change, or in a preview with each change that would be made.
Listener = Callable[[ResourceChange], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision about a registration.

    Attributes:
        inputs: the inputs to save: assets as digests, and ignored inputs with their old values.
        deletes_first: the resources to delete before the new one is created, in this order:
            dependants, then the old resource. Empty unless both would have the same name or the
            program asks for `delete_before_replace`.
    """

    change: ChangeType
    inputs: Inputs
    differences: tuple[Difference, ...] = ()
    deletes_first: tuple[ResourceState, ...] = ()


def plan(
    types: Mapping[str, ResourceType],
    stack: StackState,
    registration: Registration,
    inputs: Inputs,
    replaced: frozenset[str] = frozenset(),
) -> Plan:
    """Decide what to do about a registration.

    Args:
        types: all resource types.
        stack: the current state.
        registration: the resource that the program registers.
        inputs: the inputs of the registration, with assets as digests.
        replaced: URNs that this run has deleted because a dependency is being replaced.
    """
    kind, before = types[registration.type], stack.find(registration.urn)
    if before is None:
        change = ChangeType.REPLACE if registration.urn in replaced else ChangeType.CREATE
        return Plan(change, inputs)
    wanted = restore(inputs, before.inputs, registration.options.ignore_changes)
    hidden = registration.secrets | frozenset(before.secrets)
    found = differences(before.inputs, wanted, hidden)
    if not found:
        return Plan(ChangeType.SAME, wanted)
    if not _replaces(kind, before, wanted, registration.options):
        return Plan(ChangeType.UPDATE, wanted, found)
    if not (registration.options.delete_before_replace or _same_name(kind, before, wanted)):
        return Plan(ChangeType.REPLACE, wanted, found)
    first = (*dependants(types, stack, before.urn), before)
    return Plan(ChangeType.REPLACE, wanted, found, first)


def _replaces(kind: ResourceType, before: ResourceState, wanted: Inputs, options: Options) -> bool:
    if kind.update is None:
        return True
    return any(
        value_at(before.inputs, path) != value_at(wanted, path)
        for path in (*kind.replace_on, *options.replace_on_changes)
    )


def _same_name(kind: ResourceType, before: ResourceState, wanted: Inputs) -> bool:
    """Return whether AWS would reject the new resource because the old one has its name."""
    return bool(kind.name_inputs) and all(
        before.inputs.get(name) == wanted.get(name) for name in kind.name_inputs
    )


def name_conflicts(
    kind: ResourceType, stack: StackState, type_: str, wanted: Inputs
) -> list[ResourceState]:
    """Return replaced, not yet deleted resources that have the name of one to be created."""
    return [r for r in stack.replaced if r.type == type_ and _same_name(kind, r, wanted)]


def dependants(
    types: Mapping[str, ResourceType], stack: StackState, urn: str
) -> list[ResourceState]:
    """Return the resources that must be deleted before the one with this URN is replaced.

    These are the resources that a new value of it would replace, and their dependants in turn. The
    last created comes first.
    """
    gone, found = {urn}, []
    for resource in stack.resources:
        kind = types.get(resource.type)
        if kind is None:
            continue
        for name, sources in resource.dependencies.items():
            if gone & set(sources) and (kind.update is None or name in kind.replace_on):
                gone.add(resource.urn)
                found.append(resource)
                break
    return found[::-1]


def deletion_order(resources: Sequence[ResourceState]) -> list[ResourceState]:
    """Return resources in an order in which each is deleted before its dependencies.

    Otherwise the given order is kept.
    """
    left, ordered = list(resources), []
    while left:
        needed = {urn for r in left for urn in r.depends_on}
        free = next((r for r in left if r.urn not in needed), left[0])
        left.remove(free)
        ordered.append(free)
    return ordered
