"""The course, run like a learner would: each notebook alone, in its own environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
JUPYTER = NOTEBOOKS / ".venv" / "bin" / "jupyter"

pytestmark = [pytest.mark.notebooks, pytest.mark.emulator_only]


def executed(notebook: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run every cell of a notebook; write a copy with its outputs to the directory."""
    if not JUPYTER.exists():
        pytest.skip("the notebooks' environment is not set up: run `make test-notebooks`")
    return subprocess.run(
        [
            *(str(JUPYTER), "nbconvert", "--to", "notebook", "--execute"),
            *("--ExecutePreprocessor.timeout=120", "--output-dir", str(directory), str(notebook)),
        ],
        env={**os.environ, "PYTHONPATH": str(NOTEBOOKS)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def printed(notebook: Path) -> str:
    """Return the printed output of an executed notebook."""
    outputs = [o for c in json.loads(notebook.read_text())["cells"] for o in c.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end_and_leaves_no_cloud_running(path: Path, tmp_path: Path) -> None:
    answer = executed(path, tmp_path)
    assert answer.returncode == 0, answer.stderr[-4000:]
    found = re.search(r"answers at (http://127\.0\.0\.1:\d+);", printed(tmp_path / path.name))
    assert found
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{found[1]}/_localstack/health", timeout=5)


def test_a_cell_that_raises_fails_its_notebook_and_stops_its_cloud(tmp_path: Path) -> None:
    book = json.loads((NOTEBOOKS / "01-train.ipynb").read_text())
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    url = tmp_path / "url"
    code[1]["source"] = [
        "import os, pathlib\n",
        f"pathlib.Path({str(url)!r}).write_text(os.environ['AWS_ENDPOINT_URL'])\n",
        "assert False, 'broken on purpose'",
    ]
    broken = tmp_path / "broken.ipynb"
    broken.write_text(json.dumps({**book, "cells": code[:2]}))
    answer = executed(broken, tmp_path / "out")
    assert answer.returncode != 0
    assert "broken on purpose" in answer.stderr
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url.read_text()}/_localstack/health", timeout=5)
