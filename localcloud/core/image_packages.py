"""The commands of RUN: those that install packages, and those that are not carried out. Pure.

A container runs in this machine's environment, so `apt-get` and the like have no place to act in.
`pip install` and `uv pip install` are carried out, in an environment on top of this one (see
package_layers.py), unless this environment has the packages already: of the versions that are asked
for, or made from the same directory of files.

Example: `apt-get update && pip install -r requirements.txt lightgbm` names `apt-get update` in the
build's log, and installs what the file and the last word say.

Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from localcloud.core.dockerfile import Run
from localcloud.core.dockerfile_words import ImageError, expand
from localcloud.core.local_projects import Origin, has_same_files

# Reads a file of the image by its absolute path, or returns None.
Read: TypeAlias = Callable[[str], bytes | None]
# The version of a package of the environment, by its canonical name, or None.
Version: TypeAlias = Callable[[str], str | None]

# What a shell does that is more than a list of commands.
_PROGRAMS = re.compile(r"\b(?:if|for|while|case|function)\b|[`(){}]|\$\(|\|(?!\|)|&(?!&)")
# Quoted text, variables and redirections, which may have the same characters.
_BARE = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\$\{[^}]*\}|\d?>&\d|&>")
# The options of `pip install` and `uv pip install` that take a value in the next word.
_WITH_VALUE = {"-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"}
_WITH_VALUE |= {"--upgrade-strategy", "--no-binary", "--only-binary", "--progress-bar", "--report"}
_WITH_VALUE |= {"--timeout", "--retries", "--trusted-host", "--cert", "--proxy", "--src", "--log"}
_WITH_VALUE |= {"-C", "--config-settings", "--global-option", "-e", "--editable", "--group"}
_WITH_VALUE |= {"--root-user-action", "--exists-action", "--no-build-isolation-package"}
# The options that say where to install, or what this machine decides. They are left out.
_PLACES = {"-t", "--target", "--prefix", "--root", "--cache-dir", "--python", "-p", "--platform"}
_PLACES |= {"--python-version", "--implementation", "--abi", "--link-mode", "--python-platform"}
_PLACES |= {"--report", "--log", "--progress-bar", "--root-user-action"}
_LEFT_OUT = {"--user", "--system", "--no-cache-dir", "--no-cache", "-n", "--compile-bytecode"}
_LEFT_OUT |= {"--compile", "--no-compile", "--break-system-packages", "--no-warn-script-location"}
_LEFT_OUT |= {"-q", "-qq", "--quiet", "--no-progress", "--no-input", "-y", "--no-color"}
_CONSTRAINTS = {"-c", "--constraint", "--constraints"}
_FILES = {"-r", "--requirement", "--requirements", *_CONSTRAINTS}
_OPTION = re.compile(r"\s--(?:hash|config-settings|global-option)[= ]\S+")
# The tools of the build itself. Those of this environment do their work here.
_TOOLS = {"pip", "setuptools", "wheel", "uv"}
_CP = {"-r", "-R", "-a", "-p", "-f", "-v", "-rf", "-rp"}
_MOST_FILES = 20


@dataclass(frozen=True, slots=True)
class Install:
    """One `pip install` to carry out.

    Attributes:
        command: as the Dockerfile has it.
        arguments: those of pip; paths that begin with a slash are the image's.
        directory: the absolute path of the image in which it runs.
        environment: the variables of RUN, and those before the command.
        files: the requirement files that it reads, by path of the image.
        takes_files: it installs from a directory or an archive of the image.
    """

    command: str
    arguments: list[str]
    directory: str
    environment: dict[str, str]
    files: dict[str, bytes] = field(default_factory=dict)
    takes_files: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """A chmod of files of the image; the mode is octal."""

    mode: str
    paths: list[str]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A cp of files of the image; paths are absolute, and a directory's end with a slash."""

    sources: list[str]
    target: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about a command that is not carried out."""

    text: str


Command: TypeAlias = Install | Mode | Duplicate | Note


def commands_of(
    run: Run, read: Read, version: Version, origin: Origin = lambda name: None
) -> Iterator[Command]:
    """Yield what a RUN instruction asks for.

    Args:
        run: the instruction.
        read: reads a file of the image at this place of the Dockerfile.
        version: looks a package up in the environment at this place.
        origin: returns the directory that a package of this machine was installed from.

    Raises:
        ImageError: a requirement file that is not in the image, or files that include each other.
    """
    directory = run.workdir
    for text in _commands(run):
        if text is None:
            yield Note(f"RUN {_short(run.text)}: not carried out.")
            return
        command = _short(text if isinstance(text, str) else shlex.join(text))
        not_done = Note(f"RUN {command}: not carried out.")
        try:
            words, variables = _assigned(_words(text, run.variables))
        except ImageError:  # a substitution that only a shell knows
            yield not_done
            continue
        if not words or words[0] in ("set", "export", ":", "true"):
            continue
        if words[0] == "cd":
            directory = _at(directory, words[1] if len(words) > 1 else "/")
            continue
        if words[0] == "chmod" and len(words) > 2 and re.fullmatch(r"[0-7]{3,4}|a?\+x", words[1]):
            mode = "755" if words[1].endswith("x") else words[1]
            yield Mode(mode, [_at(directory, path) for path in words[2:] if path[:1] != "-"])
            continue
        operands = [word for word in words[1:] if not word.startswith("-")]
        if words[0] == "cp" and len(operands) > 1 and set(words[1:]) - set(operands) <= _CP:
            *sources, target = operands
            slash = "/" if target.endswith(("/", "/.")) or target == "." else ""
            yield Duplicate(
                [_at(directory, source) for source in sources], _at(directory, target) + slash
            )
            continue
        arguments = _pip_install(words)
        if arguments is None:
            yield not_done
            continue
        reading = _Reading(arguments, directory, read)
        if reading.is_satisfied(version, origin):
            continue
        yield Install(
            command,
            reading.arguments,
            directory,
            {**run.variables, **variables},
            reading.files,
            reading.takes_files,
        )


def _commands(run: Run) -> Iterator[str | list[str] | None]:
    """Yield the simple commands of RUN; None if it is more than a list of them."""
    if isinstance(run.command, list):
        if len(run.command) == 3 and re.fullmatch(r"(?:.*/)?(?:ba|da|z)?sh", run.command[0]):
            yield from _commands(Run(run.command[2], run.workdir, run.variables))
        else:
            yield run.command
        return
    for part in _split(re.sub(r"\\\r?\n", " ", run.command)):
        bare = _BARE.sub("", part)
        yield None if _PROGRAMS.search(bare) else part


def _split(text: str) -> Iterator[str]:
    """Yield the parts of a command line between `&&`, `||`, `;` and line ends outside of quotes."""
    start = place = 0
    quote = ""
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif text.startswith(("&&", "||"), place) or character in ";\n":
            yield text[start:place].strip()
            start = place + (2 if character in "&|" else 1)
            place = start
            continue
        place += 1
    yield text[start:].strip()


def _words(text: str | list[str], variables: dict[str, str]) -> list[str]:
    if isinstance(text, list):
        return text
    words = expand(re.sub(r"(^|\s)#.*", "", text), variables)
    kept: list[str] = []
    skip = False
    for word in words:
        redirection = re.match(r"(?:\d|&)?(?:>>?|<)(?:&\d)?(.*)$", word)
        if skip:
            skip = False
        elif redirection is None:
            kept.append(word)
        else:
            skip = not redirection[1] and "&" not in word
    return kept


def _assigned(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return a command without the variables before it, and these."""
    variables: dict[str, str] = {}
    rest = list(words)
    while rest and re.match(r"[A-Za-z_]\w*=", rest[0]):
        name, _, value = rest.pop(0).partition("=")
        variables[name] = value
    return rest, variables


def _pip_install(words: list[str]) -> list[str] | None:
    """Return the words after `pip install`, or None if this is another command."""
    if words[:1] == ["sudo"]:
        words = words[1:]
    if re.fullmatch(r"(?:.*/)?python[\d.]*", words[0] if words else "") and words[1:2] == ["-m"]:
        words = words[2:]
    if re.fullmatch(r"(?:.*/)?uv", words[0] if words else ""):
        words = words[1:]
    if len(words) > 1 and re.fullmatch(r"(?:.*/)?pip[\d.]*", words[0]):
        options = [word for word in words[1:] if not word.startswith("-")]
        if options[:1] == ["install"]:
            place = words.index("install")
            return [*words[1:place], *words[place + 1 :]]
    return None


class _Reading:
    """The words of one `pip install`, read.

    Attributes:
        arguments: those that pip gets.
        files: the requirement files, by path of the image.
        takes_files: a requirement is a path, or the address of an archive or a repository.
    """

    def __init__(self, words: list[str], directory: str, read: Read) -> None:
        self._directory, self._read = directory, read
        self._requirements: list[str] = []
        self.arguments: list[str] = []
        self.files: dict[str, bytes] = {}
        self.takes_files = False
        rest = iter(words)
        for word in rest:
            flag, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
            short = re.match(r"(-[rceit])(.+)", word) if not word.startswith("--") else None
            if short is not None:
                flag, value = short.groups()
            if flag in _PLACES:
                value or next(rest, "")
            elif flag in _LEFT_OUT:
                continue
            elif flag in _FILES:
                name = value or next(rest, "")
                kind = "-c" if flag in _CONSTRAINTS else "-r"
                self.arguments += [kind, name]
                self._file(_at(directory, name), required=kind == "-r")
            elif flag in ("-e", "--editable"):
                # The files of the image stay where they are, but the build's copy does not.
                self._requirement(value or next(rest, ""))
            elif flag in _WITH_VALUE:
                self.arguments += [flag, value or next(rest, "")]
            elif word.startswith("-"):
                self.arguments.append(word)
            else:
                self._requirement(word)

    def _requirement(self, word: str) -> None:
        named = re.match(r"[A-Za-z0-9][\w.-]*", word)
        if named and canonicalize_name(named[0]) in _TOOLS and "/" not in word:
            return
        self.arguments.append(word)
        self._requirements.append(word)

    def _file(self, path: str, *, required: bool) -> None:
        if len(self.files) >= _MOST_FILES:
            raise ImageError(f"more than {_MOST_FILES} requirement files, the limit, at {path}")
        if path in self.files:
            return
        content = self._read(path)
        if content is None:
            raise ImageError(f"pip install -r {path}: the image has no file {path}")
        self.files[path] = content
        for line in _lines(content.decode("utf-8", "replace")):
            include = re.match(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S+)", line)
            if include is not None:
                here = posixpath.dirname(path)
                inner = required and include[1] in ("-r", "--requirement")
                self._file(_at(here, include[2]), required=inner)
            elif required and not line.startswith("-"):
                self._requirements.append(line)
            elif line.startswith(("-e", "--editable")):
                self._requirements.append(line.split(None, 1)[-1])

    def is_satisfied(self, version: Version, origin: Origin) -> bool:
        """Return whether the environment has everything already.

        Also with --upgrade, since a newer version would be another one tomorrow.
        """
        satisfied = [_is_there(text, version) for text in self._requirements]
        for place, text in enumerate(self._requirements):
            if satisfied[place] is None and self._is_same_project(text, origin):
                satisfied[place] = True
        self.takes_files = None in satisfied
        return all(satisfied)

    def _is_same_project(self, text: str, origin: Origin) -> bool:
        """Return whether a package of this machine was made from a directory of the same files."""
        place = _at(self._directory, text)
        content = self._read(f"{place}/pyproject.toml")
        try:
            name = tomllib.loads((content or b"").decode())["project"]["name"]
        except (ValueError, KeyError, TypeError):
            return False
        directory = origin(str(name))
        return directory is not None and has_same_files(directory, self._read, place)


def _is_there(text: str, version: Version) -> bool | None:
    """Return whether a requirement is met; None if it is not a package's name."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    if requirement.url:
        return None
    found = version(canonicalize_name(requirement.name))
    # An extra may need more packages: pip looks.
    if found is None or requirement.extras:
        return False
    return requirement.specifier.contains(found, prereleases=True)


def _lines(text: str) -> Iterator[str]:
    joined = re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff"))
    for line in joined.splitlines():
        bare = _OPTION.sub("", re.sub(r"(^|\s)#.*", "", line)).strip()
        if bare:
            yield bare


def _at(directory: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(directory, path))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
