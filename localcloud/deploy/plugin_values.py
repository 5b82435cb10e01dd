"""Pulumi's values on the wire as Python's, and back: assets, secrets and unknown values. Pure.

A value with a special meaning is a struct with a signature. An asset that the engine has stored has
no content left, only its hash.

Source: https://github.com/pulumi/pulumi/blob/master/sdk/proto/pulumi/provider.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from localcloud.deploy.difference import UNKNOWN

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the kind of a value, and no secret
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def read(struct: struct_pb2.Struct, *, content: bool) -> dict[str, Any]:
    """Return the values of a struct.

    Args:
        struct: the values on the wire.
        content: return assets as Pulumi's assets, and not as their hashes.
    """
    found: dict[str, Any] = json_format.MessageToDict(struct)
    return {key: _read(value, content) for key, value in found.items()}


def write(outputs: Mapping[str, Any], *given: struct_pb2.Struct) -> struct_pb2.Struct:
    """Return outputs on the wire; an asset is the one on the wire that has its name.

    Args:
        outputs: the values.
        given: values on the wire, the first of which has the name of an output wins.
    """
    found = struct_pb2.Struct()
    for key, value in outputs.items():
        original = next((s.fields[key] for s in given if key in s.fields), None)
        if original is not None and _has_asset(json_format.MessageToDict(original)):
            found.fields[key].CopyFrom(original)
        elif value is not None:
            found.update({key: value})
    return found


def is_unknown(value: Any) -> bool:
    """Return whether a value, or a part of it, is not known yet."""
    if isinstance(value, dict):
        return any(is_unknown(inner) for inner in value.values())
    if isinstance(value, list):
        return any(is_unknown(inner) for inner in value)
    return bool(value == UNKNOWN)


def _read(value: Any, content: bool) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_read(inner, content) for inner in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_SIGNATURE)
    if kind in (_SECRET, _OUTPUT):
        return _read(value.get("value", UNKNOWN), content)
    if kind in (_ASSET, _ARCHIVE):
        return _asset(value, kind) if content else {"sha256": value.get("hash", "")}
    return {key: _read(inner, content) for key, inner in value.items()}


def _asset(value: dict[str, Any], kind: str) -> Any:
    import pulumi

    if kind == _ARCHIVE:
        if "assets" in value:
            members = {
                name: _asset(inner, inner[_SIGNATURE]) for name, inner in value["assets"].items()
            }
            return pulumi.AssetArchive(members)
        if "path" in value:
            return pulumi.FileArchive(value["path"])
    elif "text" in value:
        return pulumi.StringAsset(value["text"])
    elif "path" in value:
        return pulumi.FileAsset(value["path"])
    if "uri" in value:
        return pulumi.RemoteArchive(value["uri"])  # which `content_of` refuses by name
    return {"sha256": value.get("hash", "")}


def _has_asset(value: Any) -> bool:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) in (_ASSET, _ARCHIVE):
            return True
        return any(_has_asset(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_asset(inner) for inner in value)
