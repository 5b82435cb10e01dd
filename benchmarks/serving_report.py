"""The tables and the plot of `serving.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_OFFICIAL, _OURS, _FLOOR = "official structure", "ours", "HTTP floor"
_MAIN = "1 rows, 16 connections"
_BATCH = "1000 rows, 1 connections"


def report(figures: dict[str, Any], directory: Path) -> str:
    """Write serving.json, serving.md and serving.png; return the Markdown."""
    (directory / "serving.json").write_text(json.dumps(figures, indent=2) + "\n")
    text = "\n".join(_tables(model, found) for model, found in figures.items())
    (directory / "serving.md").write_text(text)
    _plot(figures, directory / "serving.png")
    return text


def _tables(model: str, found: dict[str, Any]) -> str:
    lines = [
        f"### {model}",
        "",
        "| server | rows, connections | requests/s | predictions/s | p50 ms | p99 ms |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for case in next(iter(found["servers"].values())):
        short = case.replace(" rows", "").replace(" connections", "")
        for name, cases in found["servers"].items():
            row = cases[case]
            lines.append(
                f"| {name} | {short} | {row['requests/s']:,.0f} | {row['predictions/s']:,.0f} | "
                f"{row['p50 ms']:.2f} | {row['p99 ms']:.2f} |"
            )
    columns = ["start s", "RSS MiB", "PSS MiB", "RSS MiB, 2 workers", "PSS MiB, 2 workers"]
    lines += ["", f"| server | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for name, static in found["static"].items():
        cells = [f"{static[column]:.2f}" if column in static else "" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *_ratios(found), ""]
    return "\n".join(lines)


def _ratios(found: dict[str, Any]) -> list[str]:
    """Return the figures of our server relative to the official structure and the HTTP floor."""
    ours, official = found["servers"][_OURS], found["servers"][_OFFICIAL]
    floor = found["servers"][_FLOOR][_MAIN]["requests/s"]
    static, scoring = found["static"], found["scoring rows/s"]
    names = "requests/s", "p99 ms"
    rate, p99 = (ours[_MAIN][name] / official[_MAIN][name] for name in names)
    batch = ours[_BATCH]["requests/s"] / official[_BATCH]["requests/s"]

    def share(column: str) -> str:
        return f"{static[_OURS][column] / static[_OFFICIAL][column]:.2f} ×"

    scored = ", ".join(f"{name} {rows:,.0f}" for name, rows in scoring.items())
    return [
        f"- {_MAIN}: {rate:.0f} × the official structure's requests/s, {p99:.1%} of its p99, "
        f"{ours[_MAIN]['requests/s'] / floor:.0%} of the HTTP floor",
        f"- {_BATCH}: {batch:.1f} × its requests/s",
        f"- memory {share('RSS MiB')} with one worker, {share('RSS MiB, 2 workers')} with two; "
        f"PSS {share('PSS MiB')} and {share('PSS MiB, 2 workers')}; "
        f"start {share('start s')}",
        f"- one row in a loop without a server, rows/s: {scored}",
    ]


def _plot(figures: dict[str, Any], path: Path) -> None:
    figure = Figure(figsize=(12, 3.2 * len(figures)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(figures), 2, squeeze=False)
    for (model, found), (left, right) in zip(figures.items(), axes, strict=True):
        names = list(found["servers"])
        colors = ["#1f77b4" if name == _OURS else "#9db8cf" for name in names]
        for axis, column, title in (
            (left, "requests/s", "requests per second"),
            (right, "p99 ms", "p99 in ms"),
        ):
            values = [found["servers"][name][_MAIN][column] for name in names]
            bars = axis.barh(names, values, color=colors)
            axis.bar_label(bars, [_short(value) for value in values], padding=3)
            axis.set_xscale("log")
            axis.set_xlim(min(values) / 2, max(values) * 4)
            axis.invert_yaxis()
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_title(f"{model}: {title}", fontsize=11, loc="left")
    figure.suptitle("One row per request, 16 connections, one core (logarithmic)", fontsize=11)
    figure.savefig(path, dpi=100)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
