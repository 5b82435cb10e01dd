"""Pure: what is remembered of each run of the monitor, and the page that shows it over time.

    [{"run": 3, "last": "2026/01/31/10", "rows": 640, "verdict": "drift", "psi": 0.41,
      "columns": 2, "prediction_psi": 0.08, "confidence_psi": 0.02, "quality": [0.91, 0.88, 0.94]}]

The newest runs are kept in the monitor's state, so that one page shows them all without reading
the reports again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from model.monitor_judge import Verdict
from model.page import BAD, GOOD, OPEN, draw, number, table

# Thirty days of a run an hour.
MOST_RUNS = 720
_WIDTH, _HEIGHT, _LEFT = 960, 140, 60
_JUDGED = frozenset({Verdict.STABLE, Verdict.WARNING, Verdict.DRIFT})
_KINDS = {Verdict.STABLE: GOOD, Verdict.DRIFT: BAD}

_STYLE = """
svg { width: 100% }
.line { fill: none; stroke: #1f77b4; stroke-width: 2; } .dot { fill: #1f77b4; }
.limit { stroke: #b00020; stroke-dasharray: 6 4; } .axis { stroke: currentColor; opacity: .4; }
.band { stroke: #1f77b4; opacity: .35; stroke-width: 3; } .new { stroke: #8250df; }
.drift { fill: #b00020; } .warning { fill: #bf8700; } .stable { fill: #1a7f37; }
.few-rows, .no-captures { fill: #9aa4b2; }
"""


def entry_of(report: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return what is remembered of a run.

    Args:
        report: the run's report.
        model: what identifies the model whose baseline was used.
    """
    columns, quality = report["columns"], report["accuracy"]
    return {
        "run": report["run"],
        "last": report["hours"]["last"],
        "rows": report["rows"],
        "verdict": report["verdict"],
        "psi": max((part["psi"] for part in columns if "psi" in part), default=None),
        "columns": sum(part["verdict"] == Verdict.DRIFT for part in columns),
        "prediction_psi": report["predictions"].get("psi"),
        "confidence_psi": report["confidence"].get("psi"),
        "quality": [quality["value"], *quality["interval"]] if quality["rows"] else None,
        "model": model,
    }


def drifts_in_a_row(trend: Sequence[Mapping[str, Any]]) -> int:
    """Return how many of the newest runs drifted, one after the other.

    Runs with too few rows for a verdict neither count nor end the series; another model does.

    Args:
        trend: entries of `entry_of`, the oldest first.
    """
    found = 0
    for entry in reversed(trend):
        if entry["model"] != trend[-1]["model"]:
            break
        if entry["verdict"] == Verdict.DRIFT:
            found += 1
        elif entry["verdict"] in _JUDGED:
            break
    return found


def trend_page(trend: Sequence[Mapping[str, Any]], thresholds: Mapping[str, Any]) -> str:
    """Return one HTML page, without scripts and without anything to load.

    Args:
        trend: entries of `entry_of`, the oldest first.
        thresholds: `psi_drift` is drawn as a line.
    """
    limit = float(thresholds["psi_drift"])
    metric = "Live quality, with its 95 % interval"
    plots = [
        _verdicts(trend),
        _plot("Largest PSI of a column", trend, [e["psi"] for e in trend], limit),
        _plot("PSI of the predictions", trend, [e["prediction_psi"] for e in trend], limit),
        _plot("PSI of the confidence", trend, [e["confidence_psi"] for e in trend], limit),
        _plot(
            metric,
            trend,
            [e["quality"][0] if e["quality"] else None for e in trend],
            intervals=[e["quality"][1:] if e["quality"] else None for e in trend],
        ),
        _plot("Rows", trend, [float(e["rows"]) for e in trend]),
    ]
    return draw(
        "Monitor: trend",
        f"the last {len(trend)} runs, the newest: {trend[-1]['verdict'] if trend else 'none'}",
        [
            "<p>Each point is a run. A dashed line is the limit of drift; a violet line is the "
            "first run after another model was deployed.</p>",
            *plots,
            _table(trend[-24:]),
        ],
        kind=_KINDS.get(trend[-1]["verdict"], OPEN) if trend else OPEN,
        style=_STYLE,
    )


def _verdicts(trend: Sequence[Mapping[str, Any]]) -> str:
    step = (_WIDTH - _LEFT) / max(1, len(trend))
    cells = "".join(
        f'<rect class="{escape(entry["verdict"])}" x="{_LEFT + step * at:.1f}" y="4" '
        f'width="{max(1.0, step - 1):.1f}" height="20"><title>run {entry["run"]}, '
        f"{escape(str(entry['last']))}: {escape(entry['verdict'])}</title></rect>"
        for at, entry in enumerate(trend)
    )
    drifted = sum(entry["verdict"] == Verdict.DRIFT for entry in trend)
    return (
        f"<h2>Verdicts</h2><p>{drifted} of {len(trend)} runs drifted.</p>"
        f'<svg viewBox="0 0 {_WIDTH} 28" role="img" aria-label="Verdicts of the runs">{cells}</svg>'
    )


def _plot(
    title: str,
    trend: Sequence[Mapping[str, Any]],
    values: Sequence[float | None],
    limit: float | None = None,
    intervals: Sequence[Sequence[float] | None] = (),
) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return f"<h2>{escape(title)}</h2><p>No run has it yet.</p>"
    ends = [end for interval in intervals if interval for end in interval]
    top = max([*known, *ends, limit or 0.0]) * 1.05 or 1.0

    def x(at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT) * (at + 0.5) / len(values)

    def y(value: float) -> float:
        return _HEIGHT - (_HEIGHT - 10) * max(0.0, value) / top

    drawn = [f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>']
    drawn += [
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_tick(value)}</text>'
        for value in (0.0, max(known))
    ]
    if limit is not None:
        drawn.append(
            f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH}" y1="{y(limit):.1f}" '
            f'y2="{y(limit):.1f}"><title>drift from {limit:g}</title></line>'
        )
    for at in range(1, len(trend)):
        if trend[at]["model"] != trend[at - 1]["model"]:
            between = (x(at) + x(at - 1)) / 2
            drawn.append(
                f'<line class="new" x1="{between:.1f}" x2="{between:.1f}" y1="0" y2="{_HEIGHT}"/>'
            )
    for at, interval in enumerate(intervals):
        if interval:
            low, high = (y(end) for end in interval)
            drawn.append(
                f'<line class="band" x1="{x(at):.1f}" x2="{x(at):.1f}" '
                f'y1="{low:.1f}" y2="{high:.1f}"/>'
            )
    points = [(x(at), y(value)) for at, value in enumerate(values) if value is not None]
    line = " ".join(f"{left:.1f},{up:.1f}" for left, up in points)
    drawn.append(f'<polyline class="line" points="{line}"/>')
    for at, value in enumerate(values):
        if value is not None:
            shown = f"run {trend[at]['run']}, {trend[at]['last']}: {value:.4g}"
            drawn.append(
                f'<circle class="dot" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3">'
                f"<title>{escape(shown)}</title></circle>"
            )
    label = f"{title}: {known[-1]:.3g} in the last run, {max(known):.3g} at most"
    return (
        f'<h2>{escape(title)}</h2><svg viewBox="0 0 {_WIDTH} {_HEIGHT + 4}" role="img" '
        f'aria-label="{escape(label)}">{"".join(drawn)}</svg>'
    )


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _table(trend: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td>{entry['run']}</td><td>{escape(str(entry['last'] or '–'))}</td>"
        f"{number(entry['rows'], 'd')}<td>{escape(entry['verdict'])}</td>"
        f"{number(entry['psi'], '.3g')}{number(entry['columns'], 'd')}"
        f"{number(entry['prediction_psi'], '.3g')}"
        f"{number(entry['quality'][0] if entry['quality'] else None, '.3g')}</tr>"
        for entry in reversed(trend)
    ]
    names = ("Run", "Last hour (UTC)", "Rows#", "Verdict", "Largest PSI#", "Drifted columns#")
    return table("The newest runs", (*names, "PSI of predictions#", "Live quality#"), rows)
