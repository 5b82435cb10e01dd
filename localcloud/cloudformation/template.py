"""The parser of templates: parameters, and the order of resources. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
Differs: transforms, macros, Fn::ForEach and parameters of SSM types are refused by name.
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

from localcloud.core.bounded_yaml import DEEPEST, BoundedLoader, YamlError, load
from localcloud.core.user_pattern import PatternError, UserPattern

SUB = re.compile(r"\$\{(!?)([^${}]+)\}")


# The sections of a template that have named entries.
_SECTIONS = (
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
)
# Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_MOST_ENTRIES = {"Parameters": 200, "Mappings": 200, "Resources": 500, "Outputs": 200}
# JSON's numbers beyond this have no exact meaning; Python cannot print some of them.
_LARGEST_INTEGER = 2**63
# The deletion policies that retain a resource.
RETAINING = ("Retain", "RetainExceptOnCreate")
_POLICIES = {
    "DeletionPolicy": ("Delete", *RETAINING),
    "UpdateReplacePolicy": ("Delete", "Retain"),
}


class TemplateError(ValueError):
    """A template that CloudFormation would refuse; the message is AWS's or close to it."""


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
    try:
        if body.lstrip().startswith("{"):
            document = json.loads(body)
        else:
            document = load(body, _Loader, aliases=False)
    except YamlError as error:
        if "aliases are not allowed" in str(error):
            raise TemplateError(f"Template error: {error} in CloudFormation templates") from None
        raise TemplateError(f"Template format error: {error}") from None
    except RecursionError:
        raise TemplateError(f"Template format error: {_TOO_DEEP}") from None
    except ValueError as error:
        raise TemplateError(f"Template format error: {error}") from None
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    _check_keys(document)
    document = _plain(document, 1)
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
        _check_resource(logical_id, resource)
        _check_policies(logical_id, resource)
    for name, declared in document.get("Parameters", {}).items():
        _check_declaration(name, declared)
    for name, output in document.get("Outputs", {}).items():
        _check_output(name, output)
    return Template(document)


_TOO_DEEP = f"the template is nested more than {DEEPEST} levels deep"


def _check_keys(document: dict[Any, Any]) -> None:
    """Refuse a section that is not an object, or whose name or entries' names are not strings."""
    for section, entries in document.items():
        if not isinstance(section, str):
            raise TemplateError(
                f"Template format error: the name of a section must be a string, not {section!r}"
            )
        if section not in _SECTIONS:
            continue
        if entries is None:
            raise TemplateError(
                f"Template format error: [/{section}] 'null' values are not allowed in templates"
            )
        if not isinstance(entries, dict):
            raise TemplateError(f"Template format error: [/{section}] must be an object.")
        if len(entries) > _MOST_ENTRIES.get(section, len(entries)):
            raise TemplateError(
                f"Template format error: Number of {section.lower()}, {len(entries)}, is greater "
                f"than maximum allowed, {_MOST_ENTRIES[section]}"
            )
        for name in entries:
            if not isinstance(name, str):
                raise TemplateError(
                    f"Template format error: [/{section}] the name {name!r} must be a string"
                )


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


def _check_resource(logical_id: str, resource: dict[str, Any]) -> None:
    where = f"Template format error: [/Resources/{logical_id}"
    if not isinstance(resource["Type"], str):
        raise TemplateError(f"{where}/Type] must be a string.")
    if not isinstance(resource.get("Properties", {}), dict):
        raise TemplateError(f"{where}/Properties] must be an object.")
    depends = resource.get("DependsOn", [])
    if not isinstance(depends, str) and not (
        isinstance(depends, list) and all(isinstance(name, str) for name in depends)
    ):
        raise TemplateError(f"{where}/DependsOn] must be a string or a list of strings.")
    if not isinstance(resource.get("Condition", ""), str):
        raise TemplateError(f"{where}/Condition] must be a string.")


def _check_declaration(name: str, declared: Any) -> None:
    where = f"Template format error: [/Parameters/{name}]"
    if not isinstance(declared, dict):
        raise TemplateError(f"{where} must be an object.")
    allowed = declared.get("AllowedValues", [])
    if not isinstance(allowed, list) or any(isinstance(v, dict | list) for v in allowed):
        raise TemplateError(f"{where} AllowedValues must be a list of strings.")
    for key in ("Default", "Type", "Description", "AllowedPattern", "ConstraintDescription"):
        if isinstance(declared.get(key), dict | list):
            raise TemplateError(f"{where} {key} must be a string.")
    for key in ("MinLength", "MaxLength", "MinValue", "MaxValue"):
        try:
            float(declared.get(key, 0))
        except (TypeError, ValueError):
            raise TemplateError(f"{where} {key} must be a number.") from None


def _check_output(name: str, output: Any) -> None:
    where = f"Template format error: [/Outputs/{name}]"
    if not isinstance(output, dict) or "Value" not in output:
        raise TemplateError(f"{where} Every Outputs member must contain a Value object")
    if "Export" in output and not (
        isinstance(output["Export"], dict) and list(output["Export"]) == ["Name"]
    ):
        raise TemplateError(f"{where} Export must be an object with the member Name")
    for key in ("Condition", "Description"):
        if not isinstance(output.get(key, ""), str):
            raise TemplateError(f"{where} {key} must be a string")


def _check_policies(logical_id: str, resource: dict[str, Any]) -> None:
    for name, allowed in _POLICIES.items():
        policy = resource.get(name, "Delete")
        if not isinstance(policy, str):
            raise TemplateError(f"Template error: {name} of {logical_id} must be a string")
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
    try:
        if pattern and not UserPattern(str(pattern)).matches(value):
            raise TemplateError(f"Parameter '{name}' must match pattern {pattern}; it is '{value}'")
    except PatternError as error:
        raise TemplateError(f"Parameter '{name}' has an invalid AllowedPattern: {error}") from None
    if len(value) < float(declared.get("MinLength", 0)):
        raise TemplateError(
            f"Parameter '{name}' must contain at least {declared['MinLength']} characters"
        )
    if len(value) > float(declared.get("MaxLength", len(value))):
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
