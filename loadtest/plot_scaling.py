"""The scaling panels, from cause to effect: the metric, the alarms and the instances.

Each scaling activity is a numbered line through all three panels. The panel of reasons below them
lists the activities.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.alarms import ALARM, HIGH, INSUFFICIENT_DATA, LOW, OK, Span, spans, title
from loadtest.plot_style import AMBER, BLUE, MUTED, PALE, RED, SLATE, TEAL, VIOLET, draw_empty
from loadtest.samples import RunRecord, Sample, ScalingActivity

MAX_ALARMS = 6
MAX_REASONS = 8
# Two numbers closer than this share of the axis would overlap, so they get different heights.
_MIN_DISTANCE = 0.022
_LEVELS = 4
_REASON_CHARACTERS = 118
_CAUSE = re.compile(r"monitor alarm (\S+) in state (\S+) triggered policy (\S+)")

_STATE_STYLES: dict[str, dict[str, Any]] = {
    OK: {"facecolor": TEAL, "alpha": 0.3, "edgecolor": "none"},
    ALARM: {"facecolor": RED, "alpha": 0.85, "edgecolor": "none"},
    INSUFFICIENT_DATA: {"facecolor": "#f9fafb", "hatch": "////", "edgecolor": PALE},
}
_LOW_ALARM = {"facecolor": SLATE, "alpha": 0.75, "edgecolor": "none"}


def invocations(axis: Any, record: RunRecord, samples: Sequence[Sample], end: float) -> None:
    """Draw the metric that target tracking follows, and its target."""
    axis.set_title("Invocations per instance and minute")
    points = record.invocations_per_instance
    if points:
        axis.bar(
            [p.start + p.seconds / 2 for p in points],
            [p.value for p in points],
            width=[p.seconds * 0.86 for p in points],
            color=BLUE,
            alpha=0.55,
            label="CloudWatch, sum of each minute",
        )
    else:
        draw_empty(axis, "CloudWatch has no whole minute of the run")
    top = max((p.value for p in points), default=0.0)
    if record.target_value is not None:
        axis.axhline(
            record.target_value,
            color=RED,
            linewidth=1.4,
            linestyle="--",
            label=f"target {record.target_value:,g}",
        )
        top = max(top, record.target_value)
    axis.set_ylim(0, top * 1.15 or 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    _lines(axis, record)


def alarms(axis: Any, record: RunRecord, samples: Sequence[Sample], end: float) -> None:
    """Draw a band for each alarm, colored by its state, below the alarm's condition."""
    axis.set_title("Alarms of the scaling policies")
    shown = record.alarms[:MAX_ALARMS]
    seen: dict[str, dict[str, Any]] = {}
    for row, alarm in enumerate(reversed(shown)):
        for span in spans(alarm, end):
            place = (span.start, span.end - span.start)
            style, label = _style(alarm.name, span)
            axis.broken_barh([place], (row + 0.1, 0.4), **style)
            seen[label] = style
        axis.text(
            0.004,
            row + 0.57,
            f"{_asks(alarm.name)}   {alarm.condition}".rstrip(),
            transform=axis.get_yaxis_transform(),
            va="bottom",
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.9},
        )
    for label, style in sorted(seen.items()):
        axis.fill_between([], [], [], label=label, **style)
    axis.set_ylim(0, len(shown))
    axis.set_yticks([])
    axis.grid(visible=False, axis="y")
    _lines(axis, record)


def instances(axis: Any, record: RunRecord, samples: Sequence[Sample], end: float) -> None:
    """Draw the instances, and the scaling activities by number."""
    axis.set_title("Instances")
    known = [s for s in samples if s.current_instances is not None]
    if not known:
        draw_empty(axis, "the endpoint's instance count could not be read")
        return
    times = [s.t for s in known]
    current = [s.current_instances or 0 for s in known]
    desired = [
        s.desired_instances if s.desired_instances is not None else (s.current_instances or 0)
        for s in known
    ]
    axis.fill_between(times, current, step="post", color=VIOLET, alpha=0.14, linewidth=0)
    axis.step(times, current, where="post", color=VIOLET, linewidth=2, label="current")
    axis.step(
        times, desired, where="post", color=VIOLET, linewidth=1.2, linestyle="--", label="desired"
    )
    top = max(current + desired)
    if record.max_instances is not None and record.max_instances <= 2 * top:
        axis.axhline(record.max_instances, color=MUTED, linewidth=1, linestyle=":", label="limit")
        top = max(top, record.max_instances)
    heights = levels([activity.start / end for activity in record.activities])
    axis.set_ylim(0, top * (1.3 + 0.16 * max(heights, default=0)))
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    _lines(axis, record, label="scaling activity")
    for number, (activity, height) in enumerate(zip(record.activities, heights, strict=True), 1):
        if activity.start > end:  # it started after the last sample, before activities were read
            continue
        axis.annotate(
            str(number),
            (activity.start, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -9 - 15 * height),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7.5,
            color="white",
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": AMBER, "edgecolor": "white"},
            zorder=6,
        )


def reasons(axis: Any, record: RunRecord) -> None:
    """Write the description and the cause of each numbered activity."""
    axis.axis("off")
    lines = reason_lines(record)
    for row, (number, moment, text) in enumerate(lines):
        y = 1 - (row + 0.5) / len(lines)
        axis.text(
            0.018, y, number, ha="right", va="center", fontsize=8.5, color=AMBER, fontweight="bold"
        )
        axis.text(0.075, y, moment, ha="right", va="center", fontsize=8.5, color=MUTED)
        axis.text(0.088, y, text, va="center", fontsize=8.5)


def reason_lines(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return (number, start, reason) of the activities; if there are too many, of the first."""
    lines = [
        (str(number), f"{activity.start:.1f} s", reason(activity))
        for number, activity in enumerate(record.activities, 1)
    ]
    if len(lines) <= MAX_REASONS:
        return lines
    omitted = len(lines) - MAX_REASONS + 1
    return [*lines[: MAX_REASONS - 1], ("…", "", f"and {omitted} more, which the report lists")]


def reason(activity: ScalingActivity) -> str:
    """Return the description and the cause of an activity, in one line."""
    match = _CAUSE.search(activity.cause)
    cause = activity.cause
    if match is not None:
        alarm, state, policy = match.groups()
        cause = f"{title(alarm)} in {state}, policy {policy}"
    status = f" ({activity.status})" if activity.status == "Failed" else ""
    text = " – ".join(filter(None, [activity.description.rstrip(".") + status, cause]))
    return text if len(text) <= _REASON_CHARACTERS else f"{text[: _REASON_CHARACTERS - 1]}…"


def levels(places: Sequence[float]) -> list[int]:
    """Return a height level for each mark, so that close marks do not overlap.

    Args:
        places: positions as shares of the axis, in ascending order.
    """
    last = [-1.0] * _LEVELS
    found = []
    for place in places:
        free = [level for level in range(_LEVELS) if place - last[level] >= _MIN_DISTANCE]
        level = free[0] if free else min(range(_LEVELS), key=lambda one: last[one])
        last[level] = place
        found.append(level)
    return found


def _style(alarm: str, span: Span) -> tuple[dict[str, Any], str]:
    """Return the style of a band, and its name in the legend."""
    if span.state == ALARM and title(alarm) == LOW:
        # An endpoint without load is at rest in this state: it is no reason for red.
        return _LOW_ALARM, "ALARM (low)"
    style = _STATE_STYLES.get(span.state, _STATE_STYLES[INSUFFICIENT_DATA])
    return style, span.state.replace("_", " ")


def _asks(alarm: str) -> str:
    """Return the title of an alarm, with what it asks for if it is target tracking's."""
    name = title(alarm)
    return {HIGH: f"{HIGH}: more instances", LOW: f"{LOW}: fewer instances"}.get(name, name)


def _lines(axis: Any, record: RunRecord, label: str | None = None) -> None:
    for number, activity in enumerate(record.activities):
        axis.axvline(
            activity.start,
            color=AMBER,
            linewidth=1.1,
            alpha=0.8,
            label=label if number == 0 else None,
        )
