"""The difference between two templates of CloudFormation, as paths with two values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from localcloud.cloudformation.template import TemplateError, parse

_MOST = 40
_SHOWN_CHARACTERS = 160
_MISSING = object()


def changes_between(before: str, after: str) -> list[dict[str, Any]] | None:
    """Return path, before and after of each value that differs, up to a number of them.

    Args:
        before: the template of the stack; an empty text for a stack that does not exist.
        after: the template to be deployed.

    Returns:
        The changes; None if one of the templates cannot be read.
    """
    try:
        old = parse(before).document if before else {}
        pairs = list(islice(_differences("", old, parse(after).document), _MOST))
    except TemplateError:
        return None
    return [{"path": p, "before": _shown(b), "after": _shown(a)} for p, b, a in pairs]


def fleet_of(template: str) -> dict[str, Any] | None:
    """Return the instance type and the least number of instances of a template's endpoint.

    With a scalable target that number is its minimum, and otherwise the variant's initial one.

    Args:
        template: a template whose endpoint has one variant, as the program's.

    Returns:
        `instanceType` and `instances`; None if the template does not state them as they are.
    """
    try:
        resources = parse(template).document.get("Resources", {})
    except TemplateError:
        return None
    variant: dict[str, Any] = {}
    minimum: Any = None
    for resource in resources.values() if isinstance(resources, dict) else ():
        properties = resource.get("Properties", {}) if isinstance(resource, dict) else {}
        match resource.get("Type") if isinstance(resource, dict) else None:
            case "AWS::SageMaker::EndpointConfig":
                variants = properties.get("ProductionVariants")
                if isinstance(variants, list) and variants and isinstance(variants[0], dict):
                    variant = variants[0]
            case "AWS::ApplicationAutoScaling::ScalableTarget":
                minimum = properties.get("MinCapacity")
    kind = variant.get("InstanceType")
    count = minimum if minimum is not None else variant.get("InitialInstanceCount")
    if not isinstance(kind, str) or not str(count).isdigit():
        return None
    return {"instanceType": kind, "instances": int(str(count))}


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _differences(
                f"{path}.{key}" if path else key,
                before.get(key, _MISSING),
                after.get(key, _MISSING),
            )
    elif before != after:
        yield path, before, after


def _shown(value: Any) -> str | None:
    """Return a value as JSON, cut; None if it is missing."""
    if value is _MISSING:
        return None
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
