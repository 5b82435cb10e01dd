"""Pure: the page of a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from model.page import BAD, GOOD, OPEN, draw, number, table

_KINDS = {"same": GOOD, "refuses": BAD}
_WIDTH, _HEIGHT, _MOST_BARS, _MOST_COLUMNS = 640, 120, 160, 50
_STYLE = """
.line { fill: none; stroke: #b3261e; stroke-width: 1.5 } .line.ten { stroke: #9a6700 }
figure { margin: 0 } figcaption { font-size: .85rem }
@media (prefers-color-scheme: dark) { .line { stroke: #ff8a80 } .line.ten { stroke: #e3b341 } }
"""


def draw_page(report: Mapping[str, Any]) -> str:
    """Return the page of a rehearsal.

    Args:
        report: the content of rehearsal.json.
    """
    return draw(
        "Rehearsal with production's traffic",
        report["message"],
        _parts(report) if "answers" in report else (),
        kind=_KINDS.get(report["verdict"], OPEN),
        title="Rehearsal",
        style=_STYLE,
    )


def _parts(report: Mapping[str, Any]) -> list[str]:
    return [
        _traffic(report),
        _flows(report["answers"]),
        _refused(report["refused"]),
        _slices(report["slices"]),
        _columns(report["columns"]),
        _latency(report["latency"]),
        _load(report["load"], report["serving"]),
        _picture(report["minutes"], report["load"]),
        _notes(report["notes"]),
    ]


def _traffic(report: Mapping[str, Any]) -> str:
    captures = report["captures"]
    bound = captures["bounded_by"]
    rows = {
        "Traffic": f"{captures['first']} to {captures['last']}",
        "Files": f"{captures['files']}, {captures['bytes'] / 1e6:.1f} MB",
        "Requests": f"{captures['requests']}, of which {captures['replayed']} were replayed"
        + (f" (the bound of {bound} was reached)" if bound else ""),
        "Rows": str(captures["rows"]),
        "Champion": _model(report["champion"]),
        "Candidate": _model(report["candidate"]),
    }
    cells = "".join(
        f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<div class='table'><table>{cells}</table></div>"


def _model(about: Mapping[str, Any]) -> str:
    return f"{about['training_job'] or 'no training job'}, {about['onnx_bytes'] / 1024:.1f} KiB"


def _flows(answers: Mapping[str, Any]) -> str:
    if not answers["different"]:
        return ""
    rows = [
        f"<tr><td>{escape(flow['champion'])}</td><td>{escape(flow['candidate'])}</td>"
        f"{_whole(flow['rows'])}{number(flow['rows'] / answers['rows'], '.2%')}</tr>"
        for flow in answers["flows"]
    ]
    more = answers["flows_left_out"]
    return table(
        "Different answers: what became what",
        ("Champion", "Candidate", "Rows#", "Of all rows#"),
        rows,
    ) + (f"<p>And {more} more.</p>" if more else "")


def _refused(refused: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{name}</td>{_whole(one['requests'])}<td>{escape(one['reason'])}</td></tr>"
        for name in ("candidate", "champion")
        for one in refused[name]["reasons"]
    ]
    both = refused["both"]
    said = f"<p>Requests that both refuse: {both}.</p>" if both else ""
    if not rows:
        return said
    return table("Requests that only one refuses", ("Refuses", "Requests#", "Reason"), rows) + said


def _slices(slices: Sequence[Mapping[str, Any]]) -> str:
    if not slices:
        return ""
    rows = [
        f"<tr><td>{escape(one['name'])}</td>{_whole(one['rows'])}{_whole(one['different'])}"
        f"{number(one['share'], '.1%')}"
        f"<td>{one['interval'][0]:.1%} to {one['interval'][1]:.1%}</td>"
        f"{number(one['traffic_share'], '.1%')}{number(one['training_share'], '.1%')}</tr>"
        for one in slices
    ]
    titles = (
        *("Input", "Rows#", "Different#", "Share#", "95 % interval"),
        *("Of traffic#", "Of training#"),
    )
    return table("Inputs that are answered differently most often", titles, rows)


def _columns(columns: Sequence[Mapping[str, Any]]) -> str:
    if not columns:
        return ""
    rows = [
        f"<tr><td>{escape(one['name'])}</td>{number(one['traffic_psi'], '.3f')}"
        f"{number(one['different_psi'], '.3f')}{number(one['outside_share'], '.1%')}"
        f"{number(one['different_outside_share'], '.1%')}</tr>"
        for one in columns[:_MOST_COLUMNS]
    ]
    left = len(columns) - _MOST_COLUMNS
    titles = (
        *("Column", "PSI of all rows#", "PSI of different ones#"),
        *("Outside, all#", "Outside, different#"),
    )
    return (
        table("Distance of the inputs from the candidate's training data", titles, rows)
        + "<p>Outside: beyond the training data's range, or missing or unknown categories.</p>"
        + (f"<p>And {left} more columns.</p>" if left > 0 else "")
    )


def _latency(latency: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        f"<tr><td>{name}</td>{number(one['mean_ms'], '.3f')}{number(one['p50_ms'], '.3f')}"
        f"{number(one['p99_ms'], '.3f')}</tr>"
        for name, one in latency.items()
    ]
    titles = ("Model", "Mean, ms#", "p50, ms#", "p99, ms#")
    return table("Time of one request, without HTTP and without waiting", titles, rows)


def _load(load: Sequence[Mapping[str, Any]], serving: Mapping[str, Any] | None) -> str:
    if not load or serving is None:
        return ""
    rows = [
        f"<tr><td>{name}, × {one['factor']}</td>"
        f"{number(one['mean_requests_per_second'], '.2f')}"
        f"{number(one['most_requests_per_second'], '.2f')}{_whole(one['most_instances'])}"
        f"{number(one['usd_per_hour'], '.3f')}{number(model['p50_ms'], '.3f')}"
        f"{number(model['p99_ms'], '.3f')}{number(model['busy'], '.2%')}"
        f"{number(model['core_usd_per_hour'], '.6f')}</tr>"
        for one in load
        for name, model in one["models"].items()
    ]
    titles = (
        *("Model and rate", "Requests/s#", "Most/s#", "Most instances#", "USD/h#"),
        *("p50, ms#", "p99, ms#", "Core busy#", "USD/h of it#"),
    )
    scaling = (
        f"{serving['instances']} instances, no scaling"
        if serving["target"] is None
        else f"{serving['minimum']} to {serving['maximum']} instances, "
        f"{serving['target']:g} requests per instance and minute"
    )
    return (
        table("Load at the recorded rate, and at ten times it", titles, rows)
        + f"<p>{escape(serving['instance_type'])}: {scaling}; {serving['capture_percent']:g} % of "
        "the requests are captured. Times include waiting for one core at the busiest minute of an "
        "instance; a dash says that more requests come than one core answers.</p>"
    )


def _picture(minutes: Mapping[str, Any], load: Sequence[Mapping[str, Any]]) -> str:
    """Return the recorded requests per minute as bars, and the instances as lines."""
    requests = minutes["requests"]
    step = -(-len(requests) // _MOST_BARS)
    bars = [max(requests[at : at + step]) for at in range(0, len(requests), step)]
    top, width = max(bars) or 1, _WIDTH / len(bars)
    drawn = [
        f'<rect class="now" x="{at * width:.1f}" y="{_HEIGHT * (1 - bar / top):.1f}" '
        f'width="{max(width - 0.5, 0.5):.1f}" height="{_HEIGHT * bar / top:.1f}"/>'
        for at, bar in enumerate(bars)
    ]
    most = max((one["most_instances"] for one in load), default=1)
    for one in load:
        found = one["instances"]
        most_of = [max(found[start : start + step]) for start in range(0, len(found), step)]
        points = " ".join(
            f"{(at + 0.5) * width:.1f},{_HEIGHT * (1 - count / most):.1f}"
            for at, count in enumerate(most_of)
        )
        kind = "line ten" if one["factor"] > 1 else "line"
        drawn.append(f'<polyline class="{kind}" points="{points}"/>')
    lines = "".join(
        f"; {colour}: instances at × {one['factor']}, up to {one['most_instances']}"
        for one, colour in zip(load, ("red", "amber"), strict=False)
    )
    return (
        f'<h2>Recorded traffic</h2><figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="captured requests per minute">{"".join(drawn)}</svg><figcaption>'
        f"{len(requests)} minutes from {escape(minutes['first'])}; bars: captured requests, up to "
        f"{top} per minute{lines}</figcaption></figure>"
    )


def _notes(notes: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<li>{escape(note['sentence'])}"
        + (f" (first: {escape(note['example'])})" if note["example"] else "")
        + "</li>"
        for note in notes
    )
    return f"<h2>Notes</h2><ul>{items}</ul>" if items else ""


def _whole(value: int) -> str:
    return number(value, "d")
