"""S3's objects on disk: one row per version, so that a put writes one object, not the bucket."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from localcloud.moto_backend.persistence.file import File
from localcloud.moto_backend.persistence.pickling import dump_values, load_values


class Objects:
    """The object versions on disk."""

    def __init__(self, file: File) -> None:
        self._file = file
        # Bucket → object name → the versions on disk.
        self._written: dict[str, dict[str, list[str]]] = defaultdict(dict)

    def restore(
        self, buckets: dict[str, Any], find: Callable[..., Any], *, complete: bool = True
    ) -> None:
        """Add the objects to their empty buckets, oldest version first.

        Args:
            buckets: the buckets by name.
            find: returns the backend of a service, an account and a region.
            complete: whether these are all buckets; otherwise an object without a bucket stays on
                disk.
        """
        rows = self._file.connection.execute(
            "SELECT position, bucket, name, version, body FROM object ORDER BY position"
        ).fetchall()
        self._written.clear()
        gone = set()
        for position, bucket_name, name, version, body in rows:
            bucket = buckets.get(bucket_name)
            if bucket is None:
                gone.add(bucket_name)
                continue
            try:
                entry = load_values(body, find)
            except Exception as error:  # a damaged row may raise anything
                what = f"the object s3://{bucket_name}/{name}, version {version},"
                self._file.set_aside(what, body, f"{type(error).__name__}: {error}")
                with contextlib.suppress(sqlite3.Error):
                    self._file.connection.execute(
                        "DELETE FROM object WHERE position = ?", (position,)
                    )
                continue
            versions = bucket.keys.getlist(name, [])
            bucket.keys.setlist(name, [*versions, entry])
            self._written[bucket_name].setdefault(name, []).append(version)
        for bucket_name in gone if complete else ():
            self._file.connection.execute("DELETE FROM object WHERE bucket = ?", (bucket_name,))

    def write(self, bucket: Any, name: str, rewritten: str | None = None) -> None:
        """Write the new versions of one object, and delete those that are gone.

        Args:
            bucket: moto's bucket.
            name: the name of the object.
            rewritten: the version that was changed; None for the newest.
        """
        versions = bucket.keys.getlist(name, [])
        current = [_version(version) for version in versions]
        written = self._written[bucket.name].get(name, [])
        connection = self._file.connection
        for version in set(written) - set(current):
            connection.execute(
                "DELETE FROM object WHERE bucket = ? AND name = ? AND version = ?",
                (bucket.name, name, version),
            )
        for position, (version, entry) in enumerate(zip(current, versions, strict=True)):
            newest = position == len(current) - 1
            if version not in written or (newest and rewritten is None):
                # A new position, so that the newest version comes last even if its name was used
                # before.
                connection.execute(
                    "INSERT OR REPLACE INTO object (bucket, name, version, body) "
                    "VALUES (?, ?, ?, ?)",
                    (bucket.name, name, version, dump_values(entry)),
                )
            elif version == rewritten:
                connection.execute(
                    "UPDATE object SET body = ? WHERE bucket = ? AND name = ? AND version = ?",
                    (dump_values(entry), bucket.name, name, version),
                )
        if current:
            self._written[bucket.name][name] = current
        else:
            self._written[bucket.name].pop(name, None)

    def sweep(self, bucket: Any) -> None:
        """Write every difference between a bucket and the disk."""
        written = self._written[bucket.name]
        current = {
            name: [_version(version) for version in dict.__getitem__(bucket.keys, name)]
            for name in list(dict.keys(bucket.keys))
        }
        if current == written:
            return
        for name in {*written, *current}:
            if written.get(name) != current.get(name):
                self.write(bucket, name)

    def forget_others(self, buckets: set[str]) -> None:
        """Delete the objects of buckets that are gone."""
        for name in set(self._written) - buckets:
            self._file.connection.execute("DELETE FROM object WHERE bucket = ?", (name,))
            del self._written[name]

    def holds(self, bucket: Any, name: str) -> bool:
        """Return whether an object of that name exists or is on disk."""
        return name in self._written[bucket.name] or dict.__contains__(bucket.keys, name)


def _version(entry: Any) -> str:
    return str(entry.version_id)
