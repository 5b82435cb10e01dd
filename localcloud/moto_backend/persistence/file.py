"""The SQLite file of moto's services: backends, S3's objects, chunks of append-only lists."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger("localcloud.moto_backend")

_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS backend (
    service TEXT, account TEXT, region TEXT, body BLOB NOT NULL,
    PRIMARY KEY (service, account, region)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (bucket, name, version));
CREATE TABLE IF NOT EXISTS chunk (
    position INTEGER PRIMARY KEY AUTOINCREMENT, list TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunk_by_list ON chunk (list);
CREATE TABLE IF NOT EXISTS undelivered (
    position INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS set_aside (
    what TEXT NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL);
"""


class File:
    """The file; each call is a transaction unless the caller began one on `connection`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds the contents of buckets and secrets, so only the owner may read it.
        path.touch(mode=0o600)
        os.chmod(path, 0o600)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.executescript(_TABLES)

    def set_aside(self, what: str, body: bytes, reason: str) -> None:
        """Keep what cannot be read in a table of its own, and name it in the log."""
        log.warning(
            "%s cannot be read (%s). It was moved to the table set_aside of %s; everything else "
            "was loaded.",
            what,
            reason,
            self.path,
        )
        try:
            self.connection.execute("INSERT INTO set_aside VALUES (?, ?, ?)", (what, body, reason))
        except sqlite3.Error as error:
            log.warning("%s could not be moved: %s", what, error)

    def about(self, name: str) -> str | None:
        """Return a property of the file, such as the version of moto that wrote it."""
        row = self.connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Set a property of the file."""
        self.connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close it."""
        self.connection.close()
