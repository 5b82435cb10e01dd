"""The files of an image before they are on disk: a build context, and what COPY makes of it.

Hard and symbolic links of the context are kept as Docker keeps them. A symbolic link leads to a
place inside the image, whatever its target says; a COPY of a link that leaves the context fails.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from localcloud.core.archives import ArchiveError, Bounds, tar_members
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.glob import Glob

_BOUNDS = Bounds(most_bytes=2 * 1024**3)
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes, and whether it may be executed."""

    content: bytes
    executable: bool = False

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link; its target is a path inside the image, or relative to the link."""

    target: str

    def __len__(self) -> int:
        return len(self.target)


Content: TypeAlias = File | Link


class Tree:
    """The files and links of a directory, with their paths resolved as in a root of its own.

    Args:
        files: by path without a leading slash. `resolve` and `file` follow later changes of it.
    """

    def __init__(self, files: Mapping[str, Content]) -> None:
        self._files = files

    @cached_property
    def _directories(self) -> set[str]:
        return {str(parent) for name in self._files for parent in PurePosixPath(name).parents}

    def resolve(self, path: str, *, follow: bool = True) -> str:
        """Return a path with its links followed, also the last one if `follow` is set.

        A part that does not exist stays as it is.

        Raises:
            ImageError: the links form a circle.
        """
        done: list[str] = []
        left = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                del done[-1:]
                continue
            found = self._files.get("/".join((*done, part)))
            if isinstance(found, Link) and (left or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise ImageError(f"{path}: too many levels of symbolic links")
                if found.target.startswith("/"):
                    done = []
                left += [p for p in reversed(found.target.split("/")) if p not in ("", ".")]
                continue
            done.append(part)
        return "/".join(done)

    def file(self, path: str) -> File | None:
        """Return a file, through links, or None if there is no such file."""
        found = self._files.get(self.resolve(path))
        return found if isinstance(found, File) else None

    def below(self, path: str) -> dict[str, Content] | None:
        """Return what a directory has, by path below it, or None if there is no such directory."""
        place = self.resolve(path)
        if not place:
            return dict(self._files)
        if place not in self._directories:
            return None
        start = place + "/"
        return {n[len(start) :]: c for n, c in self._files.items() if n.startswith(start)}

    def matching(self, pattern: str) -> list[str]:
        """Return the files and directories that a pattern of COPY matches, sorted.

        A star is any text without a slash, as in Go's filepath.Match.
        """
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        globs = [_glob(part) for part in parts]
        names = {
            "/".join(name.split("/")[: len(parts)])
            for name in (*self._files, *self._directories)
            if name.count("/") >= len(parts) - 1
        }
        return sorted(
            name
            for name in names - {"."}
            if all(glob.matches(part) for glob, part in zip(globs, name.split("/"), strict=True))
        )


def read_context(content: bytes) -> dict[str, Content]:
    """Return the files of a build context, a tar archive that may be compressed, by path.

    Raises:
        ImageError: it is damaged, too large, or has unsafe names or links.
    """
    try:
        members = tar_members(content, _BOUNDS)
    except ArchiveError as error:
        raise ImageError(f"the build context: {error}") from None
    files: dict[str, Content] = {}
    for member in members:
        name = str(PurePosixPath(member.name))
        if name.startswith("/") or posixpath.normpath(name).startswith(".."):
            continue  # outside of the context
        if ".." in name.split("/") or "\0" in name:
            raise ImageError(f"the build context has the unsafe name '{member.name}'")
        if member.content is not None:
            files[name] = File(member.content, member.executable)
        elif member.symbolic:
            if not member.link or "\0" in member.link:
                raise ImageError(f"the build context: the link {name} has no valid target")
            files[name] = Link(member.link)
        else:
            linked = files.get(str(PurePosixPath(member.link or "")))
            if linked is None:
                raise ImageError(
                    f"the build context: the hard link {name} refers to {member.link}, "
                    "which is not before it"
                )
            files[name] = linked
    return files


def copy_into(
    image: dict[str, Content], origin: Tree, sources: list[str], target: str, mode: str = ""
) -> list[str]:
    """Add to an image what a COPY takes from a build context or another stage.

    Args:
        image: what the image holds, by path without the leading slash.
        origin: where the sources are.
        sources: paths or patterns.
        target: absolute path; a directory if it ends with a slash.
        mode: the permissions in octal digits; empty keeps those of the sources.

    Returns: the sources that are not there.
    """
    missing: list[str] = []
    found: list[str] = []
    for source in sources:
        matches = origin.matching(source) if re.search(r"[*?\[]", source) else [source]
        if not matches:
            missing.append(source)
        found += matches
    tree = Tree(image)
    for source in found:
        copied = _copied(origin, source, target, several=len(found) > 1)
        if copied is None:
            missing.append(source)
            continue
        for name, content in copied.items():
            # Docker writes through the links of the image, but replaces one at the very place.
            image[tree.resolve(name, follow=False)] = with_mode(content, mode)
    return missing


def with_mode(content: Content, mode: str) -> Content:
    """Return a file with the executable bit of octal permissions such as `755`, or unchanged."""
    if not isinstance(content, File) or not re.fullmatch(r"[0-7]{3,4}", mode):
        return content
    return File(content.content, executable=bool(int(mode, 8) & 0o111))


def write(root: Path, files: Mapping[str, Content], workdir: str) -> None:
    """Write an image to a directory, which must not exist."""
    tree = Tree(files)
    root.mkdir()
    # Links come last, so that nothing is ever written through one.
    for name, content in sorted(files.items(), key=lambda entry: isinstance(entry[1], Link)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            # Relative to the image's root, where the target would lead in a container.
            start = posixpath.dirname(name)
            joined = "" if content.target.startswith("/") else start
            place = tree.resolve(f"{joined}/{content.target}", follow=False)
            path.symlink_to(posixpath.relpath("/" + place, "/" + start))
        else:
            path.write_bytes(content.content)
            if content.executable:
                path.chmod(0o755)
    (root / tree.resolve(workdir)).mkdir(parents=True, exist_ok=True)


def _copied(origin: Tree, source: str, target: str, *, several: bool) -> dict[str, Content] | None:
    """Return what one source of a COPY adds, by path in the image, or None if it is not there."""
    base = PurePosixPath(target.strip("/"))
    content = origin.file(source)
    if content is not None:
        name = PurePosixPath(source).name
        return {str(base / name if target.endswith("/") or several else base): content}
    below = origin.below(source)
    if below is None:
        return None
    return {str(base / name): content for name, content in below.items()}


def _glob(pattern: str) -> Glob:
    parts: list[list[str | None]] = [[]]
    for character in pattern:
        if character == "*":
            parts.append([])
        elif character in "[]":
            raise ImageError(f"COPY {pattern}: a pattern may have * and ?, and no brackets")
        else:
            parts[-1].append(None if character == "?" else character)
    return Glob(parts)
