"""What a deployment does to one resource. Pure: `up` carries it out, `preview` shows it.

It owns the decision and the differences it rests on. It must not call AWS or keep anything: both
commands decide here, on the same state and the same registration, so that they cannot disagree.

    before the run     registered now                       change
    ---------------    ---------------------------------    --------------------------------------
    not there          yes                                  CREATE
    there              the same inputs                      SAME
    there              other inputs                         UPDATE, in place
    there              an input that cannot be changed      REPLACE: the new one first, unless both
                                                            would have the same name
    there              no                                   DELETE, or RETAIN: forgotten only

Source: https://www.pulumi.com/docs/iac/concepts/options/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from localcloud.deploy.difference import Difference, differences
from localcloud.deploy.paths import holds, put_back
from localcloud.deploy.state import Options, ResourceState, StackState
from localcloud.deploy.types import Inputs, ResourceType


class Change(StrEnum):
    """What is done to a resource."""

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
        inputs: with assets; `UNKNOWN` where the value comes from a resource not made yet.
        secrets: inputs that must not be shown.
        dependencies: of each input, the URNs its value comes from.
        depends_on: every URN that comes first, those of the inputs and those that are only said.
    """

    urn: str
    type: str
    name: str
    inputs: Inputs
    options: Options = field(default_factory=Options)
    secrets: frozenset[str] = frozenset()
    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    depends_on: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One resource's change, as it is told to whoever listens."""

    change: Change
    urn: str
    type: str
    name: str
    id: str
    differences: tuple[Difference, ...] = ()


# A step is done, or (in a preview) would be.
Listener = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about a registration.

    Attributes:
        described: the inputs to keep: assets as digests, ignored ones as they were.
        deletes_first: the old resource and what depends on it, in this order, when the new one
            would have the same name.
    """

    change: Change
    described: Inputs
    differences: tuple[Difference, ...] = ()
    deletes_first: tuple[ResourceState, ...] = ()


def plan(
    types: Mapping[str, ResourceType],
    stack: StackState,
    registration: Registration,
    described: Inputs,
    replaced: frozenset[str] = frozenset(),
) -> Plan:
    """Return what to do about a registration.

    Args:
        types: every type there is.
        stack: the state so far.
        registration: what the program wants.
        described: its inputs with assets as digests.
        replaced: URNs that this run has deleted because something they depend on is replaced.
    """
    kind, before = types[registration.type], stack.find(registration.urn)
    if before is None:
        change = Change.REPLACE if registration.urn in replaced else Change.CREATE
        return Plan(change, described)
    wanted = put_back(described, before.inputs, registration.options.ignore_changes)
    hidden = registration.secrets | frozenset(before.secrets)
    found = differences(before.inputs, wanted, hidden)
    if not found:
        return Plan(Change.SAME, wanted)
    if not _replaces(kind, before, wanted, registration.options):
        return Plan(Change.UPDATE, wanted, found)
    if not (registration.options.delete_before_replace or _same_name(kind, before, wanted)):
        return Plan(Change.REPLACE, wanted, found)
    first = (*dependants(types, stack, before.urn), before)
    return Plan(Change.REPLACE, wanted, found, first)


def _replaces(kind: ResourceType, before: ResourceState, wanted: Inputs, options: Options) -> bool:
    if kind.update is None:
        return True
    return any(
        holds(before.inputs, path) != holds(wanted, path)
        for path in (*kind.replaced_by, *options.replace_on_changes)
    )


def _same_name(kind: ResourceType, before: ResourceState, wanted: Inputs) -> bool:
    """Return whether AWS would refuse the new resource because the old one has its name."""
    return bool(kind.named_by) and all(
        before.inputs.get(name) == wanted.get(name) for name in kind.named_by
    )


def clash(kind: ResourceType, stack: StackState, type_: str, wanted: Inputs) -> list[ResourceState]:
    """Return resources that wait for their deletion and have the name of one to be created."""
    return [r for r in stack.replaced if r.type == type_ and _same_name(kind, r, wanted)]


def dependants(
    types: Mapping[str, ResourceType], stack: StackState, urn: str
) -> list[ResourceState]:
    """Return the resources that cannot outlive one that is deleted before its successor is made.

    They are those that a new value of it would replace, and theirs in turn; last made first.
    """
    gone, found = {urn}, []
    for resource in stack.resources:
        kind = types.get(resource.type)
        if kind is None:
            continue
        for name, sources in resource.dependencies.items():
            if gone & set(sources) and (kind.update is None or name in kind.replaced_by):
                gone.add(resource.urn)
                found.append(resource)
                break
    return found[::-1]


def deletion_order(resources: Sequence[ResourceState]) -> list[ResourceState]:
    """Return resources so that each goes before what it depends on; else in the order given."""
    left, ordered = list(resources), []
    while left:
        needed = {urn for r in left for urn in r.depends_on}
        free = next((r for r in left if r.urn not in needed), left[0])
        left.remove(free)
        ordered.append(free)
    return ordered
