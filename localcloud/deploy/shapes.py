"""Pulumi's values fitted to an operation's shape: names in another case, numbers as floats."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.errors import ResourceError

# Where a Pulumi input has another name than the API's member: (structure, input) → member.
_RENAMED = {
    ("LifecycleRule", "id"): "ID",
    ("ServerSideEncryptionByDefault", "kmsMasterKeyId"): "KMSMasterKeyID",
    ("ServerSideEncryptionByDefault", "sseAlgorithm"): "SSEAlgorithm",
    ("NoncurrentVersionExpiration", "newerNoncurrentVersions"): "NewerNoncurrentVersions",
}


def fitted(shape: Any, value: Any) -> Any:
    """Return a value that botocore accepts for the shape.

    Raises:
        ResourceError: a member that the shape does not have.
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
                    f"the local cloud does not know the input {key}; {shape.name} has: "
                    f"{', '.join(sorted(shape.members))}"
                )
            result[member] = fitted(shape.members[member], item)
        return result
    if kind == "list" and isinstance(value, list):
        return [fitted(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: fitted(shape.value, item) for key, item in value.items()}
    if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, float):
        return f"{value:g}"
    return value
