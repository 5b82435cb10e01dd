"""A Docker build context as a tar archive, without what .dockerignore names.

Hard and symbolic links are kept as links, and no link is followed.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
Differs: exceptions (`!pattern`) are not applied; a pattern also matches a name at any depth.
"""

from __future__ import annotations

import fnmatch
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

_ALWAYS_IGNORED = ("__pycache__", "*.pyc", ".git", ".DS_Store", ".mypy_cache", ".ruff_cache")


def pack(directory: Path) -> bytes:
    """Return a directory as a tar archive, without what .dockerignore names."""
    ignored = [*_ALWAYS_IGNORED, *_dockerignore(directory)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(_entries(directory)):
            relative = path.relative_to(directory)
            # The Dockerfile is always sent, as Docker does, even when it is ignored for COPY.
            if str(relative) == "Dockerfile" or not _is_ignored(relative, ignored):
                archive.add(path, arcname=str(relative), recursive=False)
    return buffer.getvalue()


def _entries(directory: Path) -> Iterator[Path]:
    """Yield the files and links below a directory, without following a link to a directory."""
    for parent, directories, files in os.walk(directory, followlinks=False):
        for name in (*directories, *files):
            path = Path(parent, name)
            if path.is_symlink() or path.is_file():
                yield path


def _dockerignore(directory: Path) -> list[str]:
    file = directory / ".dockerignore"
    if not file.exists():
        return []
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line.strip("/").removeprefix("**/") for line in lines if line and line[0] not in "#!"]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    # A pattern that names a directory ignores all below it.
    named = {*path.parts, *(str(part) for part in (path, *path.parents) if part.name)}
    return any(fnmatch.fnmatch(name, pattern) for name in named for pattern in patterns)
