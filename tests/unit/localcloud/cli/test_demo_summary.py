"""The summary of the demo: facts and durations, in a terminal and in a log."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from localcloud.cli import console
from localcloud.cli.demo_timings import Timings
from localcloud.cli.demo_watch import with_a_verdict
from localcloud.cli.monitored import MonitorRun

NAME = "mlops-deploy-iris-model-prd-Model-" + "Q8BB2B" * 8


@pytest.mark.parametrize("terminal", [True, False])
def test_no_name_is_cut_at_60_columns(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    text = io.StringIO()
    narrow = Console(file=text, width=60, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(console, "out", narrow)
    console.print_facts([("Model", NAME), ("Scaling", "from 2 to 7 [instances]")])
    said = text.getvalue()
    assert "…" not in said
    assert NAME in "".join(said.split())
    assert "[instances]" in said
    assert (f"Model: {NAME}\n" in said) is not terminal


def test_the_wait_for_an_answer_is_not_counted_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("localcloud.cli.demo_timings.monotonic", lambda: now[0])
    timings = Timings(_began=100.0)
    timings.steps["deploy"], timings.stages["Train/Train"] = 12.0, 5.0
    text = io.StringIO()
    now[0], timings.waited = 160.0, 20.0
    timings.print(Console(file=text, width=80))
    said = text.getvalue()
    assert said.index("deploy") < said.index("Action of the pipeline") < said.index("Train/Train")
    assert "40 s in all, and 20 s for your answer to the approval" in said
    assert timings.document() == {"deploy": 12.0, "Train/Train": 5.0, "waited": 20.0, "all": 60.0}


@pytest.mark.parametrize(
    ("verdicts", "used"),
    [
        (["drift", "stable"], "drift"),
        (["no-captures", "drift"], "drift"),
        (["few-rows", "no-captures", "stable", "drift"], "stable"),
        (["no-captures"] * 9, "no-captures"),
    ],
)
def test_a_run_that_fell_due_while_requests_were_sent_is_not_the_answer(
    verdicts: list[str], used: str
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    runs = iter([MonitorRun(str(n), {"verdict": v}, moment) for n, v in enumerate(verdicts)])
    assert with_a_verdict(lambda: [next(runs)]).report["verdict"] == used
