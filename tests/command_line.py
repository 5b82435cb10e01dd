"""The command line as a user runs it: a process, piped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cloud import ROOT


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command that no variable sends to another cloud."""
    clean = {k: v for k, v in os.environ.items() if k not in ("AWS_ENDPOINT_URL",)}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `localcloud`; `more` are variables of its environment."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def document(*arguments: str) -> Any:
    """Run `localcloud` with `--json`; return what it printed."""
    answer = run(*arguments, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(answer.stdout)


def refused(answer: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of an error."""
    assert answer.returncode == 1, answer.stdout + answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert "Traceback" not in answer.stderr
    assert len(lines) == 1, answer.stderr
    return lines[0]
