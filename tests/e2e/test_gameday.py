"""A short game day with a fixed seed: each kind of fault once, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.gameday.schedule import FaultKind
from tests.cloud import ROOT, configured_url

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.emulator_only,
    pytest.mark.slow,
    pytest.mark.timeout(420),
]


def test_a_game_day_with_each_fault_loses_nothing(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("a game day starts a local cloud of its own")
    command = [sys.executable, "-m", "localcloud", "gameday", "--seed", "7"]
    command += ["--count", str(len(FaultKind)), "--duration", "10s", "--clients", "2"]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "gameday")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "gameday" / "gameday.json").read_text())
    assert {row["fault"]["kind"] for row in report["faults"]} == set(FaultKind)
    assert (report["losses"], report["orphans"]) == ([], [])
    # The edge conceals these faults even from a client that repeats nothing.
    hidden = {"kill-instance", "kill-fleet", "slow-starts", "lost-function", "kill-job"}
    lost = {row["fault"]["kind"]: row["reasons"] for row in report["faults"] if row["lost"]}
    assert not hidden & set(lost), lost
    assert report["totals"]["starts of the local cloud"] == 2
    assert report["totals"]["objects"] >= 1
