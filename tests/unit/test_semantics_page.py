"""The page of AWS's rules: each names a test that exists, and says what the test's mark says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "semantics.md"
ROW = re.compile(
    r"\| (?P<rule>[^|]+) \| `(?P<file>test_\w+\.py)::(?P<test>test_\w+)` \| (?P<from>\w+) \|"
    r"(?: (?P<seen>[^|]+) \|)?"
)
ORIGINS = {
    "aws_documented": "documented",
    "botocore_modelled": "modelled",
    "emulator_only": "ours",
}


def rows() -> list[str]:
    """Return the lines of the page's tables, without their heads."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("| rule |", "| --- |"))]


@cache
def origins_of(file: str) -> dict[str, list[str]]:
    """Return the origin that each test of a file is marked with, by its name."""
    (path,) = [p for part in ("api", "e2e", "unit") for p in (ROOT / "tests" / part).rglob(file)]
    tree = ast.parse(path.read_text())
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def origin(mark: ast.expr) -> list[str]:
        if isinstance(mark, ast.Name):
            return origin(named[mark.id]) if mark.id in named else []
        if isinstance(mark, ast.Call):
            return origin(mark.func)
        name = mark.attr if isinstance(mark, ast.Attribute) else ""
        return [ORIGINS[name]] if name in ORIGINS else []

    for_all = origin(named["pytestmark"]) if "pytestmark" in named else []
    return {
        node.name: for_all + [o for mark in node.decorator_list for o in origin(mark)]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_page_has_rules() -> None:
    assert len(rows()) > 100


@pytest.mark.parametrize("row", rows())
def test_a_rule_names_a_test_that_says_where_the_rule_is_from(row: str) -> None:
    found = ROW.fullmatch(row)
    assert found is not None, f"not a rule, its test and where it is from: {row}"
    origins = origins_of(found["file"])
    assert found["test"] in origins, f"{found['file']} has no test {found['test']}"
    assert origins[found["test"]] == [found["from"]]
