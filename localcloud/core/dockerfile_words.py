"""The text of a Dockerfile: instructions, here-documents, words and variables. Pure.

Source: https://docs.docker.com/reference/dockerfile/#environment-replacement
Differs: the patterns of `${name#pattern}`, `%` and `/` are refused, and so is another escape
character than the backslash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_HERE = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_DIRECTIVE = re.compile(r"\s*#\s*([a-z]+)\s*=\s*(\S+)\s*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|\d)(?:(:?[-+?])((?:[^{}]|\$\{[^{}]*\})*))?\}")
# Substitutions of substitutions: a bound on work.
_DEEPEST = 8
_LONGEST = 1024 * 1024


class ImageError(ValueError):
    """A build context that cannot become an image, or an image that is not there."""


@dataclass(frozen=True, slots=True)
class HereDocument:
    """A here-document of RUN or COPY.

    Attributes:
        name: the word that ends it; COPY makes a file of this name.
        text: its lines.
        literal: variables in it are not replaced.
    """

    name: str
    text: str
    literal: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        name: in capitals.
        rest: what follows the name, in one line.
        documents: its here-documents, in order.
    """

    name: str
    rest: str
    documents: list[HereDocument] = field(default_factory=list)

    @property
    def line(self) -> str:
        """Return the instruction as a message shows it."""
        return f"{self.name} {self.rest}"


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile.

    Raises:
        ImageError: a NUL, an escape directive, or a here-document without an end.
    """
    if "\0" in text:
        raise ImageError("the Dockerfile has a NUL character")
    lines = text.removeprefix("\ufeff").splitlines()
    for line in lines:
        directive = _DIRECTIVE.fullmatch(line)
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] != "\\":
            raise ImageError(f"the Dockerfile's escape character is {directive[2]}; it must be \\")
    rest = iter(lines)
    for line in rest:
        joined = _joined(line, rest)
        name, *after = joined.strip().split(None, 1)[:2] or [""]
        if not name or name.startswith("#"):
            continue
        name, tail = name.upper(), "".join(after)
        documents = []
        if name in ("RUN", "COPY", "ADD"):
            documents = [_document(match, rest) for match in _HERE.finditer(tail)]
        yield Instruction(name, tail, documents)


def _joined(line: str, rest: Iterator[str]) -> str:
    """Return a line with the lines that continue it; comments and empty lines between do not."""
    parts = []
    while not line.lstrip().startswith("#") and (stripped := line.rstrip()).endswith("\\"):
        parts.append(stripped[:-1])
        for line in rest:
            if line.strip() and not line.lstrip().startswith("#"):
                break
        else:
            return "".join(parts)
    return "".join((*parts, line))


def _document(match: re.Match[str], rest: Iterator[str]) -> HereDocument:
    stripped, quote, name = match.groups()
    lines: list[str] = []
    for line in rest:
        kept = line.lstrip("\t") if stripped else line
        if kept == name:
            return HereDocument(name, "".join(f"{line}\n" for line in lines), bool(quote))
        lines.append(kept)
    raise ImageError(f"the Dockerfile's here-document {name} has no end")


def json_words(instruction: Instruction) -> list[str]:
    """Return the words of an instruction in its JSON form.

    Raises:
        ImageError: it has another form.
    """
    try:
        words = json.loads(instruction.rest)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ImageError(f'\'{instruction.line[:500]}\': write it in the JSON form, ["a", "b"]')
    if any("\0" in word for word in words):
        raise ImageError(f"'{instruction.line}' has a NUL character")
    return words


def expand(text: str, variables: Mapping[str, str], *, split: bool = True) -> list[str]:
    """Return the words of a text without their quotes and with the values of variables.

    Args:
        text: what follows the instruction's name.
        variables: by name; a variable that is not there is empty.
        split: whether spaces end a word; otherwise there is one word.

    Raises:
        ImageError: a quote that is not closed, a substitution that the local cloud does not know,
            or `${name:?message}` without a value.
    """
    return _Words(text, variables, 0).read(split=split)


class _Words:
    def __init__(self, text: str, variables: Mapping[str, str], depth: int) -> None:
        if depth > _DEEPEST:
            raise ImageError(f"'{text[:80]}': substitutions in more than {_DEEPEST} levels")
        self._text, self._variables, self._depth = text, variables, depth
        self._place = 0

    def read(self, *, split: bool) -> list[str]:
        words: list[str] = []
        word: list[str] | None = None
        quote, size = "", 0
        while self._place < len(self._text):
            character = self._text[self._place]
            self._place += 1
            if quote == "'" and character != "'":
                found = character
            elif character in "'\"" and quote in ("", character):
                quote = "" if quote else character
                found = ""
            elif character == "\\":
                found = self._escaped(in_quotes=bool(quote))
            elif character == "$":
                found = self._value()
                size += len(found)
                if size > _LONGEST:
                    raise ImageError("the variables of an instruction have over a million bytes")
            elif split and not quote and character.isspace():
                if word is not None:
                    words.append("".join(word))
                word = None
                continue
            else:
                found = character
            word = word if word is not None else []
            word.append(found)
        if quote:
            raise ImageError(f"'{self._text[:500]}': No closing quotation")
        if word is not None:
            words.append("".join(word))
        return words if split else ["".join(words)]

    def _escaped(self, *, in_quotes: bool) -> str:
        following = self._text[self._place : self._place + 1]
        self._place += 1
        return following if not in_quotes or following in '"$\\' else f"\\{following}"

    def _value(self) -> str:
        named = _NAME.match(self._text, self._place)
        if named is not None:
            self._place = named.end()
            return self._variables.get(named[0], "")
        if not self._text.startswith("{", self._place):
            return "$"
        braced = _BRACED.match(self._text, self._place)
        if braced is None:
            end = self._text.find("}", self._place) + 1 or len(self._text)
            raise ImageError(
                f"'${self._text[self._place : end][:80]}' is not supported locally; use "
                "${name}, ${name:-value} or ${name:+value}"
            )
        self._place = braced.end()
        name, operator, other = braced[1], braced[2] or "", braced[3] or ""
        value = self._variables.get(name)
        there = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return self._inner(other) if there else ""
        if operator and not there:
            if operator.endswith("?"):
                raise ImageError(f"{name}: {self._inner(other) or 'it has no value'}")
            return self._inner(other)
        return value or ""

    def _inner(self, text: str) -> str:
        return _Words(text, self._variables, self._depth + 1).read(split=False)[0]
