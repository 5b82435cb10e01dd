"""The page of promises: each of them names a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
ROW = re.compile(r"\| (?P<promise>[^|]+\.) \| `(?P<file>test_\w+\.py)(::(?P<test>test_\w+))?` \|")


def rows() -> list[str]:
    """Return the lines of the page's tables, without their heads."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("| promise |", "| --- |"))]


@cache
def names_in(file: str) -> set[str]:
    paths = [p for part in ("api", "e2e", "unit") for p in (ROOT / "tests" / part).rglob(file)]
    assert paths, f"there is no {file}"
    return {
        node.name
        for path in paths
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_page_has_promises() -> None:
    assert len(rows()) > 40


@pytest.mark.parametrize("row", rows())
def test_a_promise_names_a_test_that_exists(row: str) -> None:
    found = ROW.fullmatch(row)
    assert found is not None, f"not a promise and its test: {row}"
    tests = names_in(found["file"])
    assert found["test"] is None or found["test"] in tests
