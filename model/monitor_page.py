"""Pure: the page of a monitor's report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from model.baseline import DATE
from model.dates import show_day
from model.page import BAD, GOOD, OPEN, draw, number, table

# The columns after these are in the table, without a plot. Those of the largest PSI come first.
_MOST_PLOTS = 100
_MOST_BARS = 40
_WIDTH, _HEIGHT = 420, 120

_STYLE = """
figure { display: inline-block; margin: 1em } figcaption { max-width: 420px }
.drift { color: #b3261e } .warning { color: #9a6700 } .stable { color: #2a7d3f }
@media (prefers-color-scheme: dark) {
  .drift { color: #ff8a80 } .warning { color: #e3b341 } .stable { color: #6fcf87 } }
"""
_KINDS = {"stable": GOOD, "drift": BAD, "not-monitored": BAD}


def page_of(report: Mapping[str, Any]) -> str:
    """Return the page of a report of `monitor_report`."""
    return draw(
        "Monitor",
        report["message"],
        _parts(report) if "columns" in report else (),
        kind=_KINDS.get(report["verdict"], OPEN),
        style=_STYLE,
    )


def _parts(report: Mapping[str, Any]) -> list[str]:
    judged = [*report["columns"], report["predictions"], report["confidence"]]
    ordered = sorted(report["columns"], key=lambda part: -part.get("psi", 0.0))[:_MOST_PLOTS]
    plots = [_plot(part) for part in (report["predictions"], report["confidence"], *ordered)]
    return [
        _summary(report),
        _note_list(report["notes"]),
        _table(judged),
        "<h2>Training (grey) and captures (blue)</h2>" + "".join(plots),
    ]


def _summary(report: Mapping[str, Any]) -> str:
    hours, quality = report["hours"], report["accuracy"]
    rows = [
        ("Sources", ", ".join(report["sources"]) or "none"),
        ("Hours", f"{hours['first']} to {hours['last']}" if hours["first"] else "none"),
        ("Captures, rows, files", f"{report['captures']}, {report['rows']}, {report['files']}"),
        ("Labelled predictions", str(quality["rows"])),
    ]
    if quality["rows"]:
        low, high = quality["interval"]
        rows.append(
            (f"Live {quality['metric']}", f"{quality['value']:.4g} (95 %: {low:.4g} to {high:.4g})")
        )
    if "validation" in quality:
        rows.append((f"Validation's {quality['metric']}", f"{quality['validation']['value']:.4g}"))
    rows.append(("Thresholds", json.dumps(report["thresholds"])))
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{cells}</table>"


def _note_list(notes: Sequence[Mapping[str, Any]]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note['sentence'])}" for note in notes)
    return f"<h2>Notes</h2><ul>{items}</ul>"


def _table(parts: Sequence[Mapping[str, Any]]) -> str:
    titles = ("Column", "Verdict", "Reasons", "PSI#", "Jensen-Shannon#", "Wasserstein#", "Missing#")
    rows = [
        f'<tr><td>{escape(part["name"])}</td><td class="{escape(part["verdict"])}">'
        f"{escape(part['verdict'])}</td><td>{escape('; '.join(part['reasons']))}</td>"
        f"{number(part.get('psi'), '.3g')}{number(part.get('jensen_shannon'), '.3g')}"
        f"{number(part.get('wasserstein'), '.3g')}{number(part['missing']['share'], '.1%')}</tr>"
        for part in parts
    ]
    return table("Columns", titles, rows)


def _plot(part: Mapping[str, Any]) -> str:
    """Return bars of the shares of the baseline and of the captures."""
    pairs = [_shares(part["baseline"]), _shares(part["observed"])]
    bars = min(len(pairs[0]), _MOST_BARS)
    if not bars:
        return ""
    largest = max((share for shares in pairs for share in shares[:bars]), default=0.0) or 1.0
    step, drawn = _WIDTH / bars, []
    for place, (kind, shares) in enumerate(zip(("before", "now"), pairs, strict=True)):
        for at, share in enumerate(shares[:bars]):
            tall = _HEIGHT * share / largest
            drawn.append(
                f'<rect class="{kind}" x="{step * (at + place * 0.45):.1f}" '
                f'y="{_HEIGHT - tall:.1f}" width="{step * 0.42:.1f}" height="{tall:.1f}">'
                f"<title>{escape(_bar(part, at))}: {share:.1%}</title></rect>"
            )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img">'
        f"{''.join(drawn)}</svg>"
        f"<figcaption>{escape(part['name'])} ({escape(part['verdict'])})</figcaption></figure>"
    )


def _bar(part: Mapping[str, Any], at: int) -> str:
    if "categories" in part:
        return str(part["categories"][at])
    show = show_day if part["type"] == DATE else "{:.4g}".format
    return f"{show(part['edges'][at])} to {show(part['edges'][at + 1])}"


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
