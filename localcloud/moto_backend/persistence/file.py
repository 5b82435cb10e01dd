"""The SQLite file of the passive services: backends, S3's objects, chunks of growing lists."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

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
"""


class File:
    """The file; each call is a transaction of its own unless `connection` says otherwise."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds what buckets and secrets hold: its owner's eyes only.
        path.touch(mode=0o600)
        os.chmod(path, 0o600)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.executescript(_TABLES)

    def about(self, name: str) -> str | None:
        """Return a fact about the file."""
        row = self.connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Keep a fact about the file."""
        self.connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close it."""
        self.connection.close()
