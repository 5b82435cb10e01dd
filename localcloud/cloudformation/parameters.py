"""The values of a template's parameters: their defaults, constraints and lists. Pure.

A parameter of an AWS::SSM::Parameter::Value type has the name of a parameter of Parameter Store for
its value; `stored_parameters.py` looks it up. The constraints are those of the name.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
Differs: types whose values AWS looks up in another service, such as AWS::EC2::VPC::Id, are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from localcloud.cloudformation.template import Template, TemplateError, scalar_text
from localcloud.core.user_pattern import PatternError, UserPattern

SSM_NAME = "AWS::SSM::Parameter::Name"
_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(String|List<String>|CommaDelimitedList)>")
_LISTS = ("List<Number>", "CommaDelimitedList")
_SIMPLE = ("String", "Number", *_LISTS)
_LONGEST_VALUE = 4096  # bytes


def stored_type(declared: Mapping[str, Any]) -> str | None:
    """Return the type of the value in Parameter Store that a parameter stands for, or None."""
    match = _SSM_VALUE.fullmatch(str(declared.get("Type", "String")))
    return match[1] if match else None


def is_list(declared: Mapping[str, Any]) -> bool:
    """Return whether Ref returns a list for a parameter."""
    kind = stored_type(declared) or declared.get("Type")
    return kind in (*_LISTS, "List<String>")


def members(value: str) -> list[str]:
    """Return the members of a comma-delimited list, without the blanks around them."""
    return [member.strip() for member in value.split(",")]


def typed(template: Template, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of parameters for Ref, which has lists for list types."""
    return {
        name: members(value) if is_list(template.parameters[name]) else value
        for name, value in parameters.items()
    }


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
        _check_type(name, declared)
        if name in given:
            value = given[name]
        elif "Default" in declared:
            value = scalar_text(declared["Default"])
        else:
            missing.append(name)
            continue
        _check_value(name, value, declared)
        values[name] = value
    for name in missing:
        if stored_type(template.parameters[name]):
            raise TemplateError(f"Parameter {name} should either have input value or default value")
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def _check_type(name: str, declared: Mapping[str, Any]) -> None:
    kind = str(declared.get("Type", "String"))
    if kind not in (*_SIMPLE, SSM_NAME) and not stored_type(declared):
        raise TemplateError(f"Parameter '{name}': the local cloud does not support the type {kind}")


def _check_value(name: str, value: str, declared: Mapping[str, Any]) -> None:
    """Check a value by its declaration; a message never has the value, which may be a secret."""
    if len(value.encode()) > _LONGEST_VALUE:
        raise TemplateError(f"Parameter '{name}' must contain at most {_LONGEST_VALUE} bytes")
    problem = _problem(name, value, declared)
    if not problem:
        return
    if declared.get("ConstraintDescription"):
        raise TemplateError(
            f"Parameter {name} failed to satisfy constraint: {declared['ConstraintDescription']}"
        )
    raise TemplateError(f"Parameter '{name}' {problem}")


def _problem(name: str, value: str, declared: Mapping[str, Any]) -> str:
    kind = declared.get("Type", "String")
    parts = members(value) if kind in _LISTS else [value]
    allowed = [scalar_text(v) for v in declared.get("AllowedValues", [])]
    if "AllowedValues" in declared and not set(parts) <= set(allowed):
        return "must be one of AllowedValues"
    pattern = declared.get("AllowedPattern")
    try:
        compiled = UserPattern(str(pattern)) if pattern else None
        if compiled is not None and not all(compiled.matches(part) for part in parts):
            return f"must match pattern {pattern}"
    except PatternError as error:
        raise TemplateError(f"Parameter '{name}' has an invalid AllowedPattern: {error}") from None
    if len(value) < float(declared.get("MinLength", 0)):
        return f"must contain at least {declared['MinLength']} characters"
    if len(value) > float(declared.get("MaxLength", len(value))):
        return f"must contain at most {declared['MaxLength']} characters"
    if kind in ("Number", "List<Number>"):
        for part in parts:
            problem = _number_problem(part, declared)
            if problem:
                return problem
    return ""


def _number_problem(text: str, declared: Mapping[str, Any]) -> str:
    try:
        number = float(text)
    except ValueError:
        return "must be a number"
    if not math.isfinite(number) or "_" in text:
        return "must be a number"
    if number < float(declared.get("MinValue", number)):
        return f"must be a number not less than {declared['MinValue']}"
    if number > float(declared.get("MaxValue", number)):
        return f"must be a number not greater than {declared['MaxValue']}"
    return ""
