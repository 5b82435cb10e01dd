"""Records of our own services: typed, in memory, and written through to SQLite.

A record is a dataclass. `put` writes it before it returns, so that a `kill -9` loses no finished
step. Use it in the event loop's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Database:
    """The SQLite file in the state directory, or a database in memory."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS record ("
            "collection TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, "
            "PRIMARY KEY (collection, key)) WITHOUT ROWID"
        )

    def rows(self, collection: str) -> list[tuple[str, bytes]]:
        """Return every (key, body) of a collection."""
        return self._connection.execute(
            "SELECT key, body FROM record WHERE collection = ?", (collection,)
        ).fetchall()

    def write(self, collection: str, key: str, body: bytes) -> None:
        """Insert or replace one record."""
        self._connection.execute(
            "INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (collection, key, body)
        )

    def remove(self, collection: str, key: str) -> None:
        """Delete one record."""
        self._connection.execute(
            "DELETE FROM record WHERE collection = ? AND key = ?", (collection, key)
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Collection(Generic[T]):
    """A dictionary of records of one type that survives a restart."""

    def __init__(self, database: Database, name: str, record_type: type[T]) -> None:
        self._database = database
        self._name = name
        decoder = msgspec.json.Decoder(record_type)
        self._records: dict[str, T] = {
            key: decoder.decode(body) for key, body in database.rows(name)
        }

    def get(self, key: str) -> T | None:
        """Return the record, or None."""
        return self._records.get(key)

    def put(self, key: str, record: T) -> None:
        """Store the record under the key, in memory and on disk."""
        self._records[key] = record
        self._database.write(self._name, key, msgspec.json.encode(record))

    def delete(self, key: str) -> None:
        """Delete the record; a missing one is no error."""
        self._records.pop(key, None)
        self._database.remove(self._name, key)

    def items(self) -> list[tuple[str, T]]:
        """Return a copy of the pairs, so that the collection may change while a caller iterates."""
        return list(self._records.items())

    def values(self) -> list[T]:
        """Return a copy of the records."""
        return list(self._records.values())

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._records))
