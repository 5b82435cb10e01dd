"""The plot of a capacity plan: traffic and capacity, the metric and its target, the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from loadtest.plot_style import AMBER, BLUE, MUTED, RED, STYLE, TEAL


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the plot of a result of the autoscaling simulator."""
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
        metric.plot(hours, per_instance, color=AMBER, linewidth=1.1, label="invocations")
        target = found["target_value"]
        metric.axhline(target, color=RED, linestyle="--", label="target")
        metric.axhline(target * 0.9, color=MUTED, linestyle=":", label="scale-in threshold (90 %)")
        metric.set_title("Invocations per instance and minute")
        for axis in (traffic, metric):
            axis.set_xlim(0, max(hours[-1], 1 / 60))
            axis.set_ylim(0)
            axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)
        metric.set_xlabel("hours")
        _draw_tradeoff(tradeoff, result)
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})


def _draw_tradeoff(axis: Any, result: dict[str, Any]) -> None:
    """Draw the cost of each simulated setting against its share of requests over the capacity."""
    smallest = 1e-6  # zero has no place on a logarithmic axis
    axis.scatter(
        [hours for _, _, hours, _ in result["all"]],
        [max(share, smallest) for *_, share in result["all"]],
        color=MUTED,
        s=12,
        alpha=0.6,
        label="simulated",
    )
    axis.scatter(
        [result["instance_hours"]],
        [max(result["over_share"], smallest)],
        color=RED,
        s=60,
        zorder=5,
        label="chosen",
    )
    axis.set_yscale("log")
    axis.set_title("Settings: share of requests over the capacity, by instance hours")
    axis.set_xlabel("instance hours")
    axis.legend(loc="upper right", ncols=2)
