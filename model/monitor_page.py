"""Pure: the report as one HTML page, without scripts and without anything to load.

Every text of the captures is escaped, and the page's policy forbids scripts and requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

# The columns after these are in the table, without a plot. Those of the largest PSI come first.
_MOST_PLOTS = 100
_MOST_BARS = 40
_WIDTH, _HEIGHT = 420, 120

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2em .8em .2em 0; }
td { vertical-align: top; overflow-wrap: anywhere; } figure { display: inline-block; margin: 1em; }
.drift, .not-monitored { color: #b00020; } .warning { color: #9a6700; } .stable { color: #1a7f37; }
.expected { fill: #9aa4b2; } .observed { fill: #1f77b4; } figcaption { max-width: 420px; }
"""


def page_of(report: Mapping[str, Any]) -> str:
    """Return the page of a report of `monitor_report`."""
    verdict = escape(report["verdict"])
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\"><title>Monitor</title>"
        f'<style>{_STYLE}</style><h1 class="{verdict}">{verdict}</h1>'
        f"<p>{escape(report['message'])}</p>"
    )
    if "columns" not in report:
        return head + "</html>\n"
    parts = [head, _summary(report), _note_list(report["notes"])]
    judged = [*report["columns"], report["predictions"], report["confidence"]]
    parts.append(_table(judged))
    ordered = sorted(report["columns"], key=lambda part: -part.get("psi", 0.0))[:_MOST_PLOTS]
    plots = [_plot(part) for part in (report["predictions"], report["confidence"], *ordered)]
    parts.append("<h2>Training (grey) and captures (blue)</h2>" + "".join(plots))
    return "".join(parts) + "</html>\n"


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
    cells = "".join(f"<tr><th>{escape(a)}<td>{escape(b)}" for a, b in rows)
    return f"<table>{cells}</table>"


def _note_list(notes: Sequence[Mapping[str, Any]]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note['sentence'])}" for note in notes)
    return f"<h2>Notes</h2><ul>{items}</ul>"


def _table(parts: Sequence[Mapping[str, Any]]) -> str:
    names = ("Column", "Verdict", "Reasons", "PSI", "Jensen-Shannon", "Wasserstein", "Missing")
    lines = ["<h2>Columns</h2><table><tr>" + "".join(f"<th>{name}" for name in names)]
    for part in parts:
        lines.append(
            f'<tr><td>{escape(part["name"])}<td class="{escape(part["verdict"])}">'
            f"{escape(part['verdict'])}<td>{escape('; '.join(part['reasons']))}"
            f"<td>{_number(part.get('psi'))}<td>{_number(part.get('jensen_shannon'))}"
            f"<td>{_number(part.get('wasserstein'))}<td>{part['missing']['share']:.1%}"
        )
    return "".join(lines) + "</table>"


def _plot(part: Mapping[str, Any]) -> str:
    """Return bars of the shares of the baseline and of the captures."""
    pairs = [_shares(part["baseline"]), _shares(part["observed"])]
    bars = min(len(pairs[0]), _MOST_BARS)
    if not bars:
        return ""
    largest = max((share for shares in pairs for share in shares[:bars]), default=0.0) or 1.0
    step, drawn = _WIDTH / bars, []
    for number, (kind, shares) in enumerate(zip(("expected", "observed"), pairs, strict=True)):
        for at, share in enumerate(shares[:bars]):
            tall = _HEIGHT * share / largest
            drawn.append(
                f'<rect class="{kind}" x="{step * (at + number * 0.45):.1f}" '
                f'y="{_HEIGHT - tall:.1f}" width="{step * 0.42:.1f}" height="{tall:.1f}">'
                f"<title>{escape(_bar(part, at))}: {share:.1%}</title></rect>"
            )
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" role="img">{"".join(drawn)}</svg>'
        f"<figcaption>{escape(part['name'])} ({escape(part['verdict'])})</figcaption></figure>"
    )


def _bar(part: Mapping[str, Any], at: int) -> str:
    if "categories" in part:
        return str(part["categories"][at])
    return f"{part['edges'][at]:.4g} to {part['edges'][at + 1]:.4g}"


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
