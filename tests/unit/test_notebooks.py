"""The notebooks in git: valid, without outputs, and with the allowed imports only."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from notebooks.clear import cleared

ROOT = Path(__file__).resolve().parents[2]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
# The allowed imports besides the standard library, from notebooks/requirements.in.
IMPORTED = {"boto3", "botocore", "IPython", "lab", "matplotlib", "numpy"}
OURS = {"components", "lambda_src", "loadtest", "localcloud", "model", "policy", "tests"}

every_notebook = pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_course_is_numbered_from_one() -> None:
    assert COURSE
    numbers = [int(path.stem.partition("-")[0]) for path in COURSE]
    assert list(range(1, len(COURSE) + 1)) == numbers


@every_notebook
def test_a_notebook_has_the_format_of_jupyter(path: Path) -> None:
    book = json.loads(path.read_text())
    assert (4, 5) == (book["nbformat"], book["nbformat_minor"])
    assert {"cells", "metadata", "nbformat", "nbformat_minor"} == set(book)
    for cell in book["cells"]:
        fields = {"cell_type", "id", "metadata", "source"}
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert fields | code == set(cell)
        assert cell["cell_type"] in {"code", "markdown"}
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


@every_notebook
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    text = path.read_text()
    assert cleared(text) == text, "run: make clear"


def test_clearing_removes_outputs_and_nothing_else() -> None:
    kept = COURSE[0].read_text()
    book = json.loads(kept)
    book["metadata"]["language_info"]["version"] = "3.11.9"
    for count, cell in enumerate(book["cells"]):
        cell["metadata"] = {"collapsed": True}
        if cell["cell_type"] == "code":
            cell["execution_count"] = count
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["seen"]}]
    assert kept == cleared(json.dumps(book))


@every_notebook
def test_a_notebook_has_no_path_of_a_machine(path: Path) -> None:
    known = r"(?:/home|/Users|/root|/work|/tmp|[A-Z]:\\\\)/?\S*"
    assert [] == re.findall(known, path.read_text())


@every_notebook
def test_a_notebook_begins_with_its_requirements_and_ends_with_exercises(path: Path) -> None:
    prose = [text(cell) for cell in cells(path, "markdown")]
    for word in ("**Shows**", "**Takes**", "**Needs**"):
        assert word in prose[0]
    assert "## Exercises" in prose[-1]
    code = [text(cell) for cell in cells(path, "code")]
    assert "lab.start(" in code[0]
    assert "lab.stop()" == code[-1]


@every_notebook
def test_a_notebook_imports_only_what_a_learner_has(path: Path) -> None:
    found: set[str] = set()
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(text(cell))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    assert set() == found & OURS
    assert set() == found - IMPORTED - sys.stdlib_module_names


@every_notebook
def test_every_link_of_a_notebook_leads_somewhere(path: Path) -> None:
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(cell)):
            assert "://" in target or (path.parent / target).exists(), target
