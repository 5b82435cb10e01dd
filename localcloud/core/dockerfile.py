"""Dockerfiles: what an image holds, and how its containers start. Pure.

Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from localcloud.core.dockerfile_words import (
    HereDocument,
    ImageError,
    Instruction,
    expand,
    instructions,
    json_words,
)

# Without a meaning for a process that starts here.
_IGNORED = {"EXPOSE", "LABEL", "USER", "HEALTHCHECK", "STOPSIGNAL", "SHELL", "VOLUME", "MAINTAINER"}
_MOST_STEPS = 1000
_MOST_STAGES = 50
# What Docker's images have before an ENV changes it.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = re.compile(r"(?:.*/)?python:(\d+\.\d+)\b.*")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """Start command of a container of the image.

    Attributes:
        workdir: absolute path inside the image.
        entrypoint: program and its first arguments.
        command: arguments when none are given.
        environment: the image's ENV.
        architecture: the processor's architecture that it is for, in Docker's words.
        packages: the ids of the layers of packages that it installs, the lowest one first.
    """

    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    architecture: str = "amd64"
    packages: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN instruction.

    Attributes:
        command: its text, or its words in the JSON form.
        workdir: the absolute path of the image in which it runs.
        variables: ENV and ARG at this place.
        binds: the targets of `--mount=type=bind`, with the stage and the source of each; no stage
            is the build context.
    """

    command: str | list[str]
    workdir: str
    variables: dict[str, str] = field(default_factory=dict)
    binds: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the command as the log shows it."""
        return self.command if isinstance(self.command, str) else " ".join(self.command)


@dataclass(frozen=True, slots=True)
class Copy:
    """A COPY or ADD instruction.

    Attributes:
        sources: paths or patterns in the build context or in a stage.
        target: absolute path of the image; a directory if it ends with a slash.
        stage: the name or number of the stage, or the image, from which it copies; empty for the
            build context.
        documents: files that stand in the Dockerfile itself.
        mode: the permissions that --chmod gives, in octal digits, or empty.
    """

    sources: list[str]
    target: str
    stage: str = ""
    documents: list[HereDocument] = field(default_factory=list)
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM with its steps.

    Attributes:
        name: after AS, or its number.
        base: the image, or the name of an earlier stage.
        steps: the COPY and RUN instructions in order.
        config: how a container of it starts.
    """

    name: str
    base: str
    steps: list[Copy | Run]
    config: ImageConfig


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile that was read.

    Attributes:
        stages: all of them, in order.
        target: the name of the stage that becomes the image.
        notes: a sentence for everything of it that is not carried out.
    """

    stages: list[Stage]
    target: str
    notes: list[str]

    def stage(self, name: str) -> Stage | None:
        """Return a stage by its name or number, or None if there is none."""
        found = next((stage for stage in self.stages if stage.name == name.lower()), None)
        if found is None and name.isdigit() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return found

    @property
    def config(self) -> ImageConfig:
        """Return how a container starts."""
        stage = self.stage(self.target)
        assert stage is not None  # noqa: S101 - checked when it was read
        return stage.config


def parse_dockerfile(
    text: str,
    arguments: Mapping[str, str] | None = None,
    *,
    target: str = "",
    architecture: str = "amd64",
) -> Dockerfile:
    """Read a Dockerfile.

    Args:
        text: the file.
        arguments: the build arguments, by name.
        target: the stage that becomes the image; by default the last one.
        architecture: that the image is for.

    Raises:
        ImageError: an instruction that the local cloud cannot carry out.
    """
    reader = _Reader(dict(arguments or {}), architecture)
    for count, instruction in enumerate(instructions(text)):
        if count == _MOST_STEPS:
            raise ImageError(f"the Dockerfile has more than {_MOST_STEPS} instructions, the limit")
        reader.read(instruction)
    return reader.result(target)


class _Reader:
    """Follows the instructions; holds the state that they change."""

    def __init__(self, arguments: dict[str, str], architecture: str) -> None:
        system = {"OS": "linux", "ARCH": architecture, "PLATFORM": f"linux/{architecture}"}
        self._automatic = {
            f"{side}{name}": value for side in ("TARGET", "BUILD") for name, value in system.items()
        }
        self._given = arguments
        self._asked: set[str] = set()
        self._global = dict(self._automatic)
        self._declared: dict[str, str] = {}
        self._stages: list[Stage] = []
        self._notes: list[str] = []

    def read(self, instruction: Instruction) -> None:
        name = instruction.name
        if name == "FROM":
            self._from(instruction)
        elif name == "ARG":
            self._arg(instruction)
        elif not self._stages:
            raise ImageError(f"the Dockerfile begins with {name}; it must begin with FROM or ARG")
        elif name == "RUN":
            self._run(instruction)
        elif name in ("COPY", "ADD"):
            self._copy(instruction)
        elif name == "WORKDIR":
            (path,) = expand(instruction.rest, self._variables, split=False)
            self._change(workdir=_absolute(self._config.workdir, path))
        elif name == "ENV":
            self._change(environment=self._config.environment | self._env(instruction))
        elif name == "ENTRYPOINT":
            self._change(entrypoint=_program(instruction))
        elif name == "CMD":
            self._change(command=_program(instruction))
        elif name not in _IGNORED:
            raise ImageError(f"the Dockerfile's instruction {name} is not supported locally")

    def result(self, target: str) -> Dockerfile:
        if not self._stages:
            raise ImageError("the Dockerfile has no FROM")
        self._notes += [
            f"--build-arg {name}: the Dockerfile has no ARG of this name."
            for name in sorted(self._given.keys() - self._asked)
        ]
        found = Dockerfile(self._stages, (target or self._stages[-1].name).lower(), self._notes)
        stage = found.stage(found.target)
        if stage is None:
            names = ", ".join(stage.name for stage in self._stages)
            raise ImageError(f"the Dockerfile has no stage {target}; its stages are: {names}")
        if not stage.config.entrypoint and not stage.config.command:
            self._notes.append(
                "The image has no ENTRYPOINT and no CMD: SageMaker starts the programs `train` and "
                "`serve` of its PATH."
            )
        return found

    @property
    def _config(self) -> ImageConfig:
        return self._stages[-1].config

    @property
    def _variables(self) -> dict[str, str]:
        """Return ENV and ARG; ENV wins."""
        return {"PATH": DEFAULT_PATH} | self._declared | self._config.environment

    def _change(self, **changes: object) -> None:
        stage = self._stages[-1]
        self._stages[-1] = replace(stage, config=replace(stage.config, **changes))  # type: ignore[arg-type]

    def _from(self, instruction: Instruction) -> None:
        if len(self._stages) == _MOST_STAGES:
            raise ImageError(f"the Dockerfile has more than {_MOST_STAGES} stages, the limit")
        words = [w for w in expand(instruction.rest, self._global) if not w.startswith("--")]
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
            raise ImageError(f"'{instruction.line}': it must be FROM IMAGE [AS NAME]")
        base, name = words[0], words[2].lower() if len(words) == 3 else str(len(self._stages))
        earlier = next((stage for stage in self._stages if stage.name == base.lower()), None)
        if earlier is None:
            self._notes.append(f"FROM {base.partition('@')[0]}: not pulled{_of_base(base)}")
        config = ImageConfig() if earlier is None else earlier.config
        self._declared = {}
        self._stages.append(Stage(name, base.lower() if earlier else base, [], config))

    def _arg(self, instruction: Instruction) -> None:
        for word in expand(instruction.rest, self._variables if self._stages else self._global):
            name, equals, default = word.partition("=")
            self._asked.add(name)
            value = self._given.get(name, default if equals else self._global.get(name))
            if value is not None:
                (self._declared if self._stages else self._global)[name] = value

    def _env(self, instruction: Instruction) -> dict[str, str]:
        words = expand(instruction.rest, self._variables)
        if words and "=" not in words[0]:
            return {words[0]: " ".join(words[1:])}
        return dict(word.split("=", 1) for word in words if "=" in word)

    def _run(self, instruction: Instruction) -> None:
        workdir, rest = self._config.workdir, instruction.rest
        binds: list[tuple[str, str, str]] = []
        while match := re.match(r"--(\w+)(?:=(\S+))?\s+", rest):
            rest = rest[match.end() :]
            settings: dict[str, str] = {}
            for part in (match[2] or "").split(","):
                key, _, value = part.partition("=")
                settings[key] = value
            source = settings.get("source") or settings.get("src") or "."
            place = next(
                (settings[n] for n in ("target", "dst", "destination") if n in settings), ""
            )
            if match[1] == "mount" and settings.get("type", "bind") == "bind":
                binds.append((_absolute(workdir, place), settings.get("from", ""), source))
            elif match[1] == "mount" and settings["type"] in ("secret", "ssh"):
                self._notes.append(f"RUN --mount=type={settings['type']}: there is none here.")
        command: str | list[str] = rest
        if rest.startswith("["):
            command = json_words(Instruction("RUN", rest))
        elif instruction.documents:
            shell = rest.partition("<<")[0].strip()
            texts = [document.text for document in instruction.documents]
            command = "\n".join(texts) if not shell else f"{rest}\n{''.join(texts)}"
        run = Run(command, workdir, self._variables, binds)
        self._stages[-1].steps.append(run)

    def _copy(self, instruction: Instruction) -> None:
        rest, options = instruction.rest, dict[str, str]()
        while match := re.match(r"--(\w+)(?:=(\S+))?\s+", rest):
            options[match[1]] = expand(match[2] or "", self._variables, split=False)[0]
            rest = rest[match.end() :]
        if rest.startswith("["):
            parts = json_words(Instruction(instruction.name, rest))
            parts = [expand(part, self._variables, split=False)[0] for part in parts]
        else:
            parts = expand(rest, self._variables)
        if len(parts) < 2:
            raise ImageError(
                f"'{instruction.line}': {instruction.name} needs a source and a target"
            )
        *sources, last = parts
        if instruction.documents:
            sources = [source for source in sources if not source.startswith("<<")]
        for source in sources:
            if instruction.name == "ADD" and re.match(r"(?:https?|git)[:@]|.*\.git$", source):
                raise ImageError(f"ADD {source}: the local cloud downloads nothing for an image")
            if instruction.name == "ADD" and re.search(
                r"\.(?:tar|tgz|tbz2?|txz)(?:\.\w+)?$", source
            ):
                raise ImageError(f"ADD {source}: archives are not unpacked; use COPY, or its files")
        workdir = self._config.workdir
        target = _absolute(workdir, last)
        directory = last.endswith("/") or target == workdir or target == "/"
        stage = options.get("from", "")
        documents = [
            document
            if document.literal
            else replace(document, text=expand_document(document.text, self._variables))
            for document in instruction.documents
        ]
        self._stages[-1].steps.append(
            Copy(
                sources,
                target.rstrip("/") + ("/" if directory else ""),
                stage.lower() if self._knows(stage) else stage,
                documents,
                options.get("chmod", ""),
            )
        )

    def _knows(self, stage: str) -> bool:
        return any(known.name == stage.lower() for known in self._stages)


def expand_document(text: str, variables: Mapping[str, str]) -> str:
    """Return a here-document with the values of variables; quotes stay as they are."""
    quoted = re.sub(r"(['\"])", r"\\\1", text)
    return expand(quoted, variables, split=False)[0]


def _program(instruction: Instruction) -> list[str]:
    """Return the words of ENTRYPOINT or CMD, which are a shell's in the form that is no JSON."""
    if instruction.rest.startswith("["):
        return json_words(instruction)
    return ["/bin/sh", "-c", instruction.rest]


def _of_base(base: str) -> str:
    python = _PYTHON.fullmatch(base)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python is not None and python[1] != here:
        return f"; containers run Python {here}, which is this environment's, not {python[1]}."
    return "; a container has the Python and the packages of this environment."


def _absolute(workdir: str, path: str) -> str:
    """Return a path of the image without `..`, which ends at the image's root."""
    return "/" + posixpath.normpath(posixpath.join("/", workdir, path)).strip("/")
