"""Converts Pulumi's values to the parameters of an operation: case of names, floats to integers."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.errors import ResourceError

# Inputs whose Pulumi name differs from the API's member: (structure, input) → member.
_RENAMED = {
    ("LifecycleRule", "id"): "ID",
    ("ServerSideEncryptionByDefault", "kmsMasterKeyId"): "KMSMasterKeyID",
    ("ServerSideEncryptionByDefault", "sseAlgorithm"): "SSEAlgorithm",
    ("NoncurrentVersionExpiration", "newerNoncurrentVersions"): "NewerNoncurrentVersions",
}


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
