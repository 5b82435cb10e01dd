"""Pure: the page of an evaluation, one HTML file without scripts and without other files.

Every text from a model or a dataset is escaped, and is never part of a tag, a style or a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _ROW = 640, 46
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1d1d1f; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { padding: .7rem 1rem; border-left: .4rem solid #2a7d3f; background: #f1f8f2 }
.verdict.worse { border-color: #b3261e; background: #fdf2f1 }
svg { max-width: 100%; height: auto } svg text { fill: currentColor; font-size: 13px }
.zero { stroke: #888; stroke-dasharray: 4 3 } .better { fill: #2a7d3f } .lost { fill: #b3261e }
.open { fill: #1f77b4 }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
td:first-child { overflow-wrap: anywhere; min-width: 7rem }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
td.number, th.number { text-align: right }
td.number { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1d } .verdict { background: #1e2a20 }
  .verdict.worse { background: #33201e } td, th { border-color: #444 }
  .better { fill: #6fcf87 } .lost { fill: #ff8a80 } .open { fill: #6cb1e8 } }
"""


def draw_page(report: Mapping[str, Any]) -> str:
    """Return the page of an evaluation.

    Args:
        report: the content of evaluation.json.
    """
    worse = "worse" if report["verdict"] == "worse" else "passed"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style></head><body>",
        "<h1>Candidate and champion</h1>",
        f'<p class="verdict {worse}">{escape(report["message"])}</p>',
        _pictures(report["metrics"]),
        _metrics(report["metrics"]),
        _models(report),
    ]
    if report["slices"]:
        parts.append(_slices(report["slices"]))
    return "\n".join([*parts, "</body></html>", ""])


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


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> str:
    head = _head("Metric", "Candidate#", "Champion#", "95 % interval")
    rows = [
        f"<tr><td>{escape(m['metric'])}</td>{_number(m['candidate'])}{_number(m['champion'])}"
        f"<td>{_interval(m['interval'], signed=m['champion'] is not None)}</td></tr>"
        for m in metrics
    ]
    return "\n".join(["<h2>Metrics</h2><div class='table'><table>", head, *rows, "</table></div>"])


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
            f"{_number(calibration)}</tr>"
        )
    head = _head("", "Training job", "Size#", "One row#", "Calibration error#")
    return "\n".join(["<h2>Models</h2><div class='table'><table>", head, *rows, "</table></div>"])


def _slices(slices: Sequence[Mapping[str, Any]]) -> str:
    head = _head("Slice", "Rows#", "Candidate#", "Champion#", "Worse by more than chance")
    rows = [
        f'<tr><td>{escape(s["name"])}</td><td class="number">{s["rows"]}</td>'
        f"{_number(s['candidate'])}{_number(s['champion'])}"
        f"<td>{'yes' if s['worse'] else 'no'} ({_chance(s['p_value'])})</td></tr>"
        for s in slices
    ]
    return "\n".join(
        [
            "<h2>Slices, the worst first</h2><div class='table'><table>",
            head,
            *rows,
            "</table></div>",
        ]
    )


def _head(*titles: str) -> str:
    """Return the head of a table; the columns whose titles end with # hold numbers."""
    cells = [
        f'<th class="number">{title[:-1]}</th>' if title.endswith("#") else f"<th>{title}</th>"
        for title in titles
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _chance(p_value: float) -> str:
    return "p &lt; 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _number(value: float | None) -> str:
    return f'<td class="number">{"–" if value is None else f"{value:.4f}"}</td>'


def _interval(interval: Sequence[float] | None, *, signed: bool) -> str:
    if interval is None:
        return "–"
    sign = "+" if signed else ""
    return f"{interval[0]:{sign}.4f} to {interval[1]:{sign}.4f}"
