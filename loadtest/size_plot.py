"""The plot of a capacity plan: traffic and capacity, the metric and its target, the settings."""

from __future__ import annotations

from math import floor, log10
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullLocator

from loadtest.plot_style import AMBER, BLUE, MUTED, RED, STYLE, TEAL
from loadtest.size_metrics import CONCURRENT_REQUESTS, METRICS


def draw(result: dict[str, Any], path: Path, objective: float, hourly: float | None) -> None:
    """Write the plot of a result of the autoscaling simulator.

    Args:
        result: the simulator's answer.
        path: the PNG file.
        objective: largest share of requests that may exceed the capacity, 0 to 1.
        hourly: US dollars per instance hour; None if unknown, and the cost is in hours.
    """
    minutes, found = result["minutes"], result["settings"]
    hours = [number / 60 for number in range(len(minutes))]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 8.2), layout="constrained")
        ratios = {"height_ratios": (1.2, 1, 1.1)}
        traffic, metric, tradeoff = figure.subplots(3, 1, gridspec_kw=ratios)
        rates = [minute["requests"] / 60 for minute in minutes]
        capacity = [minute["instances"] * result["capacity_rps"] for minute in minutes]
        traffic.fill_between(hours, rates, color=BLUE, alpha=0.25, linewidth=0, label="traffic")
        traffic.step(hours, capacity, where="post", color=TEAL, label="capacity")
        over = [h for h, minute in zip(hours, minutes, strict=True) if minute["over"] > 0]
        if over:
            traffic.scatter(over, [0] * len(over), color=RED, marker="x", label="over capacity")
        traffic.set_title("Traffic and capacity, requests/s")
        per_instance = [minute["per_instance"] for minute in minutes]
        label, title = "invocations", "Invocations per instance and minute"
        if found.get("metric") == METRICS[CONCURRENT_REQUESTS]:
            # Without those that wait, which the simulator counts as well.
            per_instance = [one / 60 * result["latency_seconds"] for one in per_instance]
            label, title = "requests at once", "Requests at once per instance"
        metric.plot(hours, per_instance, color=AMBER, linewidth=1.1, label=label)
        target = found["target_value"]
        metric.axhline(target, color=RED, linestyle="--", label="target")
        metric.axhline(target * 0.9, color=MUTED, linestyle=":", label="scale-in threshold (90 %)")
        metric.set_title(title)
        for axis in (traffic, metric):
            axis.set_xlim(0, max(hours[-1], 1 / 60))
            axis.set_ylim(0)
            axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)
            if hours[-1] > 12:
                axis.xaxis.set_major_locator(MultipleLocator(3))
        metric.set_xlabel("hours")
        _draw_tradeoff(tradeoff, result, objective, hourly)
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})


def _draw_tradeoff(
    axis: Any, result: dict[str, Any], objective: float, hourly: float | None
) -> None:
    """Draw the cost of each simulated setting against its share of requests over the capacity."""
    days = len(result["minutes"]) / 1440
    unit = (1.0 if hourly is None else hourly) / days
    shares = [share for *_, share in result["all"]] + [result["over_share"], objective]
    # Zero has no place on a logarithmic axis: it has a line of its own, below the smallest share.
    smallest = min((share for share in shares if share > 0), default=0.001)
    zero = smallest / 10
    axis.scatter(
        [hours * unit for _, _, hours, _ in result["all"]],
        [share or zero for *_, share in result["all"]],
        color=MUTED,
        s=12,
        alpha=0.6,
        label="simulated",
    )
    axis.scatter(
        [result["instance_hours"] * unit],
        [result["over_share"] or zero],
        color=RED,
        s=60,
        zorder=5,
        label="chosen",
    )
    axis.axhline(
        objective or zero,
        color=RED,
        linestyle="--",
        linewidth=1.2,
        label=f"objective: at most {_share(objective or zero, zero)}",
    )
    axis.set_yscale("log")
    axis.set_ylim(zero / 2, min(1.0, 5 * max(shares)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _share(value, zero)))
    axis.yaxis.set_minor_locator(NullLocator())
    ticks = [10.0**power for power in range(floor(log10(smallest)), 1)]
    axis.set_yticks([zero, *(tick for tick in ticks if tick > zero * 3)])
    axis.set_title("Settings: share of requests over the capacity, by cost")
    axis.set_xlabel("instance hours a day" if hourly is None else "US dollars a day")
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)


def _share(value: float, zero: float) -> str:
    return "none" if value == zero else f"{value:.6%}".rstrip("0%").rstrip(".") + " %"
