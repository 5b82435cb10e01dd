"""The names in a template that must lead somewhere, checked before anything is created. Pure.

AWS refuses such a template when a stack or a change set is created, and leaves no stack behind.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.template import Template, TemplateError, references

_SECTIONS = frozenset(
    {
        *("AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules"),
        *("Mappings", "Conditions", "Transform", "Resources", "Outputs", "Hooks"),
    }
)
_MEMBERS = frozenset(
    {
        *("Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy"),
        *("UpdateReplacePolicy", "UpdatePolicy", "CreationPolicy"),
    }
)
_PSEUDO = frozenset(
    {
        *("AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition"),
        *("AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix"),
    }
)


def check_names(template: Template) -> None:
    """Refuse sections and members that do not exist, and names that lead nowhere.

    Raises:
        TemplateError: with AWS's text.
    """
    document = template.document
    unknown = sorted(set(document) - _SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    for resource in template.resources.values():
        for member in resource:
            if member not in _MEMBERS:
                raise TemplateError(f"Invalid template resource property '{member}'")
    conditions, mappings = document.get("Conditions", {}), document.get("Mappings", {})
    for block in ("Resources", "Outputs"):
        entries = document.get(block, {})
        _refuse(_unresolved(template, entries), block)
        for name in _conditions(entries):
            if name not in conditions:
                raise TemplateError(
                    f"Template format error: Unresolved condition dependency {name} in the {block} "
                    "block of the template"
                )
    rules = document.get("Rules", {})
    _refuse(sorted(references(rules) - template.parameters.keys() - _PSEUDO), "Rules")
    for name in _within(conditions):
        if name not in conditions:
            raise TemplateError(
                f"Template format error: Unresolved condition dependency {name} in the Conditions "
                "block of the template"
            )
    wrong = sorted(references(conditions) - template.parameters.keys() - _PSEUDO)
    if wrong:
        raise TemplateError(
            f"Template format error: Unresolved dependencies [{', '.join(wrong)}]. Cannot "
            "reference resources in the Conditions block of the template"
        )
    for name in _mappings([document.get("Resources"), document.get("Outputs"), conditions]):
        if name not in mappings:
            raise TemplateError(
                f"Template validation error: Template error: Mapping named '{name}' is not present "
                "in the 'Mappings' section of template."
            )


def check_included(template: Template, renderer: Renderer) -> None:
    """Refuse a reference to a resource that a condition leaves out.

    Args:
        template: the template.
        renderer: evaluates its conditions.

    Raises:
        TemplateError: with AWS's text.
    """
    left_out = {name for name in template.resources if not renderer.included(name)}
    if not left_out:
        return
    for block in ("Resources", "Outputs"):
        found: set[str] = set()
        for entry in template.document.get(block, {}).values():
            condition = entry.get("Condition")
            if condition is None or renderer.condition(condition):
                value = taken(entry.get("Properties", entry.get("Value")), renderer)
                found |= references(value) & left_out
        _refuse(sorted(found), block)


def taken(value: Any, renderer: Renderer) -> Any:
    """Return a value with the branches of Fn::If that are taken.

    Raises:
        TemplateError: a condition cannot be evaluated.
    """
    if isinstance(value, list):
        return [taken(item, renderer) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get("Fn::If"):
        case [str(name), when_true, when_false] if len(value) == 1:
            return taken(when_true if renderer.condition(name) else when_false, renderer)
    return {key: taken(item, renderer) for key, item in value.items()}


def _unresolved(template: Template, entries: dict[str, Any]) -> list[str]:
    known = template.resources.keys() | template.parameters.keys()
    used: set[str] = set()
    for entry in entries.values():
        used |= references({k: v for k, v in entry.items() if k != "Metadata"})
        depends = entry.get("DependsOn", [])
        used |= {depends} if isinstance(depends, str) else set(depends)
    return sorted(used - known - _PSEUDO)


def _refuse(names: list[str], block: str) -> None:
    if names:
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{', '.join(names)}] in the "
            f"{block} block of the template"
        )


def _conditions(entries: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the conditions that resources or outputs use."""
    for entry in entries.values():
        if isinstance(entry.get("Condition"), str):
            yield entry["Condition"]
        yield from _first(entry, "Fn::If")


def _within(conditions: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the conditions that other conditions use."""
    for name, argument in _functions(conditions):
        if name == "Condition" and isinstance(argument, str):
            yield argument


def _mappings(values: Iterable[Any]) -> Iterator[str]:
    """Yield the names of the mappings that Fn::FindInMap uses."""
    for value in values:
        yield from _first(value, "Fn::FindInMap")


def _first(value: Any, function: str) -> Iterator[str]:
    """Yield the first argument of each call of a function, if it is a text."""
    for name, argument in _functions(value):
        match argument:
            case [str(first), *_] if name == function:
                yield first


def _functions(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every member of every object in a value."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            yield from part.items()
            left += part.values()
