"""Which objects an S3DataSource means: all under a prefix, or those that a manifest names.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SUPPORTED_TYPES = ("S3Prefix", "ManifestFile")


class SourceError(Exception):
    """A source that cannot be read as what it says it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a source.

    Attributes:
        relative: its place below the source, by which what becomes of it is named.
    """

    bucket: str
    key: str
    relative: str


def objects_of(s3: Any, source: dict[str, Any]) -> list[Found]:
    """Return the objects of a source, sorted (blocking).

    Args:
        s3: a client.
        source: S3DataType and S3Uri.

    Raises:
        SourceError: a manifest that is none.
        s3.exceptions.ClientError: something may not be read, or is not there.
    """
    bucket, _, key = source["S3Uri"].removeprefix("s3://").partition("/")
    if source["S3DataType"] == "ManifestFile":
        return _of_manifest(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), source["S3Uri"])
    base = key if key.endswith("/") else key.rpartition("/")[0] + "/"
    found: list[Found] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        for entry in page.get("Contents", []):
            name: str = entry["Key"]
            if not name.endswith("/"):
                relative = name[len(base) :] if name.startswith(base) else name
                found.append(Found(bucket, name, relative.lstrip("/")))
    return sorted(found, key=lambda entry: entry.key)


def _of_manifest(body: bytes, uri: str) -> list[Found]:
    """Read `[{"prefix": "s3://bucket/some/"}, "relative", …]`."""
    try:
        first, *names = json.loads(body)
        prefix: str = first["prefix"]
        bucket, _, base = prefix.removeprefix("s3://").partition("/")
        if not prefix.startswith("s3://") or not all(isinstance(name, str) for name in names):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise SourceError(
            f'{uri} is no manifest: it must be [{{"prefix": "s3://…"}}, "name", …].'
        ) from None
    return [Found(bucket, base + name, name.lstrip("/")) for name in names]
