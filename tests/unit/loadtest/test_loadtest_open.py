"""Open loads: requests on a schedule, whatever the answers do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.objectives import Objectives, judge
from loadtest.samples import RunRecord
from loadtest.schedule import due, own_times, times
from loadtest.shapes import SHAPES, Load
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import dataset, load, right

__all__ = ["dataset"]  # the fixture of the other file


@given(st.sampled_from(sorted(SHAPES)), st.floats(1, 200), st.floats(1, 20), st.integers(1, 4))
def test_the_workers_together_send_the_whole_schedule(
    shape: str, rate: float, seconds: float, workers: int
) -> None:
    whole = Load(shape, 10, 10, seconds, workers=workers, rate=rate)
    every = list(times(whole))
    assert every == sorted(every)
    assert every[0] == 0
    assert every[-1] < seconds
    assert len(every) <= rate * seconds + 1
    parts = []
    for worker in range(workers):
        part = list(own_times(whole, worker))
        assert len(part) == due(whole, worker, seconds)
        parts += part
    assert sorted(parts) == every


def test_a_constant_rate_is_even() -> None:
    found = list(times(Load("constant", 1, 1, 2, rate=100)))
    assert len(found) in {200, 201}
    assert found[50] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0}, "--rate is 0; it must be above 0 to 100000"),
        ({"rate": 10, "requests": 5}, "--requests does not go with --rate"),
    ],
)
def test_an_open_load_that_cannot_be_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Load("constant", 1, 1, 2, **changes)  # type: ignore[arg-type]


def test_a_schedule_that_was_not_kept_fails_the_run() -> None:
    def met(requests: int, lateness: float | None) -> dict[str, bool]:
        found = judge(
            Objectives(),
            requests=requests,
            failure_share=0.0,
            p99_ms=1.0,
            score=("accuracy under load", 1.0),
            scale_out_seconds=None,
            due=100,
            lateness_ms=lateness,
        )
        return {verdict.name: verdict.met for verdict in found}

    assert met(100, 1.0) == {
        "requests": True,
        "failures": True,
        "requests due": True,
        "generator's lateness": True,
    }
    assert not met(99, 1.0)["requests due"]
    assert not met(100, 51.0)["generator's lateness"]
    assert not met(100, None)["generator's lateness"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_stall_is_seen_by_an_open_load_and_hidden_by_a_closed_one(
    dataset: Path, tmp_path: Path
) -> None:
    began = time.monotonic()

    def answer(body: str, number: int) -> tuple[int, str]:
        # For one second in five nothing is answered.
        into = (time.monotonic() - began) % 5
        if into > 4:
            time.sleep(5 - into)
        return right(body, number)

    found = {}
    with LocalEndpoint(answer, scaling=False, speed=None) as endpoint:
        for name, options in (
            ("closed", ("--users", "4", "--spawn-rate", "100")),
            ("open", ("--rate", "40", "--users", "120")),
        ):
            out = tmp_path / name
            arguments = ("--shape", "constant", "--duration", "10s", "--think", "0.01", *options)
            load(endpoint, dataset, out, *arguments)
            found[name] = RunRecord.from_json((out / "run.json").read_text())
    closed, opened = found["closed"], found["open"]
    assert closed.p99_ms is not None
    assert opened.p99_ms is not None
    assert closed.p99_ms < 500
    assert opened.p99_ms > 700
    assert closed.due is None
    assert opened.due is not None
    assert 380 < opened.due <= 401
    assert opened.requests >= opened.due
    html = (tmp_path / "open" / "report.html").read_text()
    assert "40 requests/s on schedule" in html
    assert "Latency counts from the moment" in html
