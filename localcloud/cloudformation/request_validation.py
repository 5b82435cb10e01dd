"""The validation of requests on stacks and change sets: template, parameters and tags.

It stores nothing, so that a wrong request is refused before anything is created.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.routing import Scope
from localcloud.cloudformation.evaluation import typed
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.parameter_rules import check_rules
from localcloud.cloudformation.references import check_included, check_names
from localcloud.cloudformation.template import (
    Template,
    TemplateError,
    creation_order,
    parameter_values,
    parse,
    scalar_text,
)

T = TypeVar("T")

_PAGE = 100
_UPDATABLE = re.compile(r"(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT)_COMPLETE")
# The properties with which a template names an IAM resource itself.
_NAMES = dict.fromkeys(
    ("RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName")
)
_SUFFICIENT = {
    "CAPABILITY_IAM": {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"},
    "CAPABILITY_NAMED_IAM": {"CAPABILITY_NAMED_IAM"},
}
_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


def invalid(message: str) -> ValidationError:
    """Return CloudFormation's ValidationError."""
    return ValidationError(message, "ValidationError")


def check_stack_name(name: str) -> None:
    """Refuse an invalid stack name.

    Raises:
        ValidationError: names the pattern.
    """
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def check_updatable(stack: Stack) -> None:
    """Refuse a stack that is busy, in review, or that can only be deleted.

    Raises:
        ValidationError: names the stack's status.
    """
    if not _UPDATABLE.fullmatch(stack.status):
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def tags_of(params: dict[str, Any], stack: Stack | None = None) -> dict[str, str]:
    """Return the tags of a request, or those of the stack if it has none."""
    if stack is not None and params.get("Tags") is None:
        return stack.tags
    return {tag["Key"]: tag["Value"] for tag in params.get("Tags") or []}


def checked(
    scope: Scope,
    body: str,
    given: list[dict[str, Any]] | None,
    previous: dict[str, str],
    capabilities: list[str] | None,
) -> tuple[Template, dict[str, str]]:
    """Parse a template and return it with every parameter's value.

    Args:
        scope: the account and region of the stack.
        body: JSON or YAML.
        given: the request's Parameters.
        previous: the values for UsePreviousValue.
        capabilities: the capabilities of the request.

    Raises:
        ValidationError: the template or a parameter is not valid.
        AwsError: InsufficientCapabilitiesException.
    """
    values = {p["ParameterKey"]: _value(p, previous) for p in given or []}
    try:
        template = parse(body)
        check_names(template)
        creation_order(template)
        parameters = parameter_values(template, values)
        pseudo = {
            "AWS::Region": scope.region,
            "AWS::AccountId": scope.account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        renderer = Renderer(template, pseudo | typed(template, parameters), _nothing)
        check_rules(template, renderer)
        check_included(template, renderer)
    except TemplateError as error:
        raise invalid(str(error)) from None
    needed = needed_capabilities(template)
    if needed and not set(capabilities or []) & _SUFFICIENT[needed[0]]:
        raise AwsError(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{needed[0]}]"
        )
    return template, parameters


def needed_capabilities(template: Template) -> list[str]:
    """Return the capabilities that the IAM resources of a template require."""
    found = [r for r in template.resources.values() if str(r["Type"]).startswith("AWS::IAM::")]
    if not found:
        return []
    named = any(_NAMES.keys() & (r.get("Properties") or {}).keys() for r in found)
    return ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"]


def masked(template_body: str, parameters: dict[str, str]) -> dict[str, str]:
    """Return parameters with the values of those that are NoEcho masked."""
    if not template_body:
        return parameters
    secret = secrets_of(template_body)
    return {name: "****" if name in secret else value for name, value in parameters.items()}


def secrets_of(template_body: str) -> set[str]:
    """Return the names of a template's NoEcho parameters."""
    declared = parse(template_body).parameters
    return {n for n, d in declared.items() if scalar_text(d.get("NoEcho", False)) == "true"}


def _nothing(logical_id: str, attribute: str | None) -> Any:
    del attribute
    raise TemplateError(f"Template error: a rule cannot refer to the resource {logical_id}")


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
    """Return whether an update would change nothing in a stack."""
    return (_normal(body), parameters, tags) == (
        _normal(stack.template_body),
        stack.parameters,
        stack.tags,
    )


def _normal(body: str) -> str:
    return json.dumps(parse(body).document, sort_keys=True, default=str)


def declarations(template: Template, *, types: bool) -> list[dict[str, Any]]:
    """Return the parameter declarations of a template, optionally with their constraints."""
    found = []
    for name, declared in template.parameters.items():
        default = declared.get("Default")
        entry: dict[str, Any] = {
            "ParameterKey": name,
            "DefaultValue": None if default is None else str(default),
            "NoEcho": scalar_text(declared.get("NoEcho", False)) == "true",
            "Description": declared.get("Description"),
        }
        if types:
            entry["ParameterType"] = declared.get("Type", "String")
            allowed = [str(value) for value in declared.get("AllowedValues", [])]
            entry["ParameterConstraints"] = {"AllowedValues": allowed} if allowed else None
        found.append(entry)
    return found


def paged(
    entries: Sequence[T], key: Callable[[T], str], params: dict[str, Any]
) -> tuple[list[T], str | None]:
    """Return a page of a hundred entries and the token of the next.

    Raises:
        AwsError: ValidationError: the request's NextToken is not valid.
    """
    return page(entries, key, params.get("NextToken"), _PAGE, "ValidationError")
