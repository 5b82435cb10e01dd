"""Dockerfiles: what an image holds, and how its containers start. Pure.

Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from dataclasses import dataclass, field

_IGNORED = {"EXPOSE", "LABEL", "USER", "ARG", "HEALTHCHECK", "STOPSIGNAL", "SHELL"}


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
        architecture: the processor's architecture that it is for, in Docker's words.
    """

    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN instruction, which is not executed.

    Attributes:
        command: its text.
        workdir: the absolute path of the image in which it would run.
    """

    command: str
    workdir: str


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile that was read.

    Attributes:
        config: how a container starts.
        copies: the COPY steps, as (sources, absolute target).
        bases: a sentence about each FROM.
        runs: the RUN instructions.
    """

    config: ImageConfig
    copies: list[tuple[list[str], str]]
    bases: list[str]
    runs: list[Run]


def parse_dockerfile(text: str) -> Dockerfile:
    """Read a Dockerfile.

    Raises:
        ImageError: an instruction that the local cloud cannot carry out.
    """
    if "\0" in text:
        raise ImageError("the Dockerfile has a NUL character")
    workdir, entrypoint, command = "/", list[str](), list[str]()
    environment: dict[str, str] = {}
    copies: list[tuple[list[str], str]] = []
    bases, runs = list[str](), list[Run]()
    # A comment line inside a continued instruction does not end it.
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in filter(None, (part.strip() for part in joined.splitlines())):
        name, _, rest = line.partition(" ")
        name, rest = name.upper(), rest.strip()
        if name == "FROM":
            bases.append(f"{line}: not pulled; a container has the packages of this environment.")
            if len(bases) > 1:
                raise ImageError("a Dockerfile with several FROM stages is not supported locally")
        elif name == "RUN":
            runs.append(Run(rest, workdir))
        elif name == "WORKDIR":
            workdir = _absolute(workdir, rest)
        elif name == "ENV":
            environment.update(_env(line, rest))
        elif name == "COPY":
            parts = _json_words(line, rest) if rest.startswith("[") else _shell_words(line, rest)
            if any(part.startswith("--from") for part in parts):
                raise ImageError(f"'{line}': COPY --from is not supported locally")
            parts = [part for part in parts if not part.startswith("--")]
            if len(parts) < 2:
                raise ImageError(f"'{line}': COPY needs a source and a target")
            target = _absolute(workdir, parts[-1])
            into_directory = parts[-1].endswith("/") or target == workdir
            copies.append((parts[:-1], target + ("/" if into_directory else "")))
        elif name in ("ENTRYPOINT", "CMD"):
            words = _json_words(line, rest)
            if name == "ENTRYPOINT":
                entrypoint = words
            else:
                command = words
        elif name not in _IGNORED:
            raise ImageError(f"the Dockerfile's instruction {name} is not supported locally")
    if not entrypoint and not command:
        raise ImageError("the Dockerfile has no ENTRYPOINT and no CMD: nothing could be started")
    config = ImageConfig(workdir, entrypoint, command, environment)
    return Dockerfile(config, copies, bases, runs)


def _absolute(workdir: str, path: str) -> str:
    """Return a path of the image without `..`, which ends at the image's root."""
    return "/" + posixpath.normpath(posixpath.join("/", workdir, path)).strip("/")


def _json_words(line: str, rest: str) -> list[str]:
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ImageError(f'\'{line}\': write it in the JSON form, ["a", "b"]')
    if any("\0" in word for word in words):
        raise ImageError(f"'{line}' has a NUL character")
    return words


def _shell_words(line: str, rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise ImageError(f"'{line}': {error}") from None


def _env(line: str, rest: str) -> dict[str, str]:
    words = _shell_words(line, rest)
    if words and "=" not in words[0]:
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)
