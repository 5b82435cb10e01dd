"""The objects of an S3DataSource: all under a prefix, or those that a manifest names.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SUPPORTED_TYPES = ("S3Prefix", "ManifestFile")


class SourceError(Exception):
    """A manifest that is not valid."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a source.

    Attributes:
        relative: its path below the last slash of the source, which names a transform's output.
        path: its path in a channel. There a prefix that is a folder's name is the folder, with or
            without a slash at its end.
    """

    bucket: str
    key: str
    relative: str
    path: str


def objects_of(s3: Any, source: dict[str, Any]) -> list[Found]:
    """Return the objects of a source, sorted; it blocks.

    Args:
        s3: a boto3 client.
        source: an S3DataSource, with S3DataType and S3Uri.

    Raises:
        SourceError: the manifest is not valid.
        s3.exceptions.ClientError: an object does not exist, or may not be read.
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
                relative = (name[len(base) :] if name.startswith(base) else name).lstrip("/")
                inside = key != "" and name.startswith(f"{key}/")
                path = name[len(key) + 1 :].lstrip("/") if inside else relative
                found.append(Found(bucket, name, relative, path))
    return sorted(found, key=lambda entry: entry.key)


def _of_manifest(body: bytes, uri: str) -> list[Found]:
    """Return the objects of a manifest, `[{"prefix": "s3://bucket/some/"}, "relative", …]`."""
    try:
        first, *names = json.loads(body)
        prefix: str = first["prefix"]
        bucket, _, base = prefix.removeprefix("s3://").partition("/")
        if not prefix.startswith("s3://") or not all(isinstance(name, str) for name in names):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise SourceError(
            f'{uri} is not a manifest: it must be [{{"prefix": "s3://…"}}, "name", …].'
        ) from None
    paths = [(name, name.lstrip("/")) for name in names]
    return [Found(bucket, base + name, path, path) for name, path in paths]
