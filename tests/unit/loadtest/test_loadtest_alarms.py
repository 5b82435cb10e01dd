"""The alarms' states over time, the scaling activities, and the plots of both."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.alarms import HIGH, LOW, condition, spans, state_at, states, title
from loadtest.cloud_clock import CloudClock
from loadtest.plot_scaling import levels, reason, reason_lines
from loadtest.plots import _figure, _scaling, _without_close_samples, draw
from loadtest.samples import (
    AlarmState,
    MetricPoint,
    RunRecord,
    Sample,
    ScalingActivity,
    ScalingAlarm,
)
from loadtest.scaling_explanation import explain

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK = CloudClock(BEGAN.timestamp(), 60.0)
NAME = "TargetTracking-endpoint/iris/variant/AllTraffic-AlarmHigh-3235753d"
TRACKED = ScalingAlarm(
    NAME,
    "> 100 for 3 min",
    [AlarmState(0.0, "OK", ""), AlarmState(2.0, "ALARM", "3 of 3"), AlarmState(5.0, "OK", "")],
)
RECORD = RunRecord(
    "e",
    "us-east-1",
    "u",
    "constant",
    4,
    10,
    "d.zip",
    "2026",
    60.0,
    load_seconds=4.0,
    target_value=100.0,
    invocations_per_instance=[MetricPoint(float(i), 1.0, 150.0) for i in range(4)],
    activities=[
        ScalingActivity(2.1, 3.0, "Successful", "Setting desired instance count to 3.", "")
    ],
    alarms=[TRACKED],
)
SAMPLES = [Sample(float(t), 2, 10 * t, 0, 10.0, 1.0, 2.0, 3.0, 1, 1) for t in range(7)]


def _change(minutes: float, before: str, after: str) -> dict[str, Any]:
    data = {
        "oldState": {"stateValue": before, "stateReason": "before"},
        "newState": {"stateValue": after, "stateReason": f"now {after}"},
    }
    return {"Timestamp": BEGAN + timedelta(minutes=minutes), "HistoryData": json.dumps(data)}


def test_an_alarms_states_begin_with_the_one_before_its_first_change() -> None:
    changes = [_change(5, "ALARM", "OK"), _change(2, "INSUFFICIENT_DATA", "ALARM")]
    assert [
        AlarmState(0.0, "INSUFFICIENT_DATA", ""),
        AlarmState(2.0, "ALARM", "now ALARM"),
        AlarmState(5.0, "OK", "now OK"),
    ] == states("OK", changes, CLOCK)


def test_a_change_whose_data_is_cut_off_is_read_from_its_summary() -> None:
    change = _change(2, "OK", "ALARM")
    cut = change["HistoryData"][:40]
    summary = "Alarm updated from OK to ALARM"
    assert [AlarmState(0.0, "OK", ""), AlarmState(2.0, "ALARM", "")] == states(
        "ALARM", [change | {"HistoryData": cut, "HistorySummary": summary}], CLOCK
    )


def test_an_alarm_without_changes_has_its_present_state() -> None:
    assert [AlarmState(0.0, "ALARM", "")] == states("ALARM", [], CLOCK)
    assert [] == states(None, [], CLOCK)


@pytest.mark.parametrize(
    ("alarm", "text"),
    [
        (("GreaterThanThreshold", 1200.0, 3, 60, None), "> 1,200 for 3 min"),
        (("LessThanThreshold", 0.5, 15, 60, 15), "< 0.5 for 15 min"),
        (("GreaterThanOrEqualToThreshold", 80.0, 3, 300, 2), "≥ 80 in 2 of 3 × 5 min"),
        (("GreaterThanUpperThreshold", 2.0, 3, 60, None), ""),
    ],
)
def test_the_condition_of_an_alarm_is_short(alarm: tuple[Any, ...], text: str) -> None:
    keys = ("ComparisonOperator", "Threshold", "EvaluationPeriods", "Period", "DatapointsToAlarm")
    assert text == condition(dict(zip(keys, alarm, strict=True)))
    assert "" == condition({})


def test_the_title_of_an_alarm_is_short() -> None:
    assert (HIGH, LOW) == (title(NAME), title(NAME.replace("High", "Low")))
    assert "latency" == title("latency")
    assert "a-very-long-name-of-an-…" == title("a-very-long-name-of-an-alarm")


@given(st.lists(st.floats(0, 100), max_size=6).map(sorted), st.floats(0.1, 100))
def test_the_spans_of_an_alarm_cover_the_run_without_gaps(moments: list[float], end: float) -> None:
    alarm = ScalingAlarm("a", "", [AlarmState(t, "OK", "") for t in [0.0, *moments]])
    found = spans(alarm, end)
    assert (0.0, end) == (found[0].start, found[-1].end)
    assert all(one.end == two.start for one, two in pairwise(found))
    assert all(span.start < span.end for span in found)


def test_the_state_at_a_moment_is_the_last_one_entered() -> None:
    found = [state_at([TRACKED], HIGH, moment) for moment in (1.9, 2.0, 9.0)]
    assert ["OK", "ALARM", "OK"] == [state.state for state in found if state is not None]
    assert state_at([TRACKED], LOW, 1.0) is None


def test_a_minute_off_the_target_is_explained_by_its_alarm() -> None:
    record = replace(RECORD, activities=[])
    assert [
        "above 100 for 1 of 3 minutes: not long enough (high alarm: OK)",
        "above 100; high alarm in ALARM since 2.0 s; no scaling activity yet",
    ] == [line.text for line in explain(record, SAMPLES)][:2]
    assert "(" not in explain(replace(record, alarms=[]), SAMPLES)[0].text


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (None, "the activity of 0.5 s is in progress"),
        (0.9, "no activity since the one of 0.5 s"),
    ],
)
def test_an_alarm_that_asks_is_explained_by_the_activities_before(
    end: float | None, expected: str
) -> None:
    activity = ScalingActivity(0.5, end, "Successful", "Scaled.", "")
    lines = explain(replace(RECORD, activities=[activity]), SAMPLES)
    assert ["Scaled.", f"above 100; high alarm in ALARM since 2.0 s; {expected}"] == [
        line.text for line in lines
    ][:2]


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ([ScalingAlarm(NAME, "", [AlarmState(0.0, "OK", "")])], "but the high alarm is OK"),
        ([], "the alarm's state is unknown"),
    ],
)
def test_no_cause_is_guessed_where_no_alarm_asked(
    alarms: list[ScalingAlarm], expected: str
) -> None:
    lines = explain(replace(RECORD, activities=[], alarms=alarms), SAMPLES)
    assert any(expected in line.text for line in lines), lines


def test_the_reason_of_an_activity_is_short() -> None:
    activity = ScalingActivity(
        1.0,
        2.0,
        "Successful",
        "Setting desired instance count to 5.",
        f"monitor alarm {NAME} in state ALARM triggered policy tracking",
    )
    said = "Setting desired instance count to 5 – high alarm in ALARM, policy tracking"
    assert said == reason(activity)
    failed = replace(activity, status="Failed", cause="maximum capacity was set to 4")
    assert "Setting desired instance count to 5 (Failed) – maximum capacity was set to 4" == reason(
        failed
    )
    assert reason(replace(activity, cause="x" * 500)).endswith("…")


def test_the_plot_lists_the_first_of_very_many_activities() -> None:
    many = replace(RECORD, activities=RECORD.activities * 20)
    lines = reason_lines(many)
    assert 8 == len(lines)
    assert ("…", "", "and 13 more, which the report lists") == lines[-1]


@given(st.lists(st.floats(0, 1), max_size=4).map(sorted))
def test_close_marks_have_different_heights(places: list[float]) -> None:
    heights = levels(places)
    for i, (place, height) in enumerate(zip(places, heights, strict=True)):
        near = [h for p, h in zip(places[:i], heights[:i], strict=True) if place - p < 0.022]
        assert height not in near


def test_an_activity_after_the_last_sample_takes_no_room_of_the_plot() -> None:
    late = replace(RECORD, activities=[replace(RECORD.activities[0], start=60.0)])
    figure = _figure(late, SAMPLES, _scaling(late), reasons=True)
    figure.draw_without_rendering()
    assert min(axis.get_position().x1 for axis in figure.axes) > 0.9


def test_a_sample_close_to_the_last_one_is_drawn_only_in_a_short_run() -> None:
    rest = Sample(6.05, 0, 70, 0, 10.0)
    assert [*SAMPLES[3:], rest] == _without_close_samples([*SAMPLES[3:], rest])
    later = Sample(6.6, 0, 70, 0, 0.0)
    assert [*SAMPLES, later] == _without_close_samples([*SAMPLES, rest, later])


def test_a_record_without_alarms_can_be_read_and_drawn(tmp_path: Path) -> None:
    document = json.loads(RECORD.to_json())
    assert RECORD == RunRecord.from_json(json.dumps(document))
    for key in ("alarms", "workers", "requests_wanted", "cut_short"):
        del document[key]
    old = RunRecord.from_json(json.dumps(document))
    assert ([], 1, None, "") == (old.alarms, old.workers, old.requests_wanted, old.cut_short)
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    before, after = draw(old, SAMPLES, tmp_path / "old"), draw(RECORD, SAMPLES, tmp_path / "new")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (*before, *after))
    # The panel of the alarms makes it taller; the height is in bytes 20 to 24 of a PNG.
    heights = [int.from_bytes(paths[0].read_bytes()[20:24]) for paths in (before, after)]
    assert heights[0] < heights[1]
