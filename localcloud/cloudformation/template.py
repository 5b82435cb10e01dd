"""The parser of templates: parameters, and the order of resources. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
Differs: transforms, macros, Fn::ForEach and parameters of SSM types are refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

SUB = re.compile(r"\$\{(!?)([^${}]+)\}")


# The deletion policies that retain a resource.
RETAINING = ("Retain", "RetainExceptOnCreate")
_POLICIES = {
    "DeletionPolicy": ("Delete", *RETAINING),
    "UpdateReplacePolicy": ("Delete", "Retain"),
}


class TemplateError(ValueError):
    """A template that CloudFormation would refuse; the message is AWS's or close to it."""


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (!Ref, !GetAtt, !Sub …)."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
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


def parse(body: str) -> Template:
    """Parse JSON or YAML.

    Raises:
        TemplateError: not a template.
    """
    try:
        document = json.loads(body) if body.lstrip().startswith("{") else yaml.load(body, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (ValueError, yaml.YAMLError) as error:
        raise TemplateError(f"Template format error: {error}") from None
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    for section in ("Transform", "Macros"):
        if section in document:
            raise TemplateError(f"Template error: the local cloud does not support {section}.")
    for logical_id, resource in resources.items():
        if logical_id.startswith("Fn::"):
            name = "::".join(logical_id.split("::")[:2])
            raise TemplateError(f"Template error: the local cloud does not support {name}")
        if not isinstance(resource, dict) or "Type" not in resource:
            raise TemplateError(
                f"Template format error: [/Resources/{logical_id}] Every Resources object must "
                "contain a Type member."
            )
        _check_policies(logical_id, resource)
    return Template(document)


def _check_policies(logical_id: str, resource: dict[str, Any]) -> None:
    for name, allowed in _POLICIES.items():
        policy = resource.get(name, "Delete")
        if policy == "Snapshot":
            raise TemplateError(
                f"Template error: resource type {resource['Type']} does not support "
                f"{'deletion' if name == 'DeletionPolicy' else 'update replace'} policy Snapshot"
            )
        if policy not in allowed:
            raise TemplateError(
                f"Template error: {name} of {logical_id} must be one of {', '.join(allowed)}"
            )


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return every parameter's value.

    Raises:
        TemplateError: an unknown or missing parameter, or a value that is not allowed.
    """
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, declared in template.parameters.items():
        if str(declared.get("Type", "String")).startswith("AWS::SSM::"):
            raise TemplateError(
                f"Parameter '{name}': the local cloud does not support the type {declared['Type']}"
            )
        if name in given:
            value = given[name]
        elif "Default" in declared:
            value = scalar_text(declared["Default"])
        else:
            missing.append(name)
            continue
        _check_parameter(name, value, declared)
        values[name] = value
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def _check_parameter(name: str, value: str, declared: dict[str, Any]) -> None:
    allowed = [scalar_text(v) for v in declared.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise TemplateError(
            f"Parameter '{name}' must be one of AllowedValues: [{', '.join(allowed)}]; "
            f"it is '{value}'"
        )
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        raise TemplateError(f"Parameter '{name}' must match pattern {pattern}; it is '{value}'")
    if len(value) < int(declared.get("MinLength", 0)):
        raise TemplateError(
            f"Parameter '{name}' must contain at least {declared['MinLength']} characters"
        )
    if len(value) > int(declared.get("MaxLength", len(value))):
        raise TemplateError(
            f"Parameter '{name}' must contain at most {declared['MaxLength']} characters"
        )
    if declared.get("Type") == "Number":
        try:
            number = float(value)
        except ValueError:
            raise TemplateError(f"Parameter '{name}' must be a number; it is '{value}'") from None
        if number < float(declared.get("MinValue", number)):
            raise TemplateError(
                f"Parameter '{name}' must be a number not less than {declared['MinValue']}"
            )
        if number > float(declared.get("MaxValue", number)):
            raise TemplateError(
                f"Parameter '{name}' must be a number not greater than {declared['MaxValue']}"
            )


def scalar_text(value: Any) -> str:
    """Return a scalar as CloudFormation's string of it; a boolean is in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def references(value: Any) -> set[str]:
    """Return every name that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                found.add(item)
            elif key == "Fn::GetAtt":
                found.add(item.split(".")[0] if isinstance(item, str) else str(item[0]))
            elif key == "Fn::Sub":
                text = item[0] if isinstance(item, list) else item
                own = set(item[1]) if isinstance(item, list) and len(item) > 1 else set()
                names = {name.strip() for literal, name in SUB.findall(str(text)) if not literal}
                found |= {name.split(".")[0] for name in names - own}
            found |= references(item)
    return found


def creation_order(template: Template) -> list[str]:
    """Return the logical ids, each after its dependencies.

    Raises:
        TemplateError: a dependency is circular, or on a resource that does not exist.
    """
    resources = template.resources
    remaining = {name: dependencies(resources[name], resources) for name in resources}
    order: list[str] = []
    while remaining:
        ready = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        if not ready:
            raise TemplateError(
                f"Circular dependency between resources: [{', '.join(sorted(remaining))}]"
            )
        order += ready
        for name in ready:
            del remaining[name]
    return order


def dependencies(resource: dict[str, Any], resources: Mapping[str, Any]) -> set[str]:
    """Return the logical ids that a resource depends on.

    Raises:
        TemplateError: DependsOn names a resource that does not exist.
    """
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    unknown = sorted(set(explicit) - set(resources))
    if unknown:
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in "
            "the Resources block of the template"
        )
    return set(explicit) | (references(resource.get("Properties", {})) & set(resources))
