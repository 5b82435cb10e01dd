"""Game days: the schedule from a seed, the comparison in the end, and the verdict."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from localcloud.cli.app import app
from localcloud.gameday.acknowledged import Acknowledged, Found, losses
from localcloud.gameday.load import Load
from localcloud.gameday.report import Report, Row
from localcloud.gameday.schedule import (
    DESCRIPTIONS,
    SERVICES,
    Fault,
    FaultKind,
    schedule,
)

pytestmark = pytest.mark.emulator_only
KINDS = list(FaultKind)
STEP = ("execution", "Stage", "Action")


@given(
    seed=st.integers(),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
    count=st.integers(1, 60),
    duration=st.floats(1, 600),
)
def test_a_schedule_follows_from_its_seed(
    seed: int, kinds: list[FaultKind], count: int, duration: float
) -> None:
    drawn = schedule(seed, kinds, count, duration)
    assert drawn == schedule(seed, kinds, count, duration)
    assert [fault.number for fault in drawn] == list(range(1, count + 1))
    counts = Counter(fault.kind for fault in drawn)
    assert max(counts.values()) - min(counts[kind] for kind in kinds) <= 1
    lasts = sum(fault.pause_seconds + fault.hold_seconds for fault in drawn)
    assert lasts == pytest.approx(max(duration, sum(f.hold_seconds for f in drawn)), abs=0.05)
    for fault in drawn:
        assert 0 <= fault.pick <= 1
        needs_service = fault.kind in (FaultKind.THROTTLED_API, FaultKind.FAILING_API)
        assert (fault.service in SERVICES) == needs_service
        assert (fault.jump_clock_seconds > 0) == (fault.kind is FaultKind.CLOCK_JUMP)


def test_another_seed_is_another_schedule() -> None:
    assert schedule(1, KINDS, 26, 60) != schedule(2, KINDS, 26, 60)


def test_every_kind_is_described() -> None:
    assert set(KINDS) == set(DESCRIPTIONS)


ACKNOWLEDGED = Acknowledged({"v1": "digest"}, {"execution": None}, {STEP: "approved"}, {STEP: None})


def found(**changes: object) -> Found:
    whole = {
        "objects": {"v1": "digest", "another": "x"},
        "executions": {"execution": "Succeeded"},
        "approvals": {STEP: "approved"},
        "steps": {STEP: {"Failed", "Succeeded"}},
        "started_by": {"v1"},
    }
    return Found(**{**whole, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (found(), []),
        (found(executions={"execution": "Failed"}), []),
        (found(objects={}), ["the dataset's version v1 is gone"]),
        (found(objects={"v1": "other"}), ["the dataset's version v1 has another content"]),
        (found(started_by=set()), ["no execution was started for the dataset's version v1"]),
        (found(executions={}), ["the execution execution is gone"]),
        (
            found(executions={"execution": "InProgress"}),
            ["the execution execution did not end: it is InProgress"],
        ),
        (found(approvals={}), ["the approval of Stage/Action of execution is gone"]),
        (found(approvals={STEP: "x"}), ["the approval of Stage/Action of execution is gone"]),
        (found(steps={STEP: {"Failed"}}), ["the finished step Stage/Action of execution is gone"]),
        (found(steps={}), ["the finished step Stage/Action of execution is gone"]),
    ],
)
def test_each_acknowledged_thing_must_be_there_in_the_end(end: Found, expected: list[str]) -> None:
    assert losses(ACKNOWLEDGED, end) == expected


def report(**changes: object) -> Report:
    fault = Fault(1, FaultKind.KILL_CLOUD, 0.5, 0.0, 0.1)
    row = Row(fault, "the local cloud", 90, 10, {"ConnectionRefusedError": 10}, 2.0, 3.5)
    return Report(7, **{"rows": [row], "totals": {"objects": 2}, **changes})  # type: ignore[arg-type]


def printed(made: Report) -> str:
    out = Console(file=io.StringIO(), width=120)
    made.print(out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_report_names_what_each_kind_cost(tmp_path: Path) -> None:
    text = printed(report())
    assert ["kill-cloud", "1", "1", "10", "100", "3.5", "s", "3.5", "s", "2.0", "s"] in [
        line.split() for line in text.splitlines()
    ]
    assert "10 ConnectionRefusedError" in text
    assert "Game day passed: 1 faults, 0 acknowledged things lost" in text
    report().write(tmp_path / "gameday.json")
    document = json.loads((tmp_path / "gameday.json").read_text())
    assert (document["seed"], document["passed"]) == (7, True)
    assert document["faults"][0]["fault"]["kind"] == "kill-cloud"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"losses": ["the execution x is gone"]}, "lost the execution x is gone"),
        ({"orphans": [4711]}, "left behind 1 processes: [4711]"),
        (
            {"rows": [Row(Fault(3, FaultKind.DISK_FULL, 0.1, 1.0, 0.5), "both")]},
            "not whole after fault 3, disk-full",
        ),
    ],
)
def test_a_loss_fails_the_game_day(changes: dict[str, object], text: str) -> None:
    failed = report(**changes)
    assert not failed.passed
    assert text in printed(failed)
    assert "Game day failed" in printed(failed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--faults", "kill-everything"], "no such kind; the kinds are: kill-instance"),
        (["--count", "0"], "--count is 0"),
        (["--duration", "soon"], "--duration is 'soon'"),
        (["--duration", "nan"], "--duration is 'nan'"),
        (["--clients", "0"], "--clients is 0"),
        (["--speed", "0"], "--speed is 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(arguments: list[str], message: str) -> None:
    ended = CliRunner().invoke(app, ["gameday", *arguments])
    assert ended.exit_code == 1
    assert message in " ".join(ended.output.split())


def test_the_plan_is_printed_without_running_it() -> None:
    ended = CliRunner().invoke(app, ["gameday", "--plan", "--seed", "5", "--count", "3"])
    assert ended.exit_code == 0
    assert [asdict(f) for f in schedule(5, KINDS, 3, 120)] == json.loads(ended.output)


def test_a_lost_call_is_counted_by_its_reason() -> None:
    load = Load(1, "endpoint", "1,2", clients=1, think_seconds=0.0)  # nothing listens on port 1
    load.start()
    while not load.total.lost:
        pass
    load.stop()
    assert set(load.take().lost) == {"ConnectionRefusedError"}
    assert load.answers_in_a_row == 0
