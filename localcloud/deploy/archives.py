"""Converts Pulumi's assets and archives to bytes; equal content always gives equal bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED_PARTS = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def is_asset(value: Any) -> bool:
    """Return whether a value is one of Pulumi's assets or archives."""
    import pulumi

    return isinstance(value, (pulumi.Asset, pulumi.Archive))


def content_of(value: Any) -> bytes:
    """Return an asset's bytes, or an archive as a zip file.

    Raises:
        ValueError: the asset is remote, and localcloud fetches nothing from the network.
    """
    import pulumi

    if isinstance(value, pulumi.StringAsset):
        return value.text.encode()
    if isinstance(value, pulumi.FileAsset):
        return Path(value.path).read_bytes()
    if isinstance(value, (pulumi.AssetArchive, pulumi.FileArchive)):
        return _zip(_members(value))
    raise ValueError(
        f"{type(value).__name__} is not supported: localcloud fetches nothing from the network; "
        "use a local file"
    )


def with_digests(value: Any) -> Any:
    """Return inputs with each asset replaced by its digest, so they can be compared and stored."""
    if is_asset(value):
        return {"sha256": hashlib.sha256(content_of(value)).hexdigest()}
    if isinstance(value, dict):
        return {key: with_digests(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_digests(item) for item in value]
    return value


def _members(archive: Any) -> dict[str, bytes]:
    import pulumi

    if isinstance(archive, pulumi.FileArchive):
        path = Path(archive.path)
        if path.is_file():
            with zipfile.ZipFile(path) as existing:
                return {name: existing.read(name) for name in existing.namelist()}
        return {
            str(file.relative_to(path)): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file() and not _SKIPPED_PARTS & set(file.relative_to(path).parts)
        }
    members: dict[str, bytes] = {}
    for name, item in archive.assets.items():
        if isinstance(item, pulumi.Archive):
            members |= {f"{name}/{inner}": body for inner, body in _members(item).items()}
        else:
            members[name] = content_of(item)
    return members


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
