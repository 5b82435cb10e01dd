"""Pure: the page of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from model.page import BAD, GOOD, draw, number, table

_WIDTH, _ROW = 640, 46
_STYLE = """
.zero { stroke: #888; stroke-dasharray: 4 3 } .better { fill: #2a7d3f } .lost { fill: #b3261e }
.open { fill: #1f77b4 }
@media (prefers-color-scheme: dark) {
  .better { fill: #6fcf87 } .lost { fill: #ff8a80 } .open { fill: #6cb1e8 } }
"""


def draw_page(report: Mapping[str, Any]) -> str:
    """Return the page of an evaluation.

    Args:
        report: the content of evaluation.json.
    """
    return draw(
        "Candidate and champion",
        report["message"],
        [
            _pictures(report["metrics"]),
            _metrics(report["metrics"]),
            _reference(report.get("reference")),
            _models(report),
            _slices(report["slices"]) if report["slices"] else "",
        ],
        kind=BAD if report["verdict"] == "worse" else GOOD,
        title="Evaluation",
        style=_STYLE,
    )


def _pictures(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return a picture of the intervals of the differences, around a line at zero."""
    shown = [m for m in metrics if m["champion"] is not None and m["interval"] is not None]
    if not shown:
        return ""
    height = _ROW * len(shown) + 20
    lines = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        'aria-label="95 % intervals of candidate minus champion; the table has the figures">',
        f'<line class="zero" x1="{_WIDTH / 2}" x2="{_WIDTH / 2}" y1="0" y2="{height - 16}"/>',
        f'<text x="{_WIDTH / 2}" y="{height - 2}" text-anchor="middle">no difference</text>',
        f'<text x="4" y="{height - 2}">worse</text>',
        f'<text x="{_WIDTH - 4}" y="{height - 2}" text-anchor="end">better</text>',
    ]
    for at, metric in enumerate(shown):
        low, high = metric["interval"]
        reach = max(abs(low), abs(high), 1e-12)
        scale = (_WIDTH / 2 - 10) / reach
        # To the right is better, whatever the metric's direction.
        ends = (low, high) if metric["higher_is_better"] else (-high, -low)
        left, right = (_WIDTH / 2 + end * scale for end in ends)
        kind = "better" if ends[0] > 0 else "lost" if ends[1] < 0 else "open"
        top = at * _ROW
        name = f"{metric['metric']} {_interval(metric['interval'], signed=True)}"
        lines.append(f'<text x="4" y="{top + 14}">{escape(name)}</text>')
        lines.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{top + 20}" height="14" '
            f'width="{max(right - left, 2):.1f}"><title>{low:+.4f} to {high:+.4f}</title></rect>'
        )
    return "\n".join([*lines, "</svg>"])


def _reference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["state"] != "kept":
        return (
            f"<h2>Frozen reference set</h2><p>{escape(found['state'])}: {escape(found['why'])}.</p>"
        )
    about = f"<p>{found['rows']} rows, the same for every model of the group.</p>"
    return _metrics(found["metrics"], "Frozen reference set") + about


def _metrics(metrics: Sequence[Mapping[str, Any]], headline: str = "Metrics") -> str:
    rows = [
        f"<tr><td>{escape(m['metric'])}</td>{number(m['candidate'])}{number(m['champion'])}"
        f"<td>{_interval(m['interval'], signed=m['champion'] is not None)}</td></tr>"
        for m in metrics
    ]
    return table(headline, ("Metric", "Candidate#", "Champion#", "95 % interval"), rows)


def _models(report: Mapping[str, Any]) -> str:
    models = {"candidate": report["candidate"], "champion": report["champion"]}
    rows = []
    for name, model in models.items():
        if model is None:
            why = escape(report["no_champion_because"])
            rows.append(f'<tr><td>{name}</td><td colspan="4">{why}</td></tr>')
            continue
        calibration = report["calibration"].get(name)
        rows.append(
            f"<tr><td>{name}</td><td>{escape(model['training_job'])}</td>"
            f'<td class="number">{model["onnx_bytes"] / 1024:.1f} KiB</td>'
            f'<td class="number">{model["one_row_microseconds"]:.0f} µs</td>'
            f"{number(calibration)}</tr>"
        )
    return table("Models", ("", "Training job", "Size#", "One row#", "Calibration error#"), rows)


def _slices(slices: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f'<tr><td>{escape(s["name"])}</td><td class="number">{s["rows"]}</td>'
        f"{number(s['candidate'])}{number(s['champion'])}"
        f"<td>{'yes' if s['worse'] else 'no'} ({_chance(s['p_value'])})</td></tr>"
        for s in slices
    ]
    titles = ("Slice", "Rows#", "Candidate#", "Champion#", "Worse by more than chance")
    return table("Slices, the worst first", titles, rows)


def _chance(p_value: float) -> str:
    return "p &lt; 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _interval(interval: Sequence[float] | None, *, signed: bool) -> str:
    if interval is None:
        return "–"
    sign = "+" if signed else ""
    return f"{interval[0]:{sign}.4f} to {interval[1]:{sign}.4f}"
