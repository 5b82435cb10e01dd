"""The packages that a Dockerfile installs, compared with those of this environment.

RUN is not executed: a container runs in this environment. `RUN pip install lightgbm` would build,
and the training job would fail on the import, although it would run on AWS. So the requirements of
pip are read, and an image is refused if a package is missing. Another version is only named, as is
every other command.

Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement

from localcloud.core.dockerfile import ImageError, Run

# Reads a file of the image by its absolute path, or returns None.
Read = Callable[[str], bytes | None]

_SEPARATOR = re.compile(r"&&|\|\||;|\n")
# The options of `pip install` that take a value in the next word.
_WITH_VALUE = {"-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"}
_WITH_VALUE |= {"-t", "--target", "--prefix", "--root", "--platform", "--python-version", "--group"}
_WITH_VALUE |= {"--implementation", "--abi", "--upgrade-strategy", "--no-binary", "--only-binary"}
_WITH_VALUE |= {"--progress-bar", "--timeout", "--retries", "--trusted-host", "--cert", "--proxy"}
_WITH_VALUE |= {"--cache-dir", "--src", "--report", "--log", "--root-user-action", "-C"}
_OPTION = re.compile(r"\s--(?:hash|config-settings|global-option)[= ]\S+")
_MOST_FILES = 20


def check_packages(runs: list[Run], read: Read) -> list[str]:
    """Return a sentence for each command that is not executed.

    Raises:
        ImageError: a package that pip would install is not in this environment.
    """
    notes: list[str] = []
    for run in runs:
        for command in filter(None, (part.strip() for part in _SEPARATOR.split(run.command))):
            requirements = _pip_install(command)
            if requirements is None:
                notes.append(f"RUN {command}: not executed.")
                continue
            for text in _requirements(requirements, run.workdir, read):
                notes += _difference(text)
    return notes


def _pip_install(command: str) -> list[str] | None:
    """Return the words after `pip install`, or None if this is another command."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return None
    while words and ("=" in words[0] or words[0].startswith("--mount")):
        words = words[1:]  # a variable, or an option of RUN
    if re.fullmatch(r"(?:.*/)?python[\d.]*", words[0] if words else "") and words[1:2] == ["-m"]:
        words = words[2:]
    if words[:1] == ["uv"]:
        words = words[1:]
    if len(words) > 1 and re.fullmatch(r"(?:.*/)?pip[\d.]*", words[0]) and words[1] == "install":
        return words[2:]
    return None


def _requirements(words: list[str], directory: str, read: Read, depth: int = 0) -> Iterator[str]:
    """Yield the requirements of a command line or of a file, with those of the files it names."""
    if depth > _MOST_FILES:
        raise ImageError("the requirements include each other")
    rest = iter(words)
    for word in rest:
        flag, _, value = word.partition("=")
        if flag in ("-r", "--requirement") or re.match(r"-r.", word):
            name = value or (word[2:] if re.match(r"-r.", word) else next(rest, ""))
            path = posixpath.normpath(posixpath.join(directory, name))
            content = read(path)
            if content is None:
                raise ImageError(f"pip install -r {name}: the image has no file {path}")
            for line in _lines(content.decode("utf-8", "replace")):
                inner = line.split() if line.startswith("-") else [line]
                yield from _requirements(inner, posixpath.dirname(path), read, depth + 1)
        elif flag in _WITH_VALUE:
            value or next(rest, "")
        elif not word.startswith("-"):
            yield word


def _lines(text: str) -> Iterator[str]:
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        bare = _OPTION.sub("", re.sub(r"(^|\s)#.*", "", line)).strip()
        if bare:
            yield bare


def _difference(text: str) -> list[str]:
    """Return how a requirement differs from this environment, in at most one sentence.

    Raises:
        ImageError: this environment does not have the package.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return [f"pip install {text}: not executed, because it is not a package's name."]
    if requirement.marker is not None and not requirement.marker.evaluate():
        return []
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        raise ImageError(
            f"the image installs {requirement.name}, which this environment does not have, and "
            "its containers run here. Install it beside the local cloud, and start that again: "
            f"pip install '{text}'"
        ) from None
    if requirement.specifier.contains(found, prereleases=True):
        return []
    return [f"pip install {text}: not executed; this environment has {requirement.name} {found}."]
