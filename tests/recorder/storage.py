"""The files of recordings: one JSON document a test, with who recorded it, when and where."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.recorder.normal import Caller, leaks

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests" / "recordings"
AWS = "aws"


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


def read(directory: Path = RECORDINGS) -> list[dict[str, Any]]:
    """Return the recordings of a directory, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]


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
