"""Pure: the page of the evidence, in the frame of the container's pages (`page.html`).

Every text from a report is escaped, and is never part of a tag, a style or a link.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

_FRAME = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
_REPORTS = {"data": "Data", "evaluation": "Evaluation", "rehearsal": "Rehearsal"}
_BAD = {"broken", "worse", "refuses"}


def draw_page(document: Mapping[str, Any], digest: str) -> str:
    """Return the page of a document.

    Args:
        document: the content of evidence.json.
        digest: its SHA-256, 64 hexadecimal digits.
    """
    model, lineage = document["model"], document["lineage"]
    heading = f"Evidence of {model['group']}, version {model['version']}"
    made = [document[name] for name in _REPORTS if document[name]["made"]]
    bad = any(one.get("verdict") in _BAD for one in made)
    sources = {f"Source {name}": revision for name, revision in lineage["sources"].items()}
    parts = [
        _facts(
            "Lineage",
            {
                "Execution": f"{lineage['pipeline']}, {lineage['execution']}",
                **lineage["variables"],
                "Dataset version": lineage["dataset_version"],
                "Training job": lineage["training_job"],
                "Model": lineage["model_data"],
                "Image": lineage["image"],
                "Commit": lineage.get("commit", "not known"),
                **sources,
            },
        ),
        *(_report(title, document[name]) for name, title in _REPORTS.items()),
        _metrics(document["evaluation"]),
        _answers(document["rehearsal"]),
        _training(document["training"]),
        _facts("Document", {"evidence.json": f"sha256:{digest}"}),
    ]
    return _FRAME.substitute(
        title=escape(heading),
        heading=escape(heading),
        verdict="<br>".join(map(escape, document["verdicts"])),
        kind="bad" if bad else "good" if len(made) == len(_REPORTS) else "open",
        style=".facts th { width: 9rem } td { overflow-wrap: anywhere }",
        body="\n".join(part for part in parts if part),
    )


def _report(title: str, found: Mapping[str, Any]) -> str:
    facts = {"Verdict": found["message"]}
    if found["made"]:
        facts["Report"] = found["report"]["url"]
        facts["SHA-256"] = found["report"]["sha256"]
    return _facts(title, facts)


def _metrics(found: Mapping[str, Any]) -> str:
    if not found["made"]:
        return ""
    rows = [
        (one["metric"], _number(one["candidate"]), _number(one["champion"]), _span(one["interval"]))
        for one in found["metrics"]
    ]
    return _table("Metrics", ("Metric", "Candidate", "Champion", "95 % interval"), rows)


def _answers(found: Mapping[str, Any]) -> str:
    if not found["made"] or not found["answers"]:
        return ""
    rows = [
        (flow["champion"], flow["candidate"], str(flow["rows"]))
        for flow in found["answers"]["flows"]
    ]
    return _table("Different answers", ("Champion", "Candidate", "Rows"), rows) if rows else ""


def _training(training: Mapping[str, Any]) -> str:
    facts = {
        "Score": f"{training['metric']} {training['score']}",
        "Instance type": training["instance_type"],
        **{name: _number(value) for name, value in sorted(training["metrics"].items())},
        **dict(sorted(training["hyperparameters"].items())),
    }
    return _facts("Training", facts)


def _facts(headline: str, facts: Mapping[str, str | None]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text or '–')}</td></tr>"
        for name, text in facts.items()
    )
    frame = f'<h2>{escape(headline)}</h2><div class="table"><table class="facts">'
    return f"{frame}{rows}</table></div>"


def _table(headline: str, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f"<h2>{escape(headline)}</h2><div class='table'><table><tr>{head}</tr>{lines}</table></div>"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _span(interval: Sequence[float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
