"""The trend: what is remembered of the runs, and the page of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.monitor_trend import MOST_RUNS, drifts_in_a_row, trend_page
from tests.unit.model.monitoring import Job, as_json, capture, csv, stable_lines

THRESHOLDS = {"psi_drift": 0.25}
VERDICTS = ("stable", "warning", "drift", "few-rows", "no-captures")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def entry(verdict: str, model: str = "one", **more: Any) -> dict[str, Any]:
    return {
        "run": 1,
        "last": "2026/01/31/10",
        "rows": 10,
        "verdict": verdict,
        "psi": 0.1,
        "columns": 0,
        "prediction_psi": None,
        "confidence_psi": None,
        "quality": None,
        "model": model,
        **more,
    }


def metric(job: Job, name: str) -> float | None:
    document = json.loads((job.root / "report/metrics.json").read_text())
    found = [m["Value"] for m in document["MetricData"] if m["MetricName"] == name]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("drift", 1),
        ("stable drift drift", 2),
        ("drift stable drift", 1),
        ("drift drift stable", 0),
        ("drift few-rows no-captures drift", 2),
        ("drift warning", 0),
        ("few-rows", 0),
    ],
)
def test_the_newest_runs_that_drifted_are_counted(verdicts: str, expected: int) -> None:
    assert drifts_in_a_row([entry(verdict) for verdict in verdicts.split()]) == expected


def test_another_model_begins_a_series_of_its_own() -> None:
    assert drifts_in_a_row([entry("drift"), entry("drift", "two")]) == 1
    assert drifts_in_a_row([]) == 0


@given(st.lists(st.sampled_from(VERDICTS), max_size=20))
def test_a_series_is_as_long_as_its_drifts(verdicts: list[str]) -> None:
    found = drifts_in_a_row([entry(verdict) for verdict in verdicts])
    judged = [v for v in verdicts if v in ("stable", "warning", "drift")]
    assert judged[len(judged) - found :] == ["drift"] * found
    assert found == len(judged) or judged[len(judged) - found - 1] != "drift"


def test_each_run_is_a_point_and_the_metric_counts_drifts_in_a_row(job: Job) -> None:
    for run, shift in enumerate((0.0, 4.0, 4.0)):
        made = stable_lines(200, shift=shift, first=200 * run)
        job.captures(f"shop/AllTraffic/2026/01/31/{10 + run}/00.jsonl", made)
        job.run()
        assert metric(job, "ConsecutiveDrifts") == run
    assert [e["verdict"] for e in job.state["trend"]] == ["stable", "drift", "drift"]
    page = (job.root / "report/trend.html").read_text()
    assert "2 of 3 runs drifted" in page
    assert len(re.findall("<circle", page)) == 3 * 3
    assert "http" not in page.replace("http-equiv", "")


def test_a_run_with_too_few_rows_leaves_the_alarm_as_it_is(job: Job) -> None:
    job.captures("shop/AllTraffic/2026/01/31/10/00.jsonl", stable_lines(20))
    job.run()
    assert metric(job, "ConsecutiveDrifts") is None
    assert job.state["trend"][0]["verdict"] == "few-rows"


def test_what_an_earlier_model_answered_does_not_count_for_the_next_one(job: Job) -> None:
    for run, (model, share, expected) in enumerate(
        [("one", 0.95, "stable"), ("one", 0.55, "drift"), ("two", 0.55, "stable")]
    ):
        answered = csv(f"{share},{1 - share:.2f}\n")
        made = [capture(csv("1,north\n"), answered, f"e-{run}-{n}") for n in range(200)]
        job.captures(f"shop/AllTraffic/2026/01/31/10/{run}.jsonl", made)
        assert job.run(MONITOR_MODEL=model)["confidence"]["verdict"] == expected
    assert len(job.state["kept"]["entries"]) == 200
    assert [e["model"] for e in job.state["trend"]] == ["one", "one", "two"]
    assert 'class="new"' in (job.root / "report/trend.html").read_text()


def test_live_quality_has_its_interval_in_the_trend(job: Job) -> None:
    made = [capture(csv("1,north\n"), csv("a\n"), f"e-{n}") for n in range(200)]
    job.captures("shop/AllTraffic/2026/01/31/10/00.jsonl", made)
    job.write("ground-truth/l.csv", "".join(f"e-{n},{'ab'[n % 4 == 0]}\n" for n in range(200)))
    job.run()
    value, low, high = job.state["trend"][0]["quality"]
    assert (value, low < value < high) == (0.75, True)
    assert 'class="band"' in (job.root / "report/trend.html").read_text()


def test_a_state_of_an_earlier_release_is_read(job: Job) -> None:
    job.captures("shop/AllTraffic/2026/01/31/10/00.jsonl", stable_lines(200))
    job.run()
    old = {name: part for name, part in job.state.items() if name not in ("model", "trend")}
    job.write("state/state.json", json.dumps(old))
    assert job.run()["rows"] == 0
    assert len(job.state["trend"]) == 1


def test_the_trend_forgets_the_oldest_runs(job: Job) -> None:
    job.run()
    job.write(
        "state/state.json",
        json.dumps(job.state | {"trend": [entry("stable", run=n) for n in range(MOST_RUNS)]}),
    )
    job.run()
    runs = [e["run"] for e in job.state["trend"]]
    assert (len(runs), runs[0], runs[-1]) == (MOST_RUNS, 1, 2)


def test_the_page_of_no_runs_and_hostile_text_is_only_text(job: Job) -> None:
    assert "the last 0 runs" in trend_page([], THRESHOLDS)
    evil = "<script>alert(1)</script>"
    made = [capture(as_json([["x", evil]]), csv(f"{evil}\n"), f"{n}") for n in range(200)]
    job.captures(f"{evil}/v/2026/01/31/10/a.jsonl", made)
    job.run(MONITOR_MODEL=evil)
    assert "<script" not in (job.root / "report/trend.html").read_text()
