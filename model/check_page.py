"""Pure: the page of a data check, one HTML file without scripts and without other files.

Every text from the dataset is escaped, and is never part of a tag, a style or a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_MAX_PICTURES, _MAX_BARS, _MAX_ROWS = 12, 30, 200
_SHOWN_CHARACTERS = 60
_WIDTH, _HEIGHT = 320, 110
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1d1d1f; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { padding: .7rem 1rem; border-left: .4rem solid #2a7d3f; background: #f1f8f2 }
.verdict.broken { border-color: #b3261e; background: #fdf2f1 }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; padding: .6rem; border: 1px solid #ddd; width: 320px; overflow-wrap: anywhere }
figcaption { font-size: .85rem } .now { fill: #1f77b4 } .before { fill: #b8b8b8 }
table { border-collapse: collapse; width: 100%; overflow-wrap: anywhere }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd;
  vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.broken-row td:first-child { color: #b3261e; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1d } .verdict { background: #1e2a20 }
  .verdict.broken { background: #33201e } figure, td, th { border-color: #444 }
  .before { fill: #666 } .now { fill: #6cb1e8 } }
"""


def draw_page(
    report: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
    champion: Mapping[str, Any] | None,
) -> str:
    """Return the page of a data check.

    Args:
        report: the content of check.json.
        baseline: the content of baseline.json; None if the dataset could not be read.
        champion: the baseline of the approved model, or None.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Data check</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>Data check of {_text(report['dataset']['name'] or 'a dataset')}</h1>",
        f'<p class="verdict {"broken" if report["verdict"] == "broken" else "passed"}">'
        f"{escape(report['message'])}</p>",
    ]
    if baseline is not None:
        parts.append(_pictures(report["columns"], baseline, champion))
    parts.append(_findings(report["findings"], report["findings_left_out"]))
    if baseline is not None:
        parts.append(_columns(report["columns"], baseline["columns"]))
    return "\n".join([*parts, "</body></html>", ""])


def _pictures(
    compared: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
) -> str:
    before = {column["name"]: column for column in (champion or {"columns": []})["columns"]}
    sizes = {column["name"]: column for column in compared}
    order = sorted(
        baseline["columns"], key=lambda column: -(_size(sizes.get(column["name"], {})) or 0.0)
    )
    title = "Distributions"
    if champion is not None:
        title += ", the largest shifts first; grey: the approved model's training data"
    figures = [
        _figure(column, before.get(column["name"]), sizes.get(column["name"], {}))
        for column in order[:_MAX_PICTURES]
    ]
    left = len(order) - len(figures)
    more = f"<p>{left} more columns are in the table below.</p>" if left else ""
    return f'<h2>{title}</h2><div class="pictures">{"".join(figures)}</div>{more}'


def _size(compared: Mapping[str, Any]) -> float | None:
    psi: float | None = compared.get("psi")
    return psi


def _figure(
    column: Mapping[str, Any], before: Mapping[str, Any] | None, compared: Mapping[str, Any]
) -> str:
    same_type = before is not None and before["type"] == column["type"]
    drawn = (
        _histogram(column, before if same_type else None)
        if column["type"] == "number"
        else _bars(column, before if same_type else None)
    )
    psi = _size(compared)
    caption = _text(column["name"]) + ("" if psi is None else f", PSI {psi:.3f}")
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _histogram(column: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    found = [(kind, one["histogram"]) for kind, one in (("before", before), ("now", column)) if one]
    # A column without values has no histogram.
    shapes = [(kind, shape) for kind, shape in found if shape is not None]
    edges = [edge for _, shape in shapes for edge in shape["edges"]]
    if not edges:
        return _svg("")
    low, high = min(edges), max(edges)
    span = (high - low) or 1.0
    boxes: list[tuple[str, float, float, float]] = []
    for kind, shape in shapes:
        total = sum(shape["counts"]) or 1
        for left, right, rows in zip(
            shape["edges"], shape["edges"][1:], shape["counts"], strict=False
        ):
            # A bin of no width holds one value; it is drawn as wide as a line.
            width = max((right - left) / span, 0.01)
            boxes.append((kind, (left - low) / span, width, rows / total / width))
    top = max((density for *_, density in boxes), default=0.0) or 1.0
    drawn = "".join(
        _box(kind, at * _WIDTH, width * _WIDTH, density / top) for kind, at, width, density in boxes
    )
    ends = (
        f'<text x="0" y="{_HEIGHT + 14}" font-size="11" fill="currentColor">{low:.4g}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" font-size="11" fill="currentColor" '
        f'text-anchor="end">{high:.4g}</text>'
    )
    return _svg(drawn + ends)


def _bars(column: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    now = _shares(column)
    earlier = _shares(before) if before else {}
    names = sorted(now | earlier, key=lambda name: -max(now.get(name, 0), earlier.get(name, 0)))
    names = names[:_MAX_BARS]
    top = max([*now.values(), *earlier.values()], default=0.0) or 1.0
    step = _WIDTH / max(1, len(names))
    drawn = []
    for number, name in enumerate(names):
        for kind, shares, start in (("before", earlier, 0.1), ("now", now, 0.35)):
            box = _box(kind, (number + start) * step, step * 0.5, shares.get(name, 0.0) / top)
            drawn.append(f"<g><title>{_text(name)}</title>{box}</g>")
        if len(names) <= 5:
            x = (number + 0.45) * step
            drawn.append(
                f'<text x="{x:.1f}" y="{_HEIGHT + 14}" font-size="11" fill="currentColor" '
                f'text-anchor="middle">{escape(name[:12])}</text>'
            )
    return _svg("".join(drawn))


def _shares(column: Mapping[str, Any]) -> dict[str, float]:
    total = (sum(column["counts"].values()) + column["other"]) or 1
    return {name: rows / total for name, rows in column["counts"].items()}


def _box(kind: str, x: float, width: float, height: float) -> str:
    tall = height * (_HEIGHT - 10)
    opacity = ' fill-opacity="0.75"' if kind == "now" else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{_HEIGHT - tall:.1f}" width="{width:.1f}" '
        f'height="{tall:.1f}"{opacity}/>'
    )


def _svg(content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 18}" width="{_WIDTH}" height="{_HEIGHT + 18}" '
        f'role="img">{content}</svg>'
    )


def _findings(findings: Sequence[Mapping[str, Any]], left_out: int) -> str:
    if not findings:
        return "<h2>Findings</h2><p>None.</p>"
    rows = "".join(
        f'<tr class="{"broken-row" if finding["severity"] == "broken" else "warning-row"}">'
        f"<td>{escape(finding['severity'])}</td><td>{escape(finding['kind'])}</td>"
        f"<td>{escape(finding['message'])}</td></tr>"
        for finding in findings[:_MAX_ROWS]
    )
    rest = left_out + max(0, len(findings) - _MAX_ROWS)
    more = f"<p>And {rest} more.</p>" if rest else ""
    return f"<h2>Findings</h2><table><tbody>{rows}</tbody></table>{more}"


def _columns(compared: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]]) -> str:
    sizes = {column["name"]: column for column in compared}
    rows = "".join(
        _column_row(column, sizes.get(column["name"], {})) for column in columns[:_MAX_ROWS]
    )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("column", "type", "missing", "smallest", "mean", "largest", "PSI")
    )
    left = len(columns) - _MAX_ROWS
    more = f"<p>And {left} more.</p>" if left > 0 else ""
    return (
        f"<h2>Columns of the training rows</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}"
    )


def _column_row(column: Mapping[str, Any], compared: Mapping[str, Any]) -> str:
    if column["type"] == "number":
        values = [column["minimum"], column["mean"], column["maximum"]]
        what = "number"
    else:
        values = [None, None, None]
        what = f"category ({len(column['counts'])})"
    cells = [f"<td>{_text(column['name'])}</td><td>{what}</td>"]
    cells.append(f'<td class="number">{column["missing"]:.2%}</td>')
    cells += [
        f'<td class="number">{"" if value is None else format(value, ".5g")}</td>'
        for value in (*values, _size(compared))
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _text(name: str) -> str:
    shown = name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 1] + "…"
    return escape(shown)
