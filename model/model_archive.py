"""Extracts the files of a model.tar.gz, and nothing else of it."""

from __future__ import annotations

import tarfile
from collections.abc import Collection
from pathlib import Path

from model.errors import ArtifactError

# The largest file of a model that is unpacked.
_MOST_BYTES = 2 * 1024**3


def extract_members(
    archive: Path, wanted: Collection[str], place: Path, most_bytes: int = _MOST_BYTES
) -> None:
    """Extract the wanted files that an archive holds at its top.

    Args:
        archive: a model.tar.gz.
        wanted: names of files.
        place: the directory to extract them to.
        most_bytes: the largest file that is extracted.

    Raises:
        ArtifactError: the archive cannot be read, or a wanted file is larger.
    """
    try:
        with tarfile.open(archive) as files:
            for member in files:
                if member.name.removeprefix("./") in wanted and member.isfile():
                    if member.size > most_bytes:
                        raise ArtifactError(f"{member.name} has over {most_bytes} bytes")
                    files.extract(member, place, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtifactError(f"{archive.name} is not a model.tar.gz: {error}") from None
