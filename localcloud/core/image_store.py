"""Container images as directories: a build context laid out by its Dockerfile, kept by digest.

There is no Docker here. `push` applies the Dockerfile's COPY, WORKDIR, ENV, ENTRYPOINT and CMD to
the context. FROM and RUN are not executed, because the packages are those of this environment: they
are named, and an image whose packages this environment lacks is refused.

Hard and symbolic links of the context are kept as Docker keeps them. A symbolic link leads to a
place inside the image, whatever its target says; a COPY of a link that leaves the context fails.

Differs: an image has one stage and no operating system of its own.
"""

from __future__ import annotations

import errno
import hashlib
import json
import posixpath
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import msgspec

from localcloud.core.archives import ArchiveError, Bounds, tar_members
from localcloud.core.dockerfile import ImageConfig, ImageError, parse_dockerfile
from localcloud.core.image_packages import check_packages

_IMAGE_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_BOUNDS = Bounds(most_bytes=2 * 1024**3)
# Names that no file system takes: too long, or a file and a directory at once.
_BAD_NAMES = {
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EINVAL)
}
_MOST_LINKS = 40
# Of processors, in Docker's words; images are for the first one unless they say otherwise.
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An ECR image URI, taken apart."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """An image on disk."""

    digest: str
    root: Path
    config: ImageConfig

    @property
    def directory(self) -> Path:
        """Return the working directory on this machine."""
        return self.root / self.config.workdir.lstrip("/")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a container started with these arguments."""
        return [*self.config.entrypoint, *(arguments or self.config.command)]

    def environment(self) -> dict[str, str]:
        """Return the ENV; an address that means every interface becomes loopback."""
        return {
            name: "127.0.0.1" if value == "0.0.0.0" else value  # noqa: S104 - replaced, not bound
            for name, value in self.config.environment.items()
        }


def parse_reference(uri: str) -> ImageReference:
    """Take an image URI apart.

    Raises:
        ImageError: it is not an ECR image URI.
    """
    match = _IMAGE_URI.fullmatch(uri)
    if match is None:
        raise ImageError(
            f"'{uri}' is not an ECR image URI; it should look like "
            "000000000000.dkr.ecr.us-east-1.amazonaws.com/NAME:TAG or …/NAME@sha256:DIGEST"
        )
    return ImageReference(**match.groupdict())


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that was laid out.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        manifest: its OCI manifest.
        notes: one sentence for each instruction that was not carried out.
    """

    digest: str
    manifest: dict[str, Any]
    notes: list[str]


class ImageStore:
    """Images by digest under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, context_tar: bytes, architecture: str = ARCHITECTURES[0]) -> StoredImage:
        """Lay a build context out as an image. It blocks.

        Args:
            context_tar: the build context.
            architecture: one of ARCHITECTURES. The image records it, and runs on this machine.

        Raises:
            ImageError: no Dockerfile, one that cannot be carried out, a context that is damaged
                or too large, or another architecture.
        """
        if architecture not in ARCHITECTURES:
            raise ImageError(
                f"the architecture is '{architecture}'; it must be {' or '.join(ARCHITECTURES)}"
            )
        files = _read_tar(context_tar)
        dockerfile = _Tree(files).file("Dockerfile")
        if dockerfile is None:
            raise ImageError("the directory holds no Dockerfile")
        try:
            parsed = parse_dockerfile(dockerfile.decode())
        except UnicodeDecodeError as error:
            raise ImageError(f"the Dockerfile is not UTF-8: {error}") from None
        config = replace(parsed.config, architecture=architecture)
        laid_out = _lay_out(files, parsed.copies)
        image = _Tree(laid_out)
        notes = check_packages(parsed.runs, lambda path: image.file(path.lstrip("/")))
        layer = hashlib.sha256()
        for name, content in sorted(laid_out.items()):
            layer.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
            layer.update(content.target.encode() if isinstance(content, Link) else content)
        config_bytes = msgspec.json.encode(config, order="deterministic")
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "size": len(config_bytes),
                "digest": "sha256:" + hashlib.sha256(config_bytes).hexdigest(),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "size": sum(map(len, laid_out.values())),
                    "digest": "sha256:" + layer.hexdigest(),
                }
            ],
        }
        digest = "sha256:" + hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
        stored = StoredImage(digest, manifest, [*parsed.bases, *notes])
        target = self._path(digest)
        if not target.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            # A name of its own, because two threads may write the same image.
            staging = Path(tempfile.mkdtemp(suffix=".partial", dir=self._directory))
            try:
                _write(staging / "rootfs", laid_out, config.workdir)
                (staging / "config.json").write_bytes(config_bytes)
                staging.rename(target)
            except OSError as error:
                if target.exists():  # the other thread was first
                    return stored
                if error.errno in _BAD_NAMES:
                    raise ImageError(f"the image cannot be laid out: {error}") from None
                raise
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return stored

    def get(self, digest: str) -> Image:
        """Return an image.

        Raises:
            ImageError: its content was never pushed here.
        """
        path = self._path(digest)
        if not path.exists():
            raise ImageError(
                f"the content of image {digest} is not on this machine; "
                "push it with: localcloud image push DIR --repository NAME"
            )
        config = msgspec.json.decode((path / "config.json").read_bytes(), type=ImageConfig)
        return Image(digest, path / "rootfs", config)

    def _path(self, digest: str) -> Path:
        return self._directory / digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link; its target is a path inside the image, or relative to the link."""

    target: str

    def __len__(self) -> int:
        return len(self.target)


# A file's bytes or a symbolic link.
Content: TypeAlias = bytes | Link


class _Tree:
    """The files and links of a directory, with their paths resolved as in a root of its own."""

    def __init__(self, files: Mapping[str, Content]) -> None:
        self._files = files
        self._directories = {
            str(parent) for name in files for parent in PurePosixPath(name).parents
        }

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

    def file(self, path: str) -> bytes | None:
        """Return the content of a file, through links, or None if there is no such file."""
        found = self._files.get(self.resolve(path))
        return found if isinstance(found, bytes) else None

    def below(self, path: str) -> dict[str, Content] | None:
        """Return what a directory has, by path below it, or None if there is no such directory."""
        place = self.resolve(path)
        if not place:
            return dict(self._files)
        if place not in self._directories:
            return None
        start = place + "/"
        return {n[len(start) :]: c for n, c in self._files.items() if n.startswith(start)}


def _read_tar(content: bytes) -> dict[str, Content]:
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
            files[name] = member.content
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


def _lay_out(
    files: Mapping[str, Content], copies: list[tuple[list[str], str]]
) -> dict[str, Content]:
    """Return what the image holds, path without the leading slash → content."""
    context = _Tree(files)
    result: dict[str, Content] = {}
    for sources, target in copies:
        for source in sources:
            image = _Tree(result)
            copied = _copied(context, source, target, several=len(sources) > 1)
            for name, content in copied.items():
                # Docker writes through the links of the image, but replaces one at the very place.
                result[image.resolve(name, follow=False)] = content
    return result


def _copied(context: _Tree, source: str, target: str, *, several: bool) -> dict[str, Content]:
    """Return what one source of a COPY adds, by path in the image."""
    base = PurePosixPath(target.strip("/"))
    content = context.file(source)
    if content is not None:
        name = PurePosixPath(source).name
        return {str(base / name if target.endswith("/") or several else base): content}
    below = context.below(source)
    if below is None:
        raise ImageError(f"COPY {source}: the directory holds no such file")
    return {str(base / name): content for name, content in below.items()}


def _write(root: Path, laid_out: Mapping[str, Content], workdir: str) -> None:
    tree = _Tree(laid_out)
    root.mkdir()
    # Links come last, so that nothing is ever written through one.
    for name, content in sorted(laid_out.items(), key=lambda entry: isinstance(entry[1], Link)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            # Relative to the image's root, where the target would lead in a container.
            start = posixpath.dirname(name)
            joined = "" if content.target.startswith("/") else start
            place = tree.resolve(f"{joined}/{content.target}", follow=False)
            path.symlink_to(posixpath.relpath("/" + place, "/" + start))
        else:
            path.write_bytes(content)
    (root / tree.resolve(workdir)).mkdir(parents=True, exist_ok=True)
