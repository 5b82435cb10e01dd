"""The parser of templates, and the order of their resources. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
Differs: transforms, macros and Fn::ForEach are refused by name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from localcloud.cloudformation.template_structure import (
    RETAINING,
    TemplateError,
    check_export_name,
    check_sections,
    check_structure,
    scalar_text,
)
from localcloud.core.bounded_yaml import DEEPEST, BoundedLoader, YamlError, load

__all__ = [
    "RETAINING",
    "SUB",
    "Template",
    "TemplateError",
    "check_export_name",
    "creation_order",
    "dependencies",
    "parse",
    "references",
    "scalar_text",
]

SUB = re.compile(r"\$\{(!?)([^${}]+)\}")


# JSON's numbers beyond this have no exact meaning; Python cannot print some of them.
_LARGEST_INTEGER = 2**63


class _Loader(BoundedLoader):
    """YAML with CloudFormation's short forms (!Ref, !GetAtt, !Sub …)."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# A date in a template (AWSTemplateFormatVersion: 2010-09-09) is a string.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    document: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources by logical id."""
        found: dict[str, dict[str, Any]] = self.document["Resources"]
        return found

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return the declared parameters."""
        found: dict[str, dict[str, Any]] = self.document.get("Parameters", {})
        return found


@lru_cache(maxsize=64)
def parse(body: str) -> Template:
    """Parse JSON or YAML. The result is shared with later calls, so nobody may change it.

    Raises:
        TemplateError: not a template.
    """
    document = _document(body)
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    check_sections(document)
    document = _plain(document, 1)
    check_structure(document)
    return Template(document)


def _document(body: str) -> Any:
    """Return what a text of JSON or YAML says.

    Raises:
        TemplateError: with AWS's text.
    """
    try:
        if body.lstrip().startswith("{"):
            return json.loads(body)
        return load(body, _Loader, aliases=False)
    except YamlError as error:
        if "aliases are not allowed" in str(error):
            raise TemplateError(f"Template error: {error} in CloudFormation templates") from None
        if error.place is not None:
            line, column = error.place
            raise _not_well_formed("YAML", line, column) from None
        raise TemplateError(f"Template format error: {error}") from None
    except json.JSONDecodeError as error:
        # AWS names the place behind the character that is wrong, or the end of the text.
        column = error.colno + (error.pos < len(body))
        raise _not_well_formed("JSON", error.lineno, column) from None
    except RecursionError:
        raise TemplateError(f"Template format error: {_TOO_DEEP}") from None
    except ValueError:  # a number of thousands of digits
        raise TemplateError("Template format error: a number is out of range") from None


def _not_well_formed(language: str, line: int, column: int) -> TemplateError:
    return TemplateError(
        f"Template format error: {language} not well-formed. (line {line}, column {column})"
    )


_TOO_DEEP = f"the template is nested more than {DEEPEST} levels deep"


def _plain(value: Any, depth: int) -> Any:
    """Return a value with string keys, as JSON has them.

    Raises:
        TemplateError: the value has no counterpart in JSON, or is nested too deeply.
    """
    if depth > DEEPEST:
        raise TemplateError(f"Template format error: {_TOO_DEEP}")
    match value:
        case dict():
            return {_text(_key(key)): _plain(item, depth + 1) for key, item in value.items()}
        case list():
            return [_plain(item, depth + 1) for item in value]
        case str():
            return _text(value)
        case None | bool():
            return value
        case int() if abs(value) < _LARGEST_INTEGER:
            return value
        case float() if math.isfinite(value):
            return value
        case int() | float():
            raise TemplateError("Template format error: a number is out of range")
    raise TemplateError(
        f"Template format error: a value of the YAML type {type(value).__name__} is not supported"
    )


def _key(key: Any) -> str:
    if isinstance(key, str | bool | int | float):
        return scalar_text(_plain(key, 1))
    raise TemplateError(f"Template format error: the key {key!r} must be a string")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TemplateError("Template format error: a string is not valid Unicode") from None
    return text


def references(value: Any) -> set[str]:
    """Return every name that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
    found: set[str] = set()
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            for function, argument in part.items():
                found |= _named(function, argument)
            left += part.values()
    return found


def _named(function: str, argument: Any) -> set[str]:
    """Return the names that one function refers to; those of a malformed argument are left out."""
    match function, argument:
        case "Ref", str():
            return {argument}
        case "Fn::GetAtt", str():
            return {argument.split(".")[0]}
        case "Fn::GetAtt", [first, *_]:
            return {str(first)}
        case "Fn::Sub", [text, dict() as own, *_]:
            return {name for name, dotted in _substituted(text) if dotted not in own}
        case "Fn::Sub", [text, *_]:
            return {name for name, _ in _substituted(text)}
        case "Fn::Sub", text:
            return {name for name, _ in _substituted(text)}
    return set()


def _substituted(text: Any) -> list[tuple[str, str]]:
    """Return the names in a text of Fn::Sub, each without and with its attribute."""
    names = (name.strip() for literal, name in SUB.findall(str(text)) if not literal)
    return [(name.split(".")[0], name) for name in names]


def creation_order(template: Template) -> list[str]:
    """Return the logical ids, each after its dependencies.

    Raises:
        TemplateError: a dependency is circular, or on a resource that does not exist.
    """
    resources = template.resources
    needs = {name: dependencies(resource, resources) for name, resource in resources.items()}
    waits_for = {name: len(needed) for name, needed in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in resources}
    for name, needed in needs.items():
        for other in needed:
            dependents[other].append(name)
    order: list[str] = []
    place = {name: number for number, name in enumerate(resources)}
    ready = [name for name in resources if not waits_for[name]]
    while ready:
        order += ready
        freed: list[str] = []
        for name in ready:
            for dependent in dependents[name]:
                waits_for[dependent] -= 1
                if not waits_for[dependent]:
                    freed.append(dependent)
        ready = sorted(freed, key=place.__getitem__)
    if len(order) < len(resources):
        left = sorted(set(resources) - set(order))
        raise TemplateError(f"Circular dependency between resources: [{', '.join(left)}]")
    return order


def dependencies(resource: dict[str, Any], resources: Mapping[str, Any]) -> set[str]:
    """Return the logical ids that a resource depends on.

    Raises:
        TemplateError: DependsOn names a resource that does not exist.
    """
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    unknown = sorted(set(explicit) - resources.keys())
    if unknown:
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in "
            "the Resources block of the template"
        )
    return set(explicit) | (references(resource.get("Properties", {})) & resources.keys())
