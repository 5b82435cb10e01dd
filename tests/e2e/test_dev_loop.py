"""`localcloud dev`: what is saved is deployed, what fails is said, and Ctrl-C leaves nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.core.child_process import free_port
from tests.cloud import ROOT, configured_url
from tests.command_line import environment

pytestmark = [pytest.mark.e2e, pytest.mark.emulator_only, pytest.mark.slow]

PARTS = ("components", "lambda_src", "model", "policy", "localcloud", "loadtest")
FILES = ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prd.yaml")


class Loop:
    """The command in a copy of the project."""

    def __init__(self, project: Path, port: int) -> None:
        self.project = project
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud", "dev"),
                *("--port", str(port), "--dataset", "none"),
            ],
            cwd=project,
            env=environment(PYTHONPATH=str(project), PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def until(self, wanted: str) -> str:
        """Return what it prints until a text comes."""
        assert self._process.stdout is not None
        said = ""
        while wanted not in said:
            line = self._process.stdout.readline()
            assert line, f"it ended without {wanted!r}:\n{said}"
            said += line
        return said

    def save(self, file: str, old: str, new: str) -> None:
        path = self.project / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def end(self) -> str:
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=60)
        return rest


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def loop(tmp_path: Path, port: int) -> Iterator[Loop]:
    if configured_url() is not None:
        pytest.skip("the command has a local cloud of its own")
    ignored = shutil.ignore_patterns("__pycache__", ".venv")
    for name in PARTS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    made = Loop(tmp_path, port)
    yield made
    made.end()


@pytest.mark.timeout(300)
def test_what_is_saved_is_deployed_until_ctrl_c(loop: Loop, port: int) -> None:
    assert f"http://127.0.0.1:{port}/_localcloud/ shows the lab." in loop.until("Watching ")
    loop.save("lambda_src/smoke_test.py", '"""', '"""Saved. ')
    assert "function iris-model-smoke-test has the new code" in loop.until(" s\n")
    loop.save("Pulumi.dev.yaml", "config:", "config:\n  mlops-lab:trainingMaxRuntimeSeconds: 1800")
    said = loop.until("dev: Done: ")
    assert "Pulumi.dev.yaml" in said
    assert "prd: " not in said
    assert "updated Pipeline delivery" in said
    loop.save("components/naming.py", '"""', 'def broken(:\n"""')
    assert "error: " in loop.until("invalid syntax")
    loop.save("components/naming.py", "def broken(:\n", "")
    assert "93 unchanged" in loop.until("dev: Done: ")
    loop.save("model/train.py", '"""', '"""Saved. ')
    assert "image iris-model:" in loop.until("t trains with it")
    assert "Stopped the local cloud and all that it had started." in loop.end()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_localstack/health", timeout=5)
