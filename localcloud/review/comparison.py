"""Compares two deployments of the program: costs, permissions, templates, violations. Pure.

A `Snapshot` is what a cloud has of one stack after `up`. Everything is compared by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.deploy.difference import differences
from localcloud.review.permissions import Grant, grants_of

Json = dict[str, Any]
_COST = "monthlyCostEstimate"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One stack as it is deployed.

    Attributes:
        stack: the stack's name.
        resources: as the state has them, with `type`, `name`, `urn` and `inputs`.
        outputs: the stack's outputs.
        template: the CloudFormation template that the pipeline deploys; empty if there is none.
        violations: what breaks the project's rules, each with `rule`, `urn` and `message`.
    """

    stack: str
    resources: Sequence[Mapping[str, Any]]
    outputs: Mapping[str, Any]
    template: Mapping[str, Any] = field(default_factory=dict)
    violations: Sequence[Mapping[str, str]] = ()


def costs(before: Iterable[Snapshot], after: Iterable[Snapshot]) -> Json:
    """Return the estimates of a month, item by item, and their sums.

    An item without a known price has None for a value, and the sums leave it out.
    """
    old, new = _items(before), _items(after)
    items = [
        {
            "stack": stack,
            "what": what,
            "before": old.get((stack, what), 0.0),
            "after": new.get((stack, what), 0.0),
        }
        for stack, what in [*new, *(key for key in old if key not in new)]
    ]
    estimates = [s.outputs.get(_COST) or {} for s in (*after, *before)]
    known = next((e for e in estimates if e), {})
    return {
        "currency": known.get("currency", "USD"),
        "priceDate": known.get("priceDate", ""),
        "before": _sum(old),
        "after": _sum(new),
        "items": [item for item in items if item["before"] != item["after"]],
    }


def _items(snapshots: Iterable[Snapshot]) -> dict[tuple[str, str], float | None]:
    found: dict[tuple[str, str], float | None] = {}
    for snapshot in snapshots:
        for item in (snapshot.outputs.get(_COST) or {}).get("items", []):
            monthly = item.get("monthly")
            # The quantity belongs to the name: another instance type is another item already.
            found[snapshot.stack, str(item.get("what"))] = (
                None if monthly is None else round(float(monthly), 2)
            )
    return found


def _sum(items: Mapping[Any, float | None]) -> float:
    return round(sum(value or 0 for value in items.values()), 2)


def permissions(before: Iterable[Snapshot], after: Iterable[Snapshot]) -> list[Json]:
    """Return what each role, and each policy of a resource, gains and loses."""
    old, new = _grants(before), _grants(after)
    found = []
    for key in sorted(old.keys() | new.keys()):
        stack, holder = key
        gained = new.get(key, frozenset()) - old.get(key, frozenset())
        lost = old.get(key, frozenset()) - new.get(key, frozenset())
        if gained or lost:
            state = "new" if key not in old else "gone" if key not in new else "changed"
            found.append(
                {
                    "stack": stack,
                    "holder": holder,
                    "is": state,
                    "gained": [_document(grant) for grant in sorted(gained)],
                    "lost": [_document(grant) for grant in sorted(lost)],
                }
            )
    return found


def _grants(snapshots: Iterable[Snapshot]) -> dict[tuple[str, str], frozenset[Grant]]:
    return {
        (snapshot.stack, holder): grants
        for snapshot in snapshots
        for holder, grants in grants_of(snapshot.resources).items()
    }


def _document(grant: Grant) -> Json:
    parts = {
        "effect": grant.effect,
        "action": grant.action,
        "resource": grant.resource,
        "principal": grant.principal,
        "condition": grant.condition,
    }
    return {name: value for name, value in parts.items() if value}


def templates(before: Iterable[Snapshot], after: Iterable[Snapshot]) -> list[Json]:
    """Return the differences of the templates that the pipeline deploys."""
    old = {snapshot.stack: snapshot.template for snapshot in before}
    found = []
    for snapshot in after:
        changed = differences(dict(old.get(snapshot.stack, {})), dict(snapshot.template))
        if changed:
            found.append(
                {
                    "stack": snapshot.stack,
                    "differences": [
                        {"path": d.path, "before": d.before, "after": d.after} for d in changed
                    ],
                }
            )
    return found


def undeployable(before: Iterable[Snapshot], after: Iterable[Snapshot]) -> list[Json]:
    """Return the changes of templates that SageMaker refuses: of the type of what scales.

    CloudFormation updates an endpoint before its scalable target, and SageMaker does not change
    the instance type of a variant that is registered as one.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-update.html
    """
    old = {snapshot.stack: snapshot.template for snapshot in before}
    found = []
    for snapshot in after:
        base = old.get(snapshot.stack, {})
        if not _resources_of(base, "AWS::ApplicationAutoScaling::ScalableTarget"):
            continue
        types = _instance_types(snapshot.template)
        found += [
            {"stack": snapshot.stack, "variant": variant, "before": type_, "after": types[variant]}
            for variant, type_ in _instance_types(base).items()
            if types.get(variant, type_) != type_
        ]
    return found


def _instance_types(template: Mapping[str, Any]) -> dict[str, str]:
    """Return the instance type of each variant of a template's endpoints."""
    return {
        str(variant.get("VariantName")): str(variant.get("InstanceType"))
        for properties in _resources_of(template, "AWS::SageMaker::EndpointConfig")
        for variant in properties.get("ProductionVariants", [])
    }


def _resources_of(template: Mapping[str, Any], type_: str) -> list[Mapping[str, Any]]:
    """Return the properties of a template's resources of a type."""
    resources = template.get("Resources", {}).values()
    return [r.get("Properties", {}) for r in resources if r.get("Type") == type_]


def violations(before: Iterable[Snapshot], after: Iterable[Snapshot]) -> list[Json]:
    """Return the violations of the project's rules in the head, and which of them are new."""
    old = {(s.stack, v["rule"], v["urn"], v["message"]) for s in before for v in s.violations}
    return [
        {
            "stack": snapshot.stack,
            "rule": found["rule"],
            "resource": found["urn"].rpartition("::")[2],
            "message": found["message"],
            "new": (snapshot.stack, found["rule"], found["urn"], found["message"]) not in old,
        }
        for snapshot in after
        for found in snapshot.violations
    ]


def compared(before: Sequence[Snapshot], after: Sequence[Snapshot], stacks: Sequence[Json]) -> Json:
    """Return the whole comparison.

    Args:
        before: the base's stacks.
        after: the head's stacks.
        stacks: the previews of the head on a cloud that holds the base, as `localcloud preview
            --json` prints them.
    """
    return {
        "stacks": [
            {**one, "steps": [step for step in one["steps"] if step["change"] != "same"]}
            for one in stacks
        ],
        "cost": costs(before, after),
        "permissions": permissions(before, after),
        "templates": templates(before, after),
        "undeployable": undeployable(before, after),
        "violations": violations(before, after),
    }


def has_changes(comparison: Json) -> bool:
    """Return whether anything differs, or a rule is violated that was not."""
    return (
        any(one["steps"] for one in comparison["stacks"])
        or bool(comparison["cost"]["items"])
        or bool(comparison["permissions"])
        or bool(comparison["templates"])
        or any(found["new"] for found in comparison["violations"])
    )


def problem_of_run(comparison: Json) -> str:
    """Return in one line what was wrong with the lab's run; empty if nothing was, or none was."""
    run = comparison.get("run")
    if run is None:
        return ""
    head = comparison["head"]["name"]
    if run["status"] != "Succeeded":
        return f"the lab's run of {head} failed: {run['reason']}"
    if not run["denied"]:
        return ""
    first, *more = run["denied"]
    others = f", and {len(more)} more" if more else ""
    return (
        f"the lab's run of {head} was denied {first['action']} on {first['resource']}, which "
        f"{first['role']} called{others}; grant what is needed"
    )
