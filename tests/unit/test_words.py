"""Tests that code, documentation and help use the field's terms, not words of the project's own.

A term that only this project used stands in `RETIRED`, with the term that readers know. Identifiers
are split into words first, so `mend_moto` and `WindTunnel` are found as `mend moto` and `wind
tunnel`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".md", ".ipynb", ".yaml", ".yml", ".toml", ".html", ".js", ".css", ".sh", ""}

# A regular expression for lower-case words, and the term to use instead.
RETIRED = {
    r"mend(s|ed|ing)?": "patch, fix or correct",
    r"passive (service|operation|api|call)s?": "moto backend",
    r"short way": "fast path",
    r"wind tunnel": "autoscaling simulator or capacity planner",
    r"put(s|ting)? (the|its|a|my) clock on": "advance the clock",
    r"(the|by|of|on) wall('s)?(?! clock| time| seconds?)": "wall-clock time",
    r"for ever": "until cancelled, or indefinitely",
    r"anew": "again",
    r"(is|are|was|were|be) told": "is notified, receives, or gets an error",
    r"hears?": "receives, or is notified",
    r"word of": "notification of",
    r"(stack )?ledger": "stack event log",
    r"mailbox(es)?": "pending results",
    r"aim back": "prepare rollback",
    r"begin again": "reset for retry",
    r"lonely": "singleton",
    r"tired": "out of patience",
    r"deaf": "input closed",
    r"purses?": "quota lease",
    r"turnstiles?": "quota gate",
    r"crew": "worker pool",
    r"tickets?": "quota, or request",
    r"coalesc(e|er|es|ed|ing)": "micro-batching",
    r"(file|page|code|class|method|name|row|key|value|id)s? that there (is|are) not?": "missing",
    r"whichever|whatsoever|nevertheless": "a plain sentence",
    r"hangs? on (the|it|what)": "depends on",
}
# A term may be broken over two lines, also of a comment.
_GAP = r"[\s#]+"
_RETIRED = re.compile(
    rf"(?<![\w-])(?:{'|'.join(f'(?:{pattern})' for pattern in RETIRED)})(?![\w-])".replace(
        " ", _GAP
    ),
    re.ASCII,
)
_QUESTION = re.compile(r"(What|Which|Whether|How|Why|When|Where|Who)\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# "sent: of the request" says less than a unit, a range or a shape would.
_OF_ARGUMENT = re.compile(r"^\s+[\w`*]+(?:, [\w`*]+)*: of ", re.MULTILINE)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    paths = [ROOT / name for name in listed]
    return [
        path
        for path in paths
        if path.suffix in SUFFIXES and path.is_file() and path != Path(__file__)
    ]


def _words(text: str) -> str:
    """Return text in lower case, with identifiers split into words."""
    return _CAMEL.sub(" ", text).replace("_", " ").lower()


def retired(text: str) -> list[str]:
    """Return the retired terms of a text, each with its line and its replacement."""
    found, words = [], _words(text)
    for match in _RETIRED.finditer(words):
        term = re.sub(_GAP, " ", match[0])
        pattern = next(p for p in RETIRED if re.fullmatch(p, term, re.ASCII))
        line = words.count("\n", 0, match.start()) + 1
        found.append(f"{line}: {term!r} (write {RETIRED[pattern]})")
    return found


def _text(path: Path) -> str:
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def test_no_file_uses_a_retired_term() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{term}" for path in _tracked() for term in retired(_text(path))
    ]
    found += [f"name of {name}" for name in map(str, _tracked()) if retired(Path(name).name)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "def mend_moto() -> None:",
        "class WindTunnel:",
        "# The clock is put on: putting the clock on takes no time.",
        "A passive service answers.",
        "It waits for ever.",
        "the process is told its port",
        "# the clock is put\n    # on; put the clock\n    # on",
    ],
)
def test_a_retired_term_is_found(line: str) -> None:
    assert retired(line)


@pytest.mark.parametrize(
    "line",
    ["recommended amendments", "wall-clock time", "the wall clock", "renewable", "shear heard"],
)
def test_other_words_are_not_found(line: str) -> None:
    assert retired(line) == []


@pytest.fixture(scope="module")
def docstrings() -> list[tuple[str, str]]:
    """Return every docstring with its place."""
    found = []
    for path in _tracked():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node, clean=False)
                line = getattr(node, "lineno", 1)
                found.append((f"{path.relative_to(ROOT)}:{line}", text or ""))
    return found


def test_docstrings_state_and_do_not_ask(docstrings: list[tuple[str, str]]) -> None:
    """A docstring begins with a noun phrase or a verb: `What a run did` → `The result of a run`."""
    found = [
        f"{place}: {text.splitlines()[0]}" for place, text in docstrings if _QUESTION.match(text)
    ]
    assert found == []


def test_arguments_are_described_by_more_than_their_owner(
    docstrings: list[tuple[str, str]],
) -> None:
    """`directory: of the project` says less than `directory: the project's directory`."""
    found = [
        f"{place}: {match[0].strip()}"
        for place, text in docstrings
        for match in [_OF_ARGUMENT.search(text)]
        if match
    ]
    assert found == []
