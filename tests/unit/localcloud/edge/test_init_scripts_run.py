"""The scripts of one stage: their order, their limits, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from localcloud.edge import init_scripts as module
from localcloud.edge.init_scripts import InitError, InitScripts, Stage

pytestmark = pytest.mark.emulator_only


def _script(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _run(scripts: InitScripts, stage: Stage = Stage.READY) -> list[tuple[str, str]]:
    asyncio.run(scripts.run(stage, "http://127.0.0.1:1"))
    return [(s["name"], s["state"]) for s in scripts.document(stage)["scripts"]]


def test_a_directory_comes_before_its_subdirectories(tmp_path: Path) -> None:
    for name in ("b.sh", "a/z.sh", "a/b/c.sh", "a/y.sh", ".hidden.sh", "__pycache__/x.py"):
        _script(tmp_path / "ready.d" / name)
    names = [name for name, _ in _run(InitScripts(tmp_path))]
    assert ["b.sh", "y.sh", "z.sh", "c.sh"] == names


def test_what_cannot_be_run_is_an_error_that_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "ready.d"
    _script(place / "a.sh", mode=0o644)
    _script(place / "b.sh", "#!/no/such/program\n")
    _script(place / "c")
    _script(place / "d.sh")
    with caplog.at_level(logging.INFO):
        found = _run(InitScripts(tmp_path))
    assert [("a.sh", "ERROR"), ("b.sh", "ERROR"), ("c", "ERROR"), ("d.sh", "SUCCESSFUL")] == found
    assert f"it is not executable: chmod +x {place / 'a.sh'}" in caplog.text
    assert "a file of the kind 'c' is not run, only .sh and .py" in caplog.text


def test_a_script_that_does_not_end_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _script(tmp_path / "ready.d" / "a.sh", "#!/bin/sh\nsleep 600\n")
    _script(tmp_path / "ready.d" / "b.sh")
    found = _run(InitScripts(tmp_path, script_seconds=0.2))
    assert ("a.sh", "ERROR") == found[0]
    assert "it did not end within 0 s" in caplog.text


def test_the_last_stage_has_a_limit_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 0.2)
    for name in ("a.sh", "b.sh"):
        _script(tmp_path / "shutdown.d" / name, "#!/bin/sh\nsleep 600\n")
    assert {"ERROR"} == {state for _, state in _run(InitScripts(tmp_path), Stage.SHUTDOWN)}
    assert "b.sh failed: the 0.2 s of its stage were over" in caplog.text


def test_there_is_a_limit_of_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SCRIPTS", 1)
    for name in ("a.sh", "b.sh"):
        _script(tmp_path / "boot.d" / name)
    with pytest.raises(InitError, match="more than 1 scripts"):
        InitScripts(tmp_path)


def test_a_directory_without_stages_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _script(tmp_path / "ready.sh")
    assert [] == _run(InitScripts(tmp_path))
    assert "it has none of boot.d, start.d, ready.d, shutdown.d" in caplog.text
