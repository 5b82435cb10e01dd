"""The values that a template takes from Parameter Store before anything is created.

A parameter of an AWS::SSM::Parameter::Value type names a parameter of Parameter Store. It is looked
up at each creation, update and change set, like the dynamic references {{resolve:ssm:…}}.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
Differs: a missing parameter of the type AWS::SSM::Parameter::Name is refused, where AWS rolls a new
stack back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from botocore.exceptions import ClientError

from localcloud.aws.routing import Scope
from localcloud.cloudformation.parameters import SSM_NAME, members, stored_type
from localcloud.cloudformation.template import Template, TemplateError
from localcloud.service_context import ServiceContext

_MISSING = ("ParameterNotFound", "ParameterVersionNotFound", "ValidationException")
_SECURE = "SecureString"
_NAME = re.compile(r"[^:]+|arn:[^:]*:ssm:[^:]*:[^:]*:parameter/[^:]+")
_MOST_REFERENCES = 60


async def stored_values(
    context: ServiceContext, scope: Scope, template: Template, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Return the values of the parameters that stand for a value of Parameter Store.

    Args:
        context: what services share.
        scope: the account and region of the stack.
        template: the template.
        parameters: the values of its parameters, which are names in Parameter Store.

    Raises:
        TemplateError: a parameter is not there, or of another type; with AWS's text.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for parameter, declared in template.parameters.items():
        wanted = stored_type(declared)
        name = parameters.get(parameter)
        if name is None or (wanted is None and declared.get("Type") != SSM_NAME):
            continue
        stored = await _stored(context, scope, name)
        if wanted is None:
            if stored is None:
                raise TemplateError(
                    f"Parameter validation failed: parameter value {name} for parameter name "
                    f"{parameter} does not exist"
                )
            continue
        if stored is None:
            missing.append(name)
            continue
        kind, value = stored
        if kind == _SECURE:
            raise TemplateError(
                f"Parameters [{name}] referenced by template have types not supported by "
                "CloudFormation."
            )
        if (kind == "StringList") != (wanted != "String"):
            raise TemplateError(
                f"Types for SSM parameters [{name}] defined in CFN template and SSM are "
                "incompatible"
            )
        found[parameter] = ",".join(members(value)) if kind == "StringList" else value
    if missing:
        raise _missing(missing)
    return found


async def check_references(
    context: ServiceContext, scope: Scope, names: Iterable[str]
) -> dict[str, str]:
    """Return the values of dynamic references to Parameter Store.

    Args:
        context: what services share.
        scope: the account and region of the stack.
        names: names in Parameter Store, each with or without a version.

    Raises:
        TemplateError: a parameter is not there, or secure; with AWS's text.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    wanted = sorted(set(names))
    if len(wanted) > _MOST_REFERENCES:
        raise TemplateError(f"A template may have {_MOST_REFERENCES} dynamic references.")
    for name in wanted:
        stored = await _stored(context, scope, name)
        if stored is None:
            missing.append(name)
        elif stored[0] == _SECURE:
            raise TemplateError(
                f"Non-secure ssm prefix was used for secure parameter {name.partition(':')[0]}"
            )
        else:
            found[name] = stored[1]
    if missing:
        raise _missing(missing)
    return found


def _missing(names: list[str]) -> TemplateError:
    return TemplateError(
        f"Unable to fetch parameters [{','.join(names)}] from parameter store for this account."
    )


async def _stored(context: ServiceContext, scope: Scope, name: str) -> tuple[str, str] | None:
    """Return the type and the value of a parameter, or None if there is none of that name."""
    base, version = name, ""
    if not _NAME.fullmatch(name):
        base, _, version = name.rpartition(":")
        # A label is not accepted.
        if not version.isdecimal() or not _NAME.fullmatch(base):
            return None
    try:
        answer = await context.api(scope, "ssm", "get_parameter", Name=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise TemplateError(f"{base}: {error}") from None
    except Exception as error:  # a name that botocore does not send
        raise TemplateError(f"{base}: {error}") from None
    return str(answer["Parameter"]["Type"]), str(answer["Parameter"]["Value"])
