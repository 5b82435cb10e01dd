"""Images as directories, kept by digest: files, the start command, and layers of packages."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from localcloud.core.dockerfile import DEFAULT_PATH, ImageConfig
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_tree import Content, File, Link, write
from localcloud.core.package_layers import PackageLayers

_IMAGE_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Names that no file system takes: too long, or a file and a directory at once.
_BAD_NAMES = {
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EINVAL)
}
# Lists of directories, in which those of the image are found.
_PATHS = ("PATH", "PYTHONPATH")


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
    """An image on disk.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        root: the directory of its files.
        config: how its containers start.
        python: the interpreter that has its packages.
        programs: directories of programs, for the end of its PATH.
    """

    digest: str
    root: Path
    config: ImageConfig
    python: str
    programs: list[str]

    @property
    def directory(self) -> Path:
        """Return the working directory on this machine."""
        return self.root / self.config.workdir.lstrip("/")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a container started with these arguments."""
        return self.words([*self.config.entrypoint, *(arguments or self.config.command)])

    def words(self, words: list[str]) -> list[str]:
        """Return a command line with a program of the image found on this machine."""
        place = self._place(words[0]) if words else None
        return words if place is None else [str(place), *words[1:]]

    def environment(self) -> dict[str, str]:
        """Return the ENV; an address that means every interface becomes loopback.

        Directories of the image in PATH and PYTHONPATH are those on this machine. PATH also leads
        to the programs of its packages.
        """
        found = {
            name: "127.0.0.1" if value == "0.0.0.0" else value  # noqa: S104 - replaced, not bound
            for name, value in self.config.environment.items()
            if name != "VIRTUAL_ENV"
        }
        for name in _PATHS:
            entries = found.get(name, DEFAULT_PATH if name == "PATH" else "").split(":")
            places = {entry: self._place(entry) for entry in entries if entry}
            here = [str(place) for place in places.values() if place is not None]
            others = [entry for entry, place in places.items() if place is None]
            if name == "PATH":
                here += [*self.programs, *os.environ.get("PATH", os.defpath).split(":")]
                found[name] = ":".join(here)
            elif here or others:
                found[name] = ":".join((*here, *others))
        return found

    def _place(self, path: str) -> Path | None:
        """Return a path of the image on this machine, or None if the image does not have it."""
        place = self.root / path.lstrip("/")
        return place if path.startswith("/") and path != "/" and place.exists() else None


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
    """An image that was stored.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        manifest: its OCI manifest.
        notes: one sentence for everything that was not carried out.
    """

    digest: str
    manifest: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class ImageStore:
    """Images by digest.

    Args:
        directory: where they are.
        layers: the layers of packages on which they stand.
    """

    def __init__(self, directory: Path, layers: PackageLayers) -> None:
        self._directory, self._layers = directory, layers

    def add(self, files: Mapping[str, Content], config: ImageConfig) -> StoredImage:
        """Store an image. It blocks.

        Args:
            files: by path without the leading slash.
            config: how its containers start.

        Raises:
            ImageError: the file system cannot have the files.
        """
        layer = hashlib.sha256()
        for name, content in sorted(files.items()):
            mode = "\0x" if isinstance(content, File) and content.executable else ""
            layer.update(f"{name}\0{len(content)}\0{mode}".encode("utf-8", "surrogateescape"))
            layer.update(content.target.encode() if isinstance(content, Link) else content.content)
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
                    "size": sum(map(len, files.values())),
                    "digest": "sha256:" + layer.hexdigest(),
                }
            ],
        }
        manifest_bytes = json.dumps(manifest).encode()
        stored = StoredImage("sha256:" + hashlib.sha256(manifest_bytes).hexdigest(), manifest)
        target = self._path(stored.digest)
        if not target.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            # A name of its own, because two threads may write the same image.
            staging = Path(tempfile.mkdtemp(suffix=".partial", dir=self._directory))
            try:
                write(staging / "rootfs", files, config.workdir)
                (staging / "config.json").write_bytes(config_bytes)
                (staging / "manifest.json").write_bytes(manifest_bytes)
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

    def stored(self, digest: str) -> StoredImage:
        """Return an image that was built, with its manifest. It blocks.

        Raises:
            ImageError: it was never built here.
        """
        try:
            content = (self._path(digest) / "manifest.json").read_bytes()
        except FileNotFoundError:
            raise _unknown(digest) from None
        return StoredImage(digest, json.loads(content))

    def get(self, digest: str) -> Image:
        """Return an image. It blocks.

        Raises:
            ImageError: its content was never pushed here, or its packages are not here.
        """
        path = self._path(digest)
        if not path.exists():
            raise _unknown(digest)
        config = msgspec.json.decode((path / "config.json").read_bytes(), type=ImageConfig)
        self._layers.check(config.packages, digest)
        return Image(
            digest,
            path / "rootfs",
            config,
            self._layers.python(config.packages),
            self._layers.programs(config.packages),
        )

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ImageError(f"'{digest[:100]}' is not a digest; it must be sha256: and 64 digits")
        return self._directory / digest.removeprefix("sha256:")


def _unknown(digest: str) -> ImageError:
    return ImageError(
        f"the content of image {digest} is not on this machine; "
        "push it with: localcloud image push DIR --repository NAME"
    )
