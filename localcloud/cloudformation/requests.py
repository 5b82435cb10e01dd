"""What a request says of a stack: template, parameters and tags, checked.

Shared by stacks and change sets. It keeps nothing: what is wrong is refused before anything is
made.
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.template import (
    Template,
    TemplateError,
    creation_order,
    parameter_values,
    parse,
)
from localcloud.errors import ValidationError

_UPDATABLE = re.compile(r"(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT)_COMPLETE")
_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


def invalid(message: str) -> ValidationError:
    """Return CloudFormation's ValidationError."""
    return ValidationError(message, "ValidationError")


def check_stack_name(name: str) -> None:
    """Refuse a name that no new stack may have.

    Raises:
        ValidationError: with the pattern.
    """
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def check_updatable(stack: Stack) -> None:
    """Refuse a stack that is busy, in review or only fit to be deleted.

    Raises:
        ValidationError: with the stack's status.
    """
    if not _UPDATABLE.fullmatch(stack.status):
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def template_body(params: dict[str, Any], stack: Stack | None = None) -> str:
    """Return the template of a request, or the stack's own where it asks for that.

    Raises:
        ValidationError: there is none.
    """
    if stack is not None and params.get("UsePreviousTemplate"):
        return stack.template_body
    body = params.get("TemplateBody")
    if not body:
        raise invalid(
            "The local cloud takes a template as TemplateBody; TemplateURL is not supported."
            if params.get("TemplateURL")
            else "Either Template URL or Template Body must be specified."
        )
    return str(body)


def tags_of(params: dict[str, Any], stack: Stack | None = None) -> dict[str, str]:
    """Return the tags of a request, or the stack's own where it names none."""
    if stack is not None and params.get("Tags") is None:
        return stack.tags
    return {tag["Key"]: tag["Value"] for tag in params.get("Tags") or []}


def checked(
    body: str, given: list[dict[str, Any]] | None, previous: dict[str, str]
) -> tuple[Template, dict[str, str]]:
    """Parse a template and return it with every parameter's value.

    Args:
        body: JSON or YAML.
        given: the request's Parameters.
        previous: the values that UsePreviousValue means.

    Raises:
        ValidationError: what is wrong with either.
    """
    values = {p["ParameterKey"]: _value(p, previous) for p in given or []}
    try:
        template = parse(body)
        creation_order(template)
        return template, parameter_values(template, values)
    except TemplateError as error:
        raise invalid(str(error)) from None


def _value(parameter: dict[str, Any], previous: dict[str, str]) -> str:
    key = parameter["ParameterKey"]
    if not parameter.get("UsePreviousValue"):
        return str(parameter.get("ParameterValue", ""))
    if parameter.get("ParameterValue"):
        wrong = "and non empty value for a parameter"
    elif key not in previous:
        wrong = "for a parameter key not in the previous template"
    else:
        return previous[key]
    raise invalid(
        f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true {wrong}"
    )


def is_same(stack: Stack, body: str, parameters: dict[str, str], tags: dict[str, str]) -> bool:
    """Return whether a stack is already what is asked for."""
    return (_normal(body), parameters, tags) == (
        _normal(stack.template_body),
        stack.parameters,
        stack.tags,
    )


def _normal(body: str) -> str:
    return json.dumps(parse(body).document, sort_keys=True, default=str)


def declarations(template: Template, *, types: bool) -> list[dict[str, Any]]:
    """Return a template's parameters as declared, with their types and constraints if asked."""
    found = []
    for name, declared in template.parameters.items():
        default = declared.get("Default")
        entry: dict[str, Any] = {
            "ParameterKey": name,
            "DefaultValue": None if default is None else str(default),
            "NoEcho": bool(declared.get("NoEcho", False)),
            "Description": declared.get("Description"),
        }
        if types:
            entry["ParameterType"] = declared.get("Type", "String")
            allowed = [str(value) for value in declared.get("AllowedValues", [])]
            entry["ParameterConstraints"] = {"AllowedValues": allowed} if allowed else None
        found.append(entry)
    return found
