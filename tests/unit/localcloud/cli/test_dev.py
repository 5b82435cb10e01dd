"""The consequences of a saved file, and the functions that read a module."""

from __future__ import annotations

import sys
import types
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from localcloud.cli.console import CommandError
from localcloud.cli.dev import FUNCTIONS, MODEL, PROGRAM, forget_program, kinds_of
from localcloud.cli.dev_functions import closure, packed, update_functions

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("lambda_src/evidence.py", FUNCTIONS),
        ("lambda_src/page.html", FUNCTIONS),
        ("components/naming.py", PROGRAM),
        ("policy/rules.py", PROGRAM),
        ("__main__.py", PROGRAM),
        ("Pulumi.yaml", PROGRAM),
        ("Pulumi.prd.yaml", PROGRAM),
        ("model/train.py", MODEL),
        ("model/requirements.txt", MODEL),
        ("components/__pycache__/naming.cpython-311.pyc", None),
        ("lambda_src/.evidence.py.swp", None),
        ("model/train.py~", None),
        ("docs/faq.md", None),
    ],
)
def test_a_saved_file_has_one_consequence(path: str, kind: str | None) -> None:
    found = kinds_of({str(ROOT / path)}, ROOT)
    assert found == ({} if kind is None else {kind: [Path(path)]})


def test_what_is_saved_together_is_done_in_the_order_of_its_speed() -> None:
    paths = {
        str(ROOT / name) for name in ("model/train.py", "__main__.py", "lambda_src/retrain.py")
    }
    assert list(kinds_of(paths, ROOT)) == [FUNCTIONS, PROGRAM, MODEL]


class FakeLambda:
    """Two functions of the lab and one of somebody else."""

    def __init__(self) -> None:
        self.updated: dict[str, bytes] = {}

    def get_paginator(self, _: str) -> FakeLambda:
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        handlers = {
            "smoke": "lambda_src.smoke_test.handler",
            "evidence": "lambda_src.evidence.handler",
        }
        functions = [{"FunctionName": n, "Handler": h} for n, h in handlers.items()]
        yield {"Functions": [*functions, {"FunctionName": "other", "Handler": "main.handler"}]}

    def update_function_code(self, *, FunctionName: str, ZipFile: bytes) -> None:  # noqa: N803
        self.updated[FunctionName] = ZipFile


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("evidence_page.py", ["evidence"]),
        ("smoke_test.py", ["smoke"]),
        ("pipeline_job.py", ["smoke", "evidence"]),
        ("page.html", ["smoke", "evidence"]),
        ("retrain.py", []),
    ],
)
def test_the_functions_that_read_a_file_get_the_new_code(file: str, names: list[str]) -> None:
    functions = FakeLambda()
    assert list(update_functions(functions, ROOT, [Path("lambda_src") / file])) == names
    assert list(functions.updated) == names
    for content in functions.updated.values():
        members = zipfile.ZipFile(BytesIO(content)).namelist()
        assert {"lambda_src/__init__.py", f"lambda_src/{file}"} <= set(members)
        assert not [name for name in members if "__pycache__" in name]


def test_a_module_that_cannot_be_parsed_is_named(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("from lambda_src.other import x\n")
    (tmp_path / "other.py").write_text("def broken(:\n")
    with pytest.raises(CommandError, match=r"lambda_src/other\.py cannot be read"):
        closure(tmp_path, "handler")
    assert zipfile.ZipFile(BytesIO(packed(tmp_path))).namelist() == [
        "lambda_src/handler.py",
        "lambda_src/other.py",
    ]


def test_the_programs_modules_are_read_again_and_libraries_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in (
        ("own_module", tmp_path / "components" / "own.py"),
        ("other_module", tmp_path / "elsewhere" / "components.py"),
    ):
        module = types.ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
    forget_program(tmp_path)
    assert "own_module" not in sys.modules
    assert "other_module" in sys.modules
