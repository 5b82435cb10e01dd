"""The structure of a template: which sections and members it has, and of which form. Pure.

`template.py` parses the text and checks the structure by this module.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html
"""

from __future__ import annotations

import json
import re
from typing import Any

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
_VERSION = "2010-09-09"
_LONGEST_DESCRIPTION = 1024  # bytes
_LONGEST_NAME = 255
_ALPHANUMERIC = re.compile(r"[a-zA-Z0-9]+")
# What an export may be called, once its functions are evaluated.
_EXPORT = re.compile(r"[a-zA-Z0-9:-]{1,255}")
# The deletion policies that retain a resource.
RETAINING = ("Retain", "RetainExceptOnCreate")
_POLICIES = {
    "DeletionPolicy": ("Delete", *RETAINING),
    "UpdateReplacePolicy": ("Delete", "Retain"),
}
_TYPES = ("String", "Number", "List<Number>", "CommaDelimitedList")
_TYPE_OF_AWS = re.compile(r"(List<AWS::[\w:]+>|AWS::[\w:]+(<[\w:<>]+>)?)")
_VERSIONLESS = re.compile(r"\{\{resolve:ssm(-secure)?:[^:{}]+\}\}")
_MEMBERS = (
    *("Type", "Default", "Description", "AllowedPattern", "AllowedValues"),
    *("ConstraintDescription", "MinLength", "MaxLength", "MinValue", "MaxValue", "NoEcho"),
)


class TemplateError(ValueError):
    """A template that CloudFormation would refuse; the message is AWS's or close to it."""


def scalar_text(value: Any) -> str:
    """Return a scalar as CloudFormation's string of it; a boolean is in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_structure(document: dict[str, Any]) -> None:
    """Refuse a document whose members are not those of a template.

    Args:
        document: what `check_sections` has taken, with string keys.

    Raises:
        TemplateError: with AWS's text.
    """
    _check_nulls(document)
    _check_head(document)
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    for section in ("Transform", "Macros", "Hooks"):
        if section in document:
            raise TemplateError(f"Template error: the local cloud does not support {section}.")
    for logical_id, resource in resources.items():
        _check_resource(logical_id, resource)
        _check_policies(logical_id, resource)
    for name, declared in document.get("Parameters", {}).items():
        _check_declaration(name, declared)
    for name, mapping in document.get("Mappings", {}).items():
        _check_mapping(name, mapping)
    for name, output in document.get("Outputs", {}).items():
        _check_output(name, output)


def check_sections(document: dict[Any, Any]) -> None:
    """Refuse a section that is not an object, or whose name or entries' names are not strings.

    Raises:
        TemplateError: with AWS's text.
    """
    for section, entries in document.items():
        if not isinstance(section, str):
            raise TemplateError(
                f"Template format error: the name of a section must be a string, not {section!r}"
            )
        if section not in _SECTIONS:
            continue
        if entries is None:
            raise _null(f"/{section}")
        if not isinstance(entries, dict):
            raise TemplateError(f"Template format error: Any {section} member must be an object.")
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


def _null(path: str) -> TemplateError:
    return TemplateError(f"[{path}] 'null' values are not allowed in templates")


def _check_nulls(document: dict[str, Any]) -> None:
    """Refuse a null, wherever it stands."""
    left: list[tuple[str, Any]] = [("", document)]
    while left:
        path, value = left.pop()
        if value is None:
            raise _null(path)
        if isinstance(value, dict):
            left += [(f"{path}/{key}", item) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            left += [(f"{path}/{place}", value[place]) for place in reversed(range(len(value)))]


def _check_head(document: dict[str, Any]) -> None:
    """Refuse a version or a description that AWS refuses."""
    version = document.get("AWSTemplateFormatVersion", _VERSION)
    if version != _VERSION:
        text = version if isinstance(version, str) else json.dumps(version)
        raise TemplateError(
            f"Template format error: {text} is not a supported value for AWSTemplateFormatVersion."
        )
    description = document.get("Description", "")
    if not isinstance(description, str):
        raise TemplateError("Template format error: [/Description] must be a string.")
    if len(description.encode()) > _LONGEST_DESCRIPTION:
        raise TemplateError(
            f"Template format error: 'Description' length is greater than {_LONGEST_DESCRIPTION}."
        )


def _check_name(kind: str, name: str) -> None:
    if not _ALPHANUMERIC.fullmatch(name):
        raise TemplateError(f"Template format error: {kind} name {name} is non alphanumeric.")
    if len(name) > _LONGEST_NAME:
        raise TemplateError(
            f"Template format error: {kind} name {name} has more than {_LONGEST_NAME} characters."
        )


def _check_resource(logical_id: str, resource: Any) -> None:
    if logical_id.startswith("Fn::"):
        name = "::".join(logical_id.split("::")[:2])
        raise TemplateError(f"Template error: the local cloud does not support {name}")
    _check_name("Resource", logical_id)
    where = f"Template format error: [/Resources/{logical_id}"
    if not isinstance(resource, dict) or "Type" not in resource:
        raise TemplateError(f"{where}] Every Resources object must contain a Type member.")
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


def _check_mapping(name: str, mapping: Any) -> None:
    """Refuse a mapping that does not have two levels of keys above its values."""
    where = f"Template format error: [/Mappings/{name}"
    if not isinstance(mapping, dict):
        raise TemplateError(f"{where}] Every Mappings member must be a map.")
    for key, row in mapping.items():
        if not isinstance(row, dict):
            raise TemplateError(f"{where}/{key}] Every Mappings attribute must be a map.")
        for attribute, value in row.items():
            if not _ALPHANUMERIC.fullmatch(attribute):
                raise TemplateError(
                    f"Template format error: Mappings attribute name '{attribute}' must contain "
                    "only alphanumeric characters."
                )
            items = value if isinstance(value, list) else [value]
            if any(isinstance(item, dict | list) for item in items):
                raise TemplateError(
                    f"{where}/{key}/{attribute}] Every Mappings attribute must be a String or a "
                    "List."
                )


def _check_output(name: str, output: Any) -> None:
    if not _ALPHANUMERIC.fullmatch(name):
        raise TemplateError(f"Template format error: Outputs name '{name}' is non alphanumeric.")
    if not isinstance(output, dict) or "Value" not in output:
        raise TemplateError(
            "Template format error: Every Outputs member must contain a Value object"
        )
    where = f"Template format error: [/Outputs/{name}]"
    unknown = sorted(output.keys() - {"Value", "Description", "Condition", "Export"})
    if unknown:
        raise TemplateError(
            f"{where} has members that do not exist: [{', '.join(unknown)}]; an output has Value, "
            "Description, Condition and Export"
        )
    if "Export" in output:
        export = output["Export"]
        if not isinstance(export, dict) or list(export) != ["Name"]:
            raise malformed_export(name)
        if isinstance(export["Name"], str):
            check_export_name(name, export["Name"])
    for key in ("Condition", "Description"):
        if not isinstance(output.get(key, ""), str):
            raise TemplateError(f"{where} {key} must be a string")


def malformed_export(output: str) -> TemplateError:
    """Return the error of an output whose export has no valid name."""
    return TemplateError(
        f"Template format error: Output {output} is malformed. The Name field of every Export "
        "member must be specified and consist only of alphanumeric characters, colons, or hyphens."
    )


def check_export_name(output: str, name: str) -> None:
    """Refuse the name of an export that has other characters, or too many.

    Raises:
        TemplateError: names the output.
    """
    if not _EXPORT.fullmatch(name):
        raise malformed_export(output)


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


def _check_declaration(name: str, declared: Any) -> None:
    """Refuse the declaration of a parameter that is malformed."""
    _check_name("Parameter", name)
    where = f"Template format error: [/Parameters/{name}]"
    if not isinstance(declared, dict):
        raise TemplateError("Template format error: Any Parameters member must be an object.")
    if "Type" not in declared:
        raise TemplateError(
            "Template format error: Every Parameters object must contain a Type member."
        )
    kind = declared["Type"]
    if not isinstance(kind, str) or (kind not in _TYPES and not _TYPE_OF_AWS.fullmatch(kind)):
        raise TemplateError(f"Template format error: Unrecognized parameter type: {kind}")
    for key in declared:
        if key not in _MEMBERS:
            raise TemplateError(f"Invalid template parameter property '{key}'")
    if isinstance(declared.get("Default"), dict | list):
        raise TemplateError("Template format error: Every Default member must be a string.")
    if _VERSIONLESS.search(str(declared.get("Default", ""))):
        raise TemplateError(
            f"Template error: parameter {name} should not contain ssm versionless resolver"
        )
    allowed = declared.get("AllowedValues", [])
    if not isinstance(allowed, list) or any(isinstance(v, dict | list) for v in allowed):
        raise TemplateError(f"{where} AllowedValues must be a list of strings.")
    for key in ("Description", "AllowedPattern", "ConstraintDescription", "NoEcho"):
        if isinstance(declared.get(key), dict | list):
            raise TemplateError(f"{where} {key} must be a string.")
    for key in ("MinLength", "MaxLength", "MinValue", "MaxValue"):
        try:
            float(declared.get(key, 0))
        except (TypeError, ValueError):
            raise TemplateError(f"{where} {key} must be a number.") from None
