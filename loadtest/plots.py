"""The plots of a run, as PNG.

overview.png   all panels on one time axis
requests.png, latency.png, scaling.png   the same panels apart
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.samples import RunRecord, Sample

BLUE, TEAL, AMBER, RED, VIOLET = "#2563eb", "#0d9488", "#d97706", "#dc2626", "#7c3aed"
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
_WIDTH_INCHES = 10.0
_DPI = 130
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
}

Panel = Callable[[Any, RunRecord, Sequence[Sample]], None]


def draw(record: RunRecord, samples: Sequence[Sample], directory: Path) -> list[Path]:
    """Write the plots of a run; return their paths, the overview first."""
    panels: dict[str, tuple[tuple[Panel, ...], tuple[float, ...]]] = {
        "overview.png": ((_requests, _latency, _instances, _invocations), (1.15, 1.15, 1.15, 1)),
        "requests.png": ((_requests,), (1,)),
        "latency.png": ((_latency,), (1,)),
        "scaling.png": ((_instances, _invocations), (1.2, 1)),
    }
    paths = []
    with mpl.rc_context(STYLE):
        for name, (parts, ratios) in panels.items():
            path = directory / name
            figure = _figure(record, samples, parts, ratios)
            figure.savefig(path, dpi=_DPI, facecolor="white", metadata={"Software": None})
            paths.append(path)
    return paths


def _figure(
    record: RunRecord,
    samples: Sequence[Sample],
    parts: tuple[Panel, ...],
    ratios: tuple[float, ...],
) -> Any:
    figure = Figure(figsize=(_WIDTH_INCHES, 0.7 + 2.15 * sum(ratios)), layout="constrained")
    grid = figure.subplots(
        len(parts), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
    )
    axes = list(grid[:, 0])
    end = max([sample.t for sample in samples] + [record.load_seconds, 1.0])
    for axis, panel in zip(axes, parts, strict=True):
        panel(axis, record, samples)
        axis.set_xlim(0, end)
        if record.load_seconds and end - record.load_seconds > 1:
            axis.axvspan(record.load_seconds, end, color="#f3f4f6", zorder=0)
        handles, labels = axis.get_legend_handles_labels()
        if handles:
            axis.legend(
                handles,
                labels,
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),
                ncols=len(labels),
                borderaxespad=0.1,
                handlelength=1.6,
                columnspacing=1.4,
            )
    clock = f" ({record.clock_speed:g} cloud seconds each)" if record.clock_speed != 1 else ""
    axes[-1].set_xlabel(f"seconds since the load began{clock}")
    return figure


def _requests(axis: Any, record: RunRecord, samples: Sequence[Sample]) -> None:
    times = [sample.t for sample in samples]
    rates = [sample.rps for sample in samples]
    axis.fill_between(times, rates, color=BLUE, alpha=0.12, linewidth=0)
    axis.plot(times, rates, color=BLUE, linewidth=1.8, label="requests/s")
    axis.set_title("Requests per second")
    axis.set_ylim(0, max(rates, default=0) * 1.15 or 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    users = axis.twinx()
    users.step(
        times, [s.users for s in samples], where="post", color=MUTED, linewidth=1.1, linestyle=":"
    )
    users.set_ylim(0, max([s.users for s in samples] + [1]) * 1.6)
    users.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    users.grid(visible=False)
    users.set_ylabel("users")
    axis.plot([], [], color=MUTED, linewidth=1.1, linestyle=":", label="users")
    failed = _failure_moments(samples)
    if failed:
        axis.scatter(
            failed,
            [0] * len(failed),
            color=RED,
            marker="x",
            clip_on=False,
            zorder=5,
            label="failures",
        )


def _latency(axis: Any, record: RunRecord, samples: Sequence[Sample]) -> None:
    axis.set_title("Latency")
    top = 0.0
    for name, color in (("p50", TEAL), ("p95", AMBER), ("p99", RED)):
        points = [(s.t, v) for s in samples if (v := getattr(s, f"{name}_ms")) is not None]
        if points:
            times, values = zip(*points, strict=True)
            axis.plot(times, values, color=color, linewidth=1.6, label=name)
            top = max(top, *values) if len(values) > 1 else max(top, values[0])
    axis.set_ylim(0, top * 1.15 or 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))


def _instances(axis: Any, record: RunRecord, samples: Sequence[Sample]) -> None:
    axis.set_title("Instances")
    known = [s for s in samples if s.current_instances is not None]
    if not known:
        _nothing(axis, "the endpoint's instance count could not be read")
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
    axis.set_ylim(0, top * 1.25)
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    for number, activity in enumerate(record.activities):
        axis.axvline(
            activity.start,
            color=AMBER,
            linewidth=1.1,
            alpha=0.8,
            label="scaling activity" if number == 0 else None,
        )
        axis.annotate(
            str(number + 1),
            (activity.start, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=8,
            color=AMBER,
            fontweight="bold",
        )


def _invocations(axis: Any, record: RunRecord, samples: Sequence[Sample]) -> None:
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
        _nothing(axis, "CloudWatch has no whole minute of the run")
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


def _nothing(axis: Any, why: str) -> None:
    axis.text(
        0.5,
        0.5,
        why,
        transform=axis.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        style="italic",
    )
    axis.set_yticks([])


def _failure_moments(samples: Sequence[Sample]) -> list[float]:
    moments, before = [], 0
    for sample in samples:
        if sample.failures > before:
            moments.append(sample.t)
        before = sample.failures
    return moments
