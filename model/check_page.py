"""Pure: the page of a data check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from model.baseline import DATE, NUMBER
from model.dates import show_day
from model.page import BAD, GOOD, draw, table

_MAX_PICTURES, _MAX_BARS, _MAX_ROWS = 12, 30, 200
_SHOWN_CHARACTERS = 60
_WIDTH, _HEIGHT = 320, 110
_STYLE = """
.pictures { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; padding: .6rem; border: 1px solid #ddd; width: 320px; overflow-wrap: anywhere }
figcaption { font-size: .85rem }
.broken-row td:first-child { color: #b3261e; font-weight: 600 }
@media (prefers-color-scheme: dark) { figure { border-color: #444 } }
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
    return draw(
        f"Data check of {_shortened(report['dataset']['name'] or 'a dataset')}",
        report["message"],
        [
            "" if baseline is None else _pictures(report["columns"], baseline, champion),
            _findings(report["findings"], report["findings_left_out"]),
            "" if baseline is None else _columns(report["columns"], baseline["columns"]),
        ],
        kind=BAD if report["verdict"] == "broken" else GOOD,
        title="Data check",
        style=_STYLE,
    )


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
        if column["type"] in (NUMBER, DATE)
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
    show = show_day if column["type"] == DATE else "{:.4g}".format
    ends = (
        f'<text x="0" y="{_HEIGHT + 14}" font-size="11" fill="currentColor">{show(low)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" font-size="11" fill="currentColor" '
        f'text-anchor="end">{show(high)}</text>'
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
    rows = [
        f'<tr class="{"broken-row" if finding["severity"] == "broken" else "warning-row"}">'
        f"<td>{escape(finding['severity'])}</td><td>{escape(finding['kind'])}</td>"
        f"<td>{escape(finding['message'])}</td></tr>"
        for finding in findings[:_MAX_ROWS]
    ]
    rest = left_out + max(0, len(findings) - _MAX_ROWS)
    more = f"<p>And {rest} more.</p>" if rest else ""
    return table("Findings", ("Severity", "Kind", "Finding"), rows) + more


def _columns(compared: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]]) -> str:
    sizes = {column["name"]: column for column in compared}
    rows = [_column_row(column, sizes.get(column["name"], {})) for column in columns[:_MAX_ROWS]]
    left = len(columns) - _MAX_ROWS
    more = f"<p>And {left} more.</p>" if left > 0 else ""
    titles = ("Column", "Type", "Missing#", "Smallest#", "Mean#", "Largest#", "PSI#")
    return table("Columns of the training rows", titles, rows) + more


def _column_row(column: Mapping[str, Any], compared: Mapping[str, Any]) -> str:
    show: Callable[[float], str] = "{:.5g}".format
    if column["type"] in (NUMBER, DATE):
        values = [column["minimum"], column["mean"], column["maximum"]]
        what = column["type"]
        show = show_day if what == DATE else show
    else:
        values = [None, None, None]
        what = f"category ({len(column['counts'])})"
    cells = [f"<td>{_text(column['name'])}</td><td>{what}</td>"]
    cells.append(f'<td class="number">{column["missing"]:.2%}</td>')
    size = _size(compared)
    shown = ["" if value is None else show(value) for value in values]
    shown.append("" if size is None else f"{size:.5g}")
    cells += [f'<td class="number">{text}</td>' for text in shown]
    return f"<tr>{''.join(cells)}</tr>"


def _text(name: str) -> str:
    return escape(_shortened(name))


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 1] + "…"
