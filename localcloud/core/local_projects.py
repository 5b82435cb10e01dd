"""A project in a directory of an image that this environment was given from the same files.

`pip install ./tree_walk` builds a package. Where the environment's own package of that name was
installed from a directory with the same files, the build would make what is here already.

Source: https://packaging.python.org/en/latest/specifications/direct-url/
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

# The directory that the environment's package of a name was installed from, or None.
Origin: TypeAlias = Callable[[str], Path | None]

_MOST_FILES, _MOST_BYTES = 200, 4 * 1024**2
_LEFT_OUT = frozenset({"__pycache__", "build", "dist"})


def installed_from(name: str) -> Path | None:
    """Return the directory that a package was installed from, or None."""
    try:
        text = distribution(name).read_text("direct_url.json")
        found = json.loads(text or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    url = urlsplit(str(found.get("url", ""))) if "dir_info" in found else None
    directory = Path(unquote(url.path)) if url is not None and url.scheme == "file" else None
    return directory if directory is not None and directory.is_dir() else None


def has_same_files(directory: Path, read: Callable[[str], bytes | None], place: str) -> bool:
    """Return whether a directory of an image holds the files of a directory of this machine.

    Args:
        directory: the directory of this machine.
        read: reads a file of the image by its absolute path.
        place: the absolute path of the image's directory.
    """
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    kept = [
        path
        for path in files
        if not any(
            part in _LEFT_OUT or part.endswith(".egg-info")
            for part in path.relative_to(directory).parts
        )
    ]
    if not kept or len(kept) > _MOST_FILES or sum(p.stat().st_size for p in kept) > _MOST_BYTES:
        return False
    return all(
        read(f"{place}/{path.relative_to(directory).as_posix()}") == path.read_bytes()
        for path in kept
    )
