"""Container images as directories: a build context laid out by its Dockerfile, kept by digest.

There is no Docker here. `push` applies the Dockerfile's COPY, WORKDIR, ENV, ENTRYPOINT and CMD to
the context. FROM and RUN are not executed, because the packages are those of this environment. An
instruction that `push` cannot carry out is refused by name.

Differs: an image has one stage and no operating system of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
import shlex
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

_IMAGE_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_IGNORED = {"FROM", "RUN", "EXPOSE", "LABEL", "USER", "ARG", "HEALTHCHECK", "STOPSIGNAL", "SHELL"}


class ImageError(ValueError):
    """A build context that cannot become an image, or an image that is not there."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """Start command of a container of the image.

    Attributes:
        workdir: absolute path inside the image.
        entrypoint: program and its first arguments.
        command: arguments when none are given.
        environment: the image's ENV.
    """

    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


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


def parse_dockerfile(text: str) -> tuple[ImageConfig, list[tuple[list[str], str]]]:
    """Read a Dockerfile: the configuration, and the COPY steps as (sources, absolute target).

    Raises:
        ImageError: an instruction that the local cloud cannot carry out.
    """
    workdir, entrypoint, command = "/", list[str](), list[str]()
    environment: dict[str, str] = {}
    copies: list[tuple[list[str], str]] = []
    stages = 0
    # A comment line inside a continued instruction does not end it.
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in filter(None, (part.strip() for part in joined.splitlines())):
        name, _, rest = line.partition(" ")
        name, rest = name.upper(), rest.strip()
        if name == "FROM":
            stages += 1
            if stages > 1:
                raise ImageError("a Dockerfile with several FROM stages is not supported locally")
        elif name == "WORKDIR":
            workdir = _absolute(workdir, rest)
        elif name == "ENV":
            environment.update(_env(rest))
        elif name == "COPY":
            parts = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
            if any(str(part).startswith("--from") for part in parts):
                raise ImageError(f"'{line}': COPY --from is not supported locally")
            parts = [part for part in parts if not part.startswith("--")]
            if len(parts) < 2:
                raise ImageError(f"'{line}': COPY needs a source and a target")
            target = _absolute(workdir, parts[-1])
            into_directory = parts[-1].endswith("/") or target == workdir
            copies.append((parts[:-1], target + ("/" if into_directory else "")))
        elif name in ("ENTRYPOINT", "CMD"):
            try:
                words = json.loads(rest)
            except ValueError:
                words = None
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ImageError(f'\'{line}\': write it in the JSON form, ["a", "b"]')
            if name == "ENTRYPOINT":
                entrypoint = words
            else:
                command = words
        elif name not in _IGNORED:
            raise ImageError(f"the Dockerfile's instruction {name} is not supported locally")
    if not entrypoint and not command:
        raise ImageError("the Dockerfile has no ENTRYPOINT and no CMD: nothing could be started")
    return ImageConfig(workdir, entrypoint, command, environment), copies


def _absolute(workdir: str, path: str) -> str:
    """Return a path of the image without `..`, which ends at the image's root."""
    return "/" + posixpath.normpath(posixpath.join("/", workdir, path)).strip("/")


def _env(rest: str) -> dict[str, str]:
    words = shlex.split(rest)
    if words and "=" not in words[0]:
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)


class ImageStore:
    """Images by digest under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, context_tar: bytes) -> tuple[str, dict[str, Any]]:
        """Lay a build context out as an image; return its digest and its OCI manifest.

        Raises:
            ImageError: no Dockerfile, or one that cannot be carried out.
        """
        files = _read_tar(context_tar)
        dockerfile = files.get("Dockerfile")
        if dockerfile is None:
            raise ImageError("the directory holds no Dockerfile")
        config, copies = parse_dockerfile(dockerfile.decode())
        laid_out = _lay_out(files, copies)
        layer = hashlib.sha256()
        for name, content in sorted(laid_out.items()):
            layer.update(f"{name}\0{len(content)}\0".encode())
            layer.update(content)
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
        target = self._path(digest)
        if not target.exists():
            staging = target.with_suffix(".partial")
            shutil.rmtree(staging, ignore_errors=True)
            for name, content in laid_out.items():
                path = staging / "rootfs" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            (staging / "rootfs" / config.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            (staging / "config.json").write_bytes(config_bytes)
            staging.rename(target)
        return digest, manifest

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


def _read_tar(content: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                name = str(PurePosixPath(member.name))
                if member.isfile() and not name.startswith(("/", "..")) and "/../" not in name:
                    extracted = archive.extractfile(member)
                    if extracted is not None:
                        files[name] = extracted.read()
    except tarfile.TarError as error:
        raise ImageError(f"the build context is not a tar archive: {error}") from None
    return files


def _lay_out(files: dict[str, bytes], copies: list[tuple[list[str], str]]) -> dict[str, bytes]:
    """Return what the image holds, path without the leading slash → content."""
    result: dict[str, bytes] = {}
    for sources, target in copies:
        base = PurePosixPath(target.strip("/"))
        for source in sources:
            wanted = source.removeprefix("./").strip("/")
            if wanted in ("", "."):
                result.update({str(base / name): body for name, body in files.items()})
                continue
            if wanted in files:
                into_directory = target.endswith("/") or len(sources) > 1
                name = base / PurePosixPath(wanted).name if into_directory else base
                result[str(name)] = files[wanted]
                continue
            below = {n: b for n, b in files.items() if n.startswith(wanted + "/")}
            if not below:
                raise ImageError(f"COPY {source}: the directory holds no such file")
            result.update({str(base / n[len(wanted) + 1 :]): b for n, b in below.items()})
    return result
