"""Locust's own command with the project's locustfile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud import ROOT
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import dataset, environment, right

__all__ = ["dataset"]  # the fixture of the other file


def locust(url: str | None, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"),
            *("--users", "4", "--spawn-rate", "10", "--run-time", "3s", "--stop-timeout", "5"),
            *("--endpoint", "iris", "--only-summary", *options),
        ],
        cwd=ROOT,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_locust_sends_the_same_signed_rows(dataset: Path, processes: tuple[str, ...]) -> None:
    with LocalEndpoint(right, scaling=False, speed=None) as endpoint:
        done = locust(endpoint.url, "--dataset", str(dataset), *processes)
    assert done.returncode == 0, done.stderr
    counted = re.search(r"POST +InvokeEndpoint +(\d+) +0\(0.00%\)", done.stdout + done.stderr)
    assert counted
    assert int(counted[1]) == endpoint.invocations > 50
    assert endpoint.bad_signatures == []
    assert "accuracy under load: 100.0 % of " in done.stderr


def test_a_dataset_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    done = locust(None, "--dataset", str(tmp_path / "none.zip"))
    assert done.returncode == 1
    assert "error: cannot read " in done.stderr
    assert "Traceback" not in done.stderr
