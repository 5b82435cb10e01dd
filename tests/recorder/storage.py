"""The files of recordings: one JSON document a test, with who recorded it, when and where."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.recorder.normal import Caller, leaks

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests" / "recordings"
AWS = "aws"
# The bound of a file of a recording, in bytes.
LARGEST = 10 * 1024 * 1024


class Unsafe(Exception):
    """A recording that still contains something private. It is not written."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Provenance of a recording; `cloud` is `aws` or an endpoint, `on` the day, `by` a name."""

    cloud: str
    on: str
    by: str
    botocore: str


def write(
    directory: Path, test: str, origin: Origin, cases: list[dict[str, Any]], caller: Caller
) -> Path:
    """Write the recording of a test.

    Raises:
        Unsafe: the text contains an account, a credential or the caller's name. Nothing is written.
    """
    document = {
        "test": test,
        "source": fingerprint(test),
        "recorded": {
            "cloud": origin.cloud,
            "on": origin.on,
            "by": origin.by,
            "botocore": origin.botocore,
        },
        "cases": cases,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    found = leaks(text, caller)
    if found:
        raise Unsafe(f"the recording of {test} contains {' and '.join(found)}; it is not written")
    path = directory / f"{Path(test.partition('::')[0]).stem}.{test.partition('::')[2]}.json"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@dataclass(frozen=True, slots=True)
class Deliberate:
    """A difference from AWS that is meant: one answer's kind and path, and the reason."""

    test: str
    operation: str
    kind: str
    path: str
    reason: str


def read(directory: Path = RECORDINGS) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the recordings of a directory by their names, and the problems of the other files."""
    found, problems = [], []
    for path in sorted(directory.glob("*.json")):
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
            recording = json.loads(path.read_text())
            found.append(_checked(recording))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problems.append(f"{path.name} is no recording: {type(error).__name__}: {error}")
    return found, problems


def _checked(recording: Any) -> dict[str, Any]:
    """Return a recording whose own members are there.

    Raises:
        KeyError, TypeError: one is not.
    """
    for member in ("test", "source", "cases"):
        recording[member]
    for member in ("cloud", "on", "by", "botocore"):
        recording["recorded"][member]
    found: dict[str, Any] = recording
    return found


def deliberate(directory: Path = RECORDINGS) -> list[Deliberate]:
    """Return the differences that are meant, from `deliberate.toml`.

    Raises:
        ValueError: the file is malformed, or an entry has other members or no reason.
    """
    path = directory / "deliberate.toml"
    if not path.exists():
        return []
    entries = tomllib.loads(path.read_text()).get("difference", [])
    try:
        found = [Deliberate(**entry) for entry in entries]
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
    if not all(entry.reason.strip() for entry in found):
        raise ValueError(f"{path}: a difference has no reason")
    return found


@cache
def _functions(file: Path) -> dict[str, ast.FunctionDef]:
    body = ast.parse(file.read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def fingerprint(test: str) -> str:
    """Return a digest of a test's code, which tells whether a recording is of this version."""
    file, _, name = test.partition("::")
    node = _functions(ROOT / file).get(name)
    return hashlib.sha256(ast.dump(node).encode()).hexdigest()[:16] if node is not None else ""


def recordable() -> Iterator[str]:
    """Yield each test that carries the mark `recordable`, itself or on one of its cases."""
    for file in sorted((ROOT / "tests" / "api").glob("test_*.py")):
        for name, node in _functions(file).items():
            if any(re.search(r"\brecordable\b", ast.unparse(d)) for d in node.decorator_list):
                yield f"{file.relative_to(ROOT).as_posix()}::{name}"
