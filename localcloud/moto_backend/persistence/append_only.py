"""Lists that only grow: log lines and metric data are appended in chunks and never rewritten."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

from localcloud.moto_backend.persistence.file import File
from localcloud.moto_backend.persistence.pickling import dump_values, load_values


class AppendOnlyLists:
    """The lists on disk, and how far each of them is written."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._last: dict[str, Any] = {}

    def names(self, prefix: str) -> list[str]:
        """Return the names of the lists on disk that begin with a prefix."""
        rows = self._file.connection.execute("SELECT DISTINCT list FROM chunk").fetchall()
        return [name for (name,) in rows if name.startswith(prefix)]

    def restore(self, name: str, find: Callable[..., Any]) -> list[Any]:
        """Return the entries of a list."""
        rows = self._file.connection.execute(
            "SELECT position, body FROM chunk WHERE list = ? ORDER BY position", (name,)
        ).fetchall()
        entries: list[Any] = []
        for position, body in rows:
            try:
                entries += load_values(body, find)
            except Exception as error:  # a damaged row may raise anything
                what = f"a part of {name}"
                self._file.set_aside(what, body, f"{type(error).__name__}: {error}")
                with contextlib.suppress(sqlite3.Error):
                    self._file.connection.execute(
                        "DELETE FROM chunk WHERE position = ?", (position,)
                    )
        if entries:
            self._last[name] = entries[-1]
        return entries

    def write(self, name: str, entries: list[Any]) -> None:
        """Append the entries that are new; entries that moto dropped stay on disk."""
        if not entries or self._last.get(name) is entries[-1]:
            return
        new = _after(entries, self._last.get(name))
        self._file.connection.execute(
            "INSERT INTO chunk (list, body) VALUES (?, ?)", (name, dump_values(new))
        )
        self._last[name] = entries[-1]

    def forget(self, name: str) -> None:
        """Delete a list."""
        self._file.connection.execute("DELETE FROM chunk WHERE list = ?", (name,))
        self._last.pop(name, None)

    def forget_others(self, prefix: str, names: set[str]) -> None:
        """Delete the lists that begin with a prefix and are not among the names."""
        for name in [n for n in self._last if n.startswith(prefix) and n not in names]:
            self.forget(name)


def _after(entries: list[Any], last: Any) -> list[Any]:
    """Return the entries after the last one that was written."""
    for index in range(len(entries) - 1, -1, -1):
        if entries[index] is last:
            return entries[index + 1 :]
    return entries
