"""`localcloud image push`: a build context as a tar archive, to the local cloud."""

from __future__ import annotations

import fnmatch
import io
import json
import tarfile
from pathlib import Path

from localcloud.cli.console import CommandError, client, post

_ALWAYS_IGNORED = ("__pycache__", "*.pyc", ".git", ".DS_Store", ".mypy_cache", ".ruff_cache")


def push(
    directory: Path, repository: str, url: str, *, tag: str = "", release: str = ""
) -> dict[str, str]:
    """Push a directory; return its digest and URIs.

    Args:
        directory: the build context, with a Dockerfile.
        repository: of ECR.
        url: of the local cloud.
        tag: empty for one that follows from the content.
        release: SSM parameter that is to hold the image, by digest; empty for none.

    Raises:
        CommandError: no such directory, no Dockerfile, or the cloud refused it.
    """
    if not (directory / "Dockerfile").is_file():
        raise CommandError(f"{directory} holds no Dockerfile; give the directory of a container")
    body = pack(directory)
    answer = post(f"{url}/_localcloud/images?repository={repository}&tag={tag}", body)
    result: dict[str, str] = json.loads(answer)
    if release:
        # What the image build does on AWS as its last step.
        client("ssm", url).put_parameter(
            Name=release, Value=result["uri"], Type="String", Overwrite=True
        )
    return result


def pack(directory: Path) -> bytes:
    """Return a directory as a tar archive, without what .dockerignore names."""
    ignored = [*_ALWAYS_IGNORED, *_dockerignore(directory)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(directory.rglob("*")):
            relative = path.relative_to(directory)
            # The Dockerfile is always sent, as Docker does, even when it is ignored for COPY.
            wanted = str(relative) == "Dockerfile" or not _is_ignored(relative, ignored)
            if path.is_file() and wanted:
                archive.add(path, arcname=str(relative), recursive=False)
    return buffer.getvalue()


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
