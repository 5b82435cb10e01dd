"""The plots of a run, as PNG files.

overview.png   all panels on one time axis, and the reasons for the scaling activities
requests.png, latency.png, scaling.png   the same panels as separate files
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from loadtest import plot_scaling
from loadtest.plot_style import AMBER, BLUE, MAGENTA, MUTED, RED, STYLE, TEAL
from loadtest.samples import RunRecord, Sample

_WIDTH_INCHES = 10.0
_DPI = 130
_INCHES = 2.15
# The last sample of a load may follow the one before it closely; a line to it would look like a
# jump.
_MIN_DISTANCE_SECONDS = 0.1
_FEW_SAMPLES = 8
# So many times the median latency is an outlier.
_OUTLIER = 10

# Draws a panel, from its axis, the record, the samples, and the end of the time axis in seconds.
Draw = Callable[[Any, RunRecord, Sequence[Sample], float], None]
# A panel and its relative height.
Panel = tuple[Draw, float]


def draw(record: RunRecord, samples: Sequence[Sample], directory: Path) -> list[Path]:
    """Write the plots of a run; return their paths, the overview first."""
    requests, latency = (_requests, 1.15), (_latency, 1.15)
    scaling = _scaling(record)
    panels: dict[str, list[Panel]] = {
        "overview.png": [requests, latency, *scaling],
        "requests.png": [requests],
        "latency.png": [latency],
        "scaling.png": scaling,
    }
    paths = []
    with mpl.rc_context(STYLE):
        for name, parts in panels.items():
            path = directory / name
            figure = _figure(record, samples, parts, name in ("overview.png", "scaling.png"))
            figure.savefig(path, dpi=_DPI, facecolor="white", metadata={"Software": None})
            paths.append(path)
    return paths


def _scaling(record: RunRecord) -> list[Panel]:
    alarms = min(len(record.alarms), plot_scaling.MAX_ALARMS)
    panels: list[Panel] = [(plot_scaling.invocations, 1.0)]
    if alarms:
        panels.append((plot_scaling.alarms, 0.16 + 0.2 * alarms))
    return [*panels, (plot_scaling.instances, 1.15)]


def _figure(
    record: RunRecord, samples: Sequence[Sample], parts: Sequence[Panel], reasons: bool
) -> Any:
    ratios = [ratio for _, ratio in parts]
    lines = len(plot_scaling.reason_lines(record)) if reasons else 0
    if lines:
        ratios.append(0.08 * lines + 0.04)
    height = 0.7 + _INCHES * sum(ratios)
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    grid = figure.subplots(len(ratios), 1, squeeze=False, gridspec_kw={"height_ratios": ratios})
    axes = list(grid[:, 0])[: len(parts)]
    end = max([sample.t for sample in samples] + [record.load_seconds]) or 1.0
    for axis, (panel, _) in zip(axes, parts, strict=True):
        panel(axis, record, samples, end)
        axis.set_xlim(0, end)
        axis.tick_params(labelbottom=axis is axes[-1])
        if record.load_seconds and end - record.load_seconds > 1:
            axis.axvspan(record.load_seconds, end, color="#f3f4f6", zorder=0)
            if axis is axes[0]:
                _after(axis, record.load_seconds)
        _legend(axis)
    speed = record.clock_speed
    clock = f" (1 second = {speed:g} seconds of cloud time)" if speed != 1 else ""
    axes[-1].set_xlabel(f"seconds since the load began{clock}")
    if lines:
        plot_scaling.reasons(grid[-1, 0], record)
    return figure


def _after(axis: Any, moment: float) -> None:
    axis.annotate(
        "after the load",
        (moment, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(6, -6),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=MUTED,
        annotation_clip=True,
    )


def _legend(axis: Any) -> None:
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


def _requests(axis: Any, record: RunRecord, samples: Sequence[Sample], end: float) -> None:
    shown = _without_close_samples(samples)
    times = [sample.t for sample in shown]
    rates = [sample.rps for sample in shown]
    axis.fill_between(times, rates, color=BLUE, alpha=0.12, linewidth=0)
    axis.plot(times, rates, color=BLUE, linewidth=1.8, label="requests/s")
    axis.set_title("Requests per second")
    axis.set_ylim(0, max(rates, default=0) * 1.15 or 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    users = axis.twinx()
    users.step(
        times, [s.users for s in shown], where="post", color=MUTED, linewidth=1.1, linestyle=":"
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


def _latency(axis: Any, record: RunRecord, samples: Sequence[Sample], end: float) -> None:
    shown = _without_close_samples(samples)
    highest: list[float] = []
    for name, color, style in (("p50", TEAL, "-"), ("p95", AMBER, "--"), ("p99", MAGENTA, "-.")):
        points = [(s.t, v) for s in shown if (v := getattr(s, f"{name}_ms")) is not None]
        if points:
            times, values = zip(*points, strict=True)
            axis.plot(times, values, color=color, linestyle=style, linewidth=1.6, label=name)
            highest += values
    axis.set_title("Latency")
    top = max(highest, default=0.0)
    # One slow moment would press everything else to the bottom of a linear axis.
    if top > _OUTLIER * median(highest or [top]) > 0:
        axis.set_title("Latency, logarithmic")
        axis.set_yscale("log")
        axis.set_ylim(min(value for value in highest if value > 0) / 1.5, top * 1.5)
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_ylim(0, top * 1.15 or 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g} ms"))


def _without_close_samples(samples: Sequence[Sample]) -> Sequence[Sample]:
    if len(samples) < _FEW_SAMPLES:
        return samples
    close = {id(two) for one, two in pairwise(samples) if two.t - one.t < _MIN_DISTANCE_SECONDS}
    return [sample for sample in samples if id(sample) not in close]


def _failure_moments(samples: Sequence[Sample]) -> list[float]:
    moments, before = [], 0
    for sample in samples:
        if sample.failures > before:
            moments.append(sample.t)
        before = sample.failures
    return moments
