"""The validation of requests on stacks and change sets: template, parameters and tags.

It stores nothing, so that a wrong request is refused before anything is created.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.routing import Scope
from localcloud.cloudformation.evaluation import pseudo_parameters
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.parameters import parameter_values, typed
from localcloud.cloudformation.resource_types.nested_stack import NESTED
from localcloud.cloudformation.stored_parameters import check_references, stored_values
from localcloud.cloudformation.template import Template, TemplateError, parse, scalar_text
from localcloud.cloudformation.template_checks import check_template, check_types, check_values
from localcloud.service_context import ServiceContext

T = TypeVar("T")


class Wanted(Protocol):
    """The values that a stack is to take over."""

    parameters: dict[str, str]
    stored: dict[str, str]
    references: dict[str, str]


_PAGE = 100
_PRINCIPAL = "cloudformation.amazonaws.com"
_UPDATABLE = re.compile(r"(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT)_COMPLETE")
# The properties with which a template names an IAM resource itself.
_NAMES = dict.fromkeys(
    ("RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName")
)
_SUFFICIENT = {
    "CAPABILITY_IAM": {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"},
    "CAPABILITY_NAMED_IAM": {"CAPABILITY_NAMED_IAM"},
}
_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_STACK_ID = re.compile(r"arn:[-a-zA-Z0-9:/._+]*")
_LONGEST_NAME = 128


# The members of requests that nothing is made of, each with the values that ask for nothing.
_NOT_CARRIED_OUT: dict[str, dict[str, tuple[Any, ...]]] = {
    "CreateStack": {"DeploymentConfig": (), "DisableValidation": (False,)},
    "UpdateStack": {
        "DeploymentConfig": (),
        "DisableValidation": (False,),
        "DisableRollback": (False,),
        "RetainExceptOnCreate": (False,),
    },
    "DeleteStack": {
        "DeletionMode": ("STANDARD",),
        "DeploymentConfig": (),
        "RetainResources": ([],),
    },
    "CreateChangeSet": {
        "DeploymentConfig": (),
        "DeploymentMode": (),
        "DisableValidation": (False,),
        "ImportExistingResources": (False,),
        "IncludeNestedStacks": (False,),
    },
    "ExecuteChangeSet": {"RetainExceptOnCreate": (False,)},
    "ContinueUpdateRollback": {"ForceRollback": (False,)},
    "GetTemplateSummary": {"StackSetName": (), "CallAs": ("SELF",)},
}


def invalid(message: str) -> ValidationError:
    """Return CloudFormation's ValidationError."""
    return ValidationError(message, "ValidationError")


def check_stack_name(name: str) -> None:
    """Refuse an invalid stack name.

    Raises:
        ValidationError: names the pattern.
    """
    if len(name) > _LONGEST_NAME:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {_LONGEST_NAME}"
        )
    if not _STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: "
            "[a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*"
        )


def check_stack(name: str) -> None:
    """Refuse what can be neither the name nor the id of a stack.

    Raises:
        ValidationError: names the pattern.
    """
    if not _STACK_ID.fullmatch(name):
        check_stack_name(name)


def check_members(operation: str, params: dict[str, Any]) -> None:
    """Refuse what the local cloud does not carry out, by name.

    Raises:
        ValidationError: names the member of the request.
    """
    for name, harmless in _NOT_CARRIED_OUT.get(operation, {}).items():
        if name in params and params[name] not in harmless:
            allowed = ", ".join(map(str, harmless))
            only = f"; it may be {allowed}" if allowed else ""
            raise invalid(f"The local cloud supports no {name} in {operation}{only}.")


def check_resource_types(template: Template, params: dict[str, Any]) -> None:
    """Refuse a resource of a type that a request does not allow.

    Raises:
        ValidationError: names the types.
    """
    allowed = params.get("ResourceTypes")
    if not allowed:
        return
    patterns = [re.escape(one).replace(r"\*", ".*") for one in allowed]
    wrong = sorted(
        r["Type"]
        for r in template.resources.values()
        if not any(re.fullmatch(pattern, r["Type"]) for pattern in patterns)
    )
    if wrong:
        raise invalid(
            f"Resource types {', '.join(dict.fromkeys(wrong))} are not allowed by the parameter "
            "ResourceTypes."
        )


async def check_role(context: ServiceContext, role_arn: str | None) -> None:
    """Refuse a stack's role that CloudFormation cannot assume.

    Args:
        context: what services share.
        role_arn: the role of the request or else the stack's; None asks for nothing.

    Raises:
        ValidationError: it does not exist, or does not trust CloudFormation.
    """
    if role_arn and not await context.iam.trusts(role_arn, _PRINCIPAL):
        raise invalid(f"Role {role_arn} is invalid or cannot be assumed")


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


@dataclass(slots=True)
class CheckedTemplate:
    """A template with what a request says about it.

    Attributes:
        parameters: the values of its parameters, as the request has them.
        stored: the values of those that name a parameter of Parameter Store.
        references: the values of its dynamic references to Parameter Store, by their names.
    """

    template: Template
    parameters: dict[str, str]
    stored: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)


async def checked(
    context: ServiceContext,
    scope: Scope,
    body: str,
    params: dict[str, Any],
    stack: Stack | None = None,
    *,
    name: str = "",
) -> CheckedTemplate:
    """Check the template and the parameters of a request.

    Args:
        context: what services share.
        scope: the account and region of the stack.
        body: JSON or YAML.
        params: the request.
        stack: the stack that is updated; its parameters are the previous values.
        name: the name of a new stack.

    Raises:
        ValidationError: the template or a parameter is not valid.
        AwsError: InsufficientCapabilitiesException.
    """
    # In threads, where a large template stops nobody.
    previous = stack.parameters if stack is not None else {}
    template, parameters = await asyncio.to_thread(parsed, body, params.get("Parameters"), previous)
    id_ = scope.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")
    pseudo = pseudo_parameters(
        stack.id if stack is not None else id_,
        stack.name if stack is not None else name,
        params.get("NotificationARNs") or (stack.notification_arns if stack is not None else []),
    )
    try:
        stored = await stored_values(context, scope, template, parameters)
        values = pseudo | typed(template, parameters | stored)
        names = await asyncio.to_thread(check_values, template, values)
        references = await check_references(context, scope, names)
    except TemplateError as error:
        raise invalid(str(error)) from None
    check_capabilities(template, params.get("Capabilities"))
    check_resource_types(template, params)
    try:
        check_types(template, values)
    except TemplateError as error:
        raise invalid(str(error)) from None
    return CheckedTemplate(template, parameters, stored, references)


def parsed(
    body: str, given: list[dict[str, Any]] | None, previous: dict[str, str]
) -> tuple[Template, dict[str, str]]:
    """Parse a template and return it with every parameter's value.

    Args:
        body: JSON or YAML.
        given: the request's Parameters.
        previous: the values for UsePreviousValue.

    Raises:
        ValidationError: the template or a parameter is not valid.
    """
    values = {p["ParameterKey"]: _value(p, previous) for p in given or []}
    try:
        template = parse(body)
        check_template(template)
        return template, parameter_values(template, values)
    except TemplateError as error:
        raise invalid(str(error)) from None


def check_capabilities(template: Template, given: list[str] | None) -> None:
    """Refuse a template whose IAM resources the request does not acknowledge.

    Raises:
        AwsError: InsufficientCapabilitiesException.
    """
    needed = needed_capabilities(template)
    if needed and not set(given or []) & _SUFFICIENT[needed[0]]:
        raise AwsError(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{needed[0]}]"
        )


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


def parameters_of(
    template_body: str, parameters: dict[str, str], stored: dict[str, str]
) -> list[dict[str, str]]:
    """Return parameters in the form of the API, with those that are NoEcho masked."""
    resolved = masked(template_body, stored)
    return [
        {"ParameterKey": name, "ParameterValue": value}
        | ({"ResolvedValue": resolved[name]} if name in resolved else {})
        for name, value in masked(template_body, parameters).items()
    ]


def secrets_of(template_body: str) -> set[str]:
    """Return the names of a template's NoEcho parameters."""
    declared = parse(template_body).parameters
    return {n for n, d in declared.items() if scalar_text(d.get("NoEcho", False)) == "true"}


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


def is_same(stack: Stack, body: str, wanted: Wanted, tags: dict[str, str]) -> bool:
    """Return whether an update would change nothing in a stack.

    The template of a nested stack may have changed at its URL, which the update finds out.
    """
    if any(r["Type"] == NESTED for r in parse(body).resources.values()):
        return False
    now = (stack.parameters, stack.stored, stack.references, stack.tags)
    return _normal(body) == _normal(stack.template_body) and now == (
        wanted.parameters,
        wanted.stored,
        wanted.references,
        tags,
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
            "DefaultValue": None if default is None else scalar_text(default),
            "NoEcho": scalar_text(declared.get("NoEcho", False)) == "true",
            "Description": declared.get("Description"),
        }
        if types:
            entry["ParameterType"] = declared.get("Type", "String")
            allowed = [scalar_text(value) for value in declared.get("AllowedValues", [])]
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
