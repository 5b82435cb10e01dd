"""Records of our own services: typed, in memory, and written through to SQLite.

A record is a dataclass. `put` writes it before it returns, so that a `kill -9` loses no finished
step. A record that cannot be read back, because it is damaged or an older version wrote it, is set
aside and named in the log; the rest is loaded. Use it in the event loop's thread only.

A write that the disk refuses, because it is full, is postponed: work in progress goes on, and
`flush` writes the record when there is room. The gateway acknowledges no change as long as a write
is postponed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from localcloud.core.state_directory import unreadable

T = TypeVar("T")
log = logging.getLogger("localcloud.core.store")

_NONE = object()
_MOST_PAGES = 4294967294  # SQLite's own limit


class UnreadableRecord(ValueError):
    """A record that could not be read back, for example because a number in it is not finite."""


class Database:
    """The SQLite file in the state directory, or a database in memory.

    Attributes:
        set_aside: the number of records that could not be read since it was opened.
        on_change: called with the name of a collection when one of its records changes.

    Raises:
        StateDirectoryError: the file cannot be opened or written.
    """

    def __init__(self, path: Path | None) -> None:
        self.set_aside = 0
        self.on_change: Callable[[str], None] = _ignore
        self._path = path
        # (collection, key) → the body to write, or None to delete the record.
        self._postponed: dict[tuple[str, str], bytes | None] = {}
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Variables of functions and parameters of stacks may hold secrets.
                path.touch(mode=0o600)
                os.chmod(path, 0o600)
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
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS set_aside ("
                "collection TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, "
                "reason TEXT NOT NULL)"
            )
        except (sqlite3.Error, OSError) as error:
            raise unreadable(path, error) from None

    def rows(self, collection: str) -> list[tuple[str, bytes]]:
        """Return every (key, body) of a collection.

        Raises:
            StateDirectoryError: the file is damaged.
        """
        try:
            return self._connection.execute(
                "SELECT key, body FROM record WHERE collection = ?", (collection,)
            ).fetchall()
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from None

    def write(self, collection: str, key: str, body: bytes) -> None:
        """Insert or replace one record, later if the disk refuses it now."""
        self._change(collection, key, body)
        self.on_change(collection)

    def remove(self, collection: str, key: str) -> None:
        """Delete one record, later if the disk refuses it now."""
        self._change(collection, key, None)
        self.on_change(collection)

    @property
    def postponed(self) -> int:
        """Return how many writes the disk has refused so far."""
        return len(self._postponed)

    def flush(self) -> bool:
        """Write what was postponed; return whether everything is on disk."""
        for (collection, key), body in list(self._postponed.items()):
            self._change(collection, key, body)
            if (collection, key) in self._postponed:
                return False
        return True

    def _change(self, collection: str, key: str, body: bytes | None) -> None:
        try:
            self._execute(collection, key, body)
        except sqlite3.OperationalError as error:
            if not self._postponed:
                log.error("writes are postponed until %s can be written: %s", self._path, error)
            self._postponed[collection, key] = body
        else:
            if self._postponed.pop((collection, key), _NONE) is not _NONE and not self._postponed:
                log.info("every postponed write is on disk")

    def _execute(self, collection: str, key: str, body: bytes | None) -> None:
        if body is None:
            self._connection.execute(
                "DELETE FROM record WHERE collection = ? AND key = ?", (collection, key)
            )
        else:
            self._connection.execute(
                "INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (collection, key, body)
            )

    def put_aside(self, collection: str, key: str, body: bytes, reason: str) -> None:
        """Move a record that cannot be read to the table `set_aside`, and name it in the log."""
        self.set_aside += 1
        log.warning(
            "The record '%s' of %s cannot be read (%s). It was moved to the table set_aside of %s; "
            "everything else was loaded.",
            key,
            collection,
            reason,
            self._path or "the database",
        )
        try:
            with self._connection:
                self._connection.execute("BEGIN")
                self._connection.execute(
                    "INSERT INTO set_aside VALUES (?, ?, ?, ?)", (collection, key, body, reason)
                )
                self._execute(collection, key, None)
        except sqlite3.Error as error:  # it stays where it is, and the next start meets it again
            log.warning("The record could not be moved: %s", error)

    def limit_growth(self, limited: bool) -> None:
        """Let the file grow no more, as on a full disk, or let it grow again."""
        limit_growth(self._connection, limited)

    def close(self) -> None:
        """Write what was postponed, if possible, and close the file."""
        self.flush()
        self._connection.close()


def _ignore(_collection: str) -> None:
    """Do nothing: nobody watches the records."""


def limit_growth(connection: sqlite3.Connection, limited: bool) -> None:
    """Let a database grow no more, or let it grow again.

    Source: https://www.sqlite.org/pragma.html#pragma_max_page_count
    """
    pages = connection.execute("PRAGMA page_count").fetchone()[0] if limited else _MOST_PAGES
    connection.execute(f"PRAGMA max_page_count = {pages:d}")


class Collection(Generic[T]):
    """A dictionary of records of one type that survives a restart."""

    def __init__(self, database: Database, name: str, record_type: type[T]) -> None:
        self._database = database
        self._name = name
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(record_type)
        self._records: dict[str, T] = {}
        # Name of an order → the keys of the records and the records, in that order.
        self._orders: dict[object, tuple[list[Any], list[T]]] = {}
        for key, body in database.rows(name):
            try:
                self._records[key] = self._decoder.decode(body)
            except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
                database.put_aside(name, key, body, str(error))

    def get(self, key: str) -> T | None:
        """Return the record, or None."""
        return self._records.get(key)

    def put(self, key: str, record: T) -> None:
        """Store the record under the key, on disk and in memory.

        Raises:
            UnreadableRecord: the record could not be read back; nothing was stored.
        """
        body = msgspec.json.encode(record)
        try:
            # What is written here must not stop a later start. msgspec, for example, writes NaN
            # as null, which is no number when it is read.
            self._decoder.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise UnreadableRecord(f"the record '{key}' of {self._name}: {error}") from None
        self._database.write(self._name, key, body)
        self._records[key] = record
        self._orders.clear()

    def delete(self, key: str) -> None:
        """Delete the record; a missing one is no error."""
        self._database.remove(self._name, key)
        self._records.pop(key, None)
        self._orders.clear()

    def items(self) -> list[tuple[str, T]]:
        """Return a copy of the pairs, so that the collection may change while a caller iterates."""
        return list(self._records.items())

    def values(self) -> list[T]:
        """Return a copy of the records."""
        return list(self._records.values())

    def ordered(self, name: object, key: Callable[[T], Any]) -> tuple[list[Any], list[T]]:
        """Return the keys of all records and the records, ascending; do not change the lists.

        They are sorted once, until the next change of the collection, so that a page of a list
        costs what it has and not what there is.

        Args:
            name: names the key function.
            key: returns the sort key of a record, which only a `put` changes.
        """
        found = self._orders.get(name)
        if found is None:
            pairs = sorted(((key(r), r) for r in self._records.values()), key=itemgetter(0))
            found = self._orders[name] = ([k for k, _ in pairs], [r for _, r in pairs])
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._records))
