"""Dynamic references: values that a template takes from Parameter Store and Secrets Manager.

They are resolved each time a resource is created or changed, and never stored: the stack's record
keeps the reference, so that a secret gets into no state and no answer.

    {{resolve:ssm:NAME}}, {{resolve:ssm:NAME:VERSION}}
    {{resolve:secretsmanager:ID:SecretString:KEY:STAGE:VERSION}}, all after ID optional

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
`ssm-secure` is refused, because no resource type here has a property that may use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from localcloud.cloudformation.resource_types.base import Call, ResourceFailed
from localcloud.cloudformation.template import TemplateError

_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")
# The id of a secret may be an ARN, whose colons do not separate the parts.
_SECRET = re.compile(
    r"(?P<id>arn:[^:]+:secretsmanager:[^:]+:\d+:secret:[^:]+|[^:]+)"
    r"(:SecretString(:(?P<key>[^:]*)(:(?P<stage>[^:]*)(:(?P<version>[^:]*))?)?)?)?"
)
_STORED = re.compile(r"[^:]+(:\d+)?")
_MOST = 60  # of one template


def stored_references(value: Any, path: str) -> set[str]:
    """Return the names, with their versions, that a value takes from Parameter Store. Pure.

    Args:
        value: rendered properties.
        path: where they stand in the template.

    Raises:
        TemplateError: a reference is malformed, or of a kind that no property may have here.
    """
    found: set[str] = set()
    for text, place in _places(value, path):
        for match in _REFERENCE.finditer(text):
            if match[1] == "ssm-secure":
                raise TemplateError(f"SSM Secure reference is not supported in: [{place}]")
            if match[1] == "ssm":
                if not _STORED.fullmatch(match[2]):
                    raise TemplateError(
                        f"Incorrect format is used in the following SSM reference: [{match[0]}]"
                    )
                found.add(match[2])
            elif match[1] != "secretsmanager" or not _SECRET.fullmatch(match[2]):
                raise TemplateError(f"The local cloud does not resolve {match[0]}")
    return found


def _places(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(value, path)] if "{{resolve:" in value else []
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in _places(item, f"{path}/{key}")]
    if isinstance(value, list):
        return [one for item in value for one in _places(item, path)]
    return []


def with_stored(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value with its references to Parameter Store replaced. Pure.

    Args:
        value: rendered properties.
        values: the values of references, by names with their versions.
    """
    return _replaced(value, {f"{{{{resolve:ssm:{name}}}}}": text for name, text in values.items()})


async def resolved(call: Call, value: Any) -> Any:
    """Return a resource's properties with every dynamic reference replaced by its value.

    Raises:
        ResourceFailed: a reference cannot be resolved, or there are too many.
    """
    found: dict[str, str] = {}
    for text in _texts(value):
        for match in _REFERENCE.finditer(text):
            if match[0] not in found:
                if len(found) == _MOST:
                    raise ResourceFailed(f"a template may have {_MOST} dynamic references")
                found[match[0]] = await _value_of(call, match[1], match[2])
    return _replaced(value, found) if found else value


async def _value_of(call: Call, service: str, rest: str) -> str:
    if service == "ssm":
        name, _, version = rest.partition(":")
        wanted = f"{name}:{version}" if version else name
        answer = await call.api("ssm", "get_parameter", Name=wanted)
        if answer["Parameter"]["Type"] == "SecureString":
            raise ResourceFailed(
                f"The parameter {name} is a SecureString: {{{{resolve:ssm:…}}}} reads String and "
                "StringList only"
            )
        return str(answer["Parameter"]["Value"])
    if service == "secretsmanager":
        parts = _SECRET.fullmatch(rest)
        if parts is None:
            raise ResourceFailed(f"Invalid dynamic reference: secretsmanager:{rest}")
        more = {
            name: parts[group]
            for name, group in (("VersionStage", "stage"), ("VersionId", "version"))
            if parts[group]
        }
        try:
            answer = await call.api(
                "secretsmanager", "get_secret_value", SecretId=parts["id"], **more
            )
        except ResourceFailed as error:
            raise ResourceFailed(
                f"{error.told} (Service: AWSSecretsManager; Status Code: 400; Error Code: "
                f"{error.code})",
                code=error.code,
                told=error.told,
            ) from error
        return _member(parts["id"], str(answer.get("SecretString", "")), parts["key"])
    raise ResourceFailed(f"The local cloud does not resolve {{{{resolve:{service}:…}}}}")


def _member(secret: str, text: str, key: str | None) -> str:
    if not key:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        raise ResourceFailed("Could not parse SecretString JSON") from None
    try:
        return str(found[key])
    except (KeyError, TypeError):
        raise ResourceFailed(
            f"Could not find a value associated with JSONKey in SecretString: {secret}, {key}"
        ) from None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if "{{resolve:" in value else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _replaced(value: Any, found: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: found.get(match[0], match[0]), value)
    if isinstance(value, dict):
        return {key: _replaced(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, found) for item in value]
    return value
