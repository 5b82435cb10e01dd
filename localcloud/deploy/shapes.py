"""Converts between Pulumi's values and those of an operation: case of names, kinds of numbers."""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.deploy.errors import ResourceError

# Inputs whose Pulumi name differs from the API's member: (structure, input) → member.
_RENAMED = {
    ("LifecycleRule", "id"): "ID",
    ("ServerSideEncryptionByDefault", "kmsMasterKeyId"): "KMSMasterKeyID",
    ("ServerSideEncryptionByDefault", "sseAlgorithm"): "SSEAlgorithm",
    ("NoncurrentVersionExpiration", "newerNoncurrentVersions"): "NewerNoncurrentVersions",
    ("LogsConfig", "cloudwatchLogs"): "cloudWatchLogs",
}
_INPUTS = {(shape, member): name for (shape, name), member in _RENAMED.items()}
# An abbreviation at the beginning of a member's name, such as `OK` of `OKActions`.
_ABBREVIATION = re.compile(r"^[A-Z]+(?![a-z])|^[A-Z]")


def to_shape(shape: Any, value: Any) -> Any:
    """Return the value as botocore accepts it for the shape.

    Raises:
        ResourceError: the shape has no member of this name.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        by_lower = {name.lower(): name for name in shape.members}
        result = {}
        for key, item in value.items():
            if item is None:
                continue
            member = _RENAMED.get((shape.name, key)) or by_lower.get(key.lower())
            if member is None:
                raise ResourceError(
                    f"localcloud does not support the input {key}; {shape.name} has: "
                    f"{', '.join(sorted(shape.members))}"
                )
            result[member] = to_shape(shape.members[member], item)
        return result
    if kind == "list" and isinstance(value, list):
        return [to_shape(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: to_shape(shape.value, item) for key, item in value.items()}
    if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, float):
        return f"{value:g}"
    return value


def from_shape(shape: Any, value: Any) -> Any:
    """Return an answer of botocore as Pulumi names it; a document in it becomes text again.

    Args:
        shape: botocore's shape of the value.
        value: the value, such as `{"OKActions": [...]}`, which becomes `{"okActions": [...]}`.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            _INPUTS.get((shape.name, name)) or input_name(name): from_shape(
                shape.members[name], item
            )
            for name, item in value.items()
            if name in shape.members and item is not None
        }
    if kind == "list" and isinstance(value, list):
        return [from_shape(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: from_shape(shape.value, item) for key, item in value.items()}
    if kind == "string" and isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))  # botocore has parsed the policies of IAM
    return value


def input_name(member: str) -> str:
    """Return Pulumi's name of a member: `memorySize` of `MemorySize`."""
    return _ABBREVIATION.sub(lambda found: found[0].lower(), member)
