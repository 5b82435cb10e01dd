"""A load of so many requests sends each of them, and ends when the last one is answered."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from loadtest.samples import RunRecord
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import dataset, load, right

__all__ = ["dataset"]  # a fixture

REQUESTS = 60
# Workers tell of their requests every half second, so that some tell in the midst of the last ones.
LAST, SLOW_SECONDS = 8, 0.7


@pytest.mark.parametrize("workers", [1, 2])
def test_the_last_requests_are_sent_though_nearly_all_are_answered(
    dataset: Path, tmp_path: Path, workers: int
) -> None:
    bodies: Counter[str] = Counter()

    def slow_at_the_end(body: str, number: int) -> tuple[int, str]:
        bodies[body] += 1
        if number > REQUESTS - LAST:
            time.sleep(SLOW_SECONDS)
        return right(body, number)

    with LocalEndpoint(slow_at_the_end) as endpoint:
        options = ("--users", "2", "--requests", str(REQUESTS), "--workers", str(workers))
        done = load(endpoint, dataset, tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    record = RunRecord.from_json((tmp_path / "run.json").read_text())
    assert (REQUESTS, REQUESTS) == (record.requests, endpoint.invocations)
    assert REQUESTS == record.answers == record.correct == bodies.total()
    # What came last was waited for.
    assert record.load_seconds > SLOW_SECONDS * LAST / 2
