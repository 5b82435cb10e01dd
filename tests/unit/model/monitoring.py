"""Captures as SageMaker writes them, a baseline, and the monitor's run over a directory."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model import monitor
from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline

HOUR = "2026/01/31/10"
PLACE = f"shop/AllTraffic/{HOUR}"

EDGES = tuple(float(i) for i in range(11))
BASELINE = Baseline(
    rows=1000,
    label=LabelBaseline("species", {"a": 500, "b": 500}),
    columns=(
        ColumnBaseline("size", 0.0, Histogram(EDGES, (100,) * 10), 0.0, 10.0, 5.0, 2.9),
        ColumnBaseline("site", 0.0, counts={"north": 600, "south": 400}),
    ),
)


def side(data: str | bytes, kind: str, encoding: str) -> dict[str, str]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"observedContentType": kind, "mode": "INPUT", "data": text, "encoding": encoding}


def csv(text: str) -> dict[str, str]:
    return side(text, "text/csv; charset=utf-8", "CSV")


def as_json(document: object) -> dict[str, str]:
    return side(json.dumps(document), "application/json", "JSON")


def capture(
    given: Mapping[str, str] | None,
    answered: Mapping[str, str] | None,
    key: str = "event-0",
    *,
    inference_id: str | None = None,
    time: str = "2026-01-31T10:00:00Z",
) -> str:
    """Return a line of a capture file, without the newline."""
    sides = {"endpointInput": given, "endpointOutput": answered}
    event = {"eventId": key, "inferenceTime": time}
    if inference_id is not None:
        event["inferenceId"] = inference_id
    return json.dumps(
        {
            "captureData": {name: one for name, one in sides.items() if one is not None},
            "eventMetadata": event,
            "eventVersion": "0",
        }
    )


def stable_lines(rows: int, *, shift: float = 0.0, first: int = 0) -> list[str]:
    """Return captures whose rows and answers are distributed as the baseline's, if not shifted."""
    lines = []
    for number in range(first, first + rows):
        size = number % 10 + 0.5 + shift
        site = "north" if number % 5 < 3 else "south"
        answer = "a" if number // 10 % 2 else "b"
        lines.append(capture(csv(f"{size},{site}\n"), csv(f"{answer}\n"), f"event-{number}"))
    return lines


class Job:
    """The directories of one monitor after another."""

    def __init__(self, base: Path, baseline: Baseline | None = BASELINE) -> None:
        self.base = base
        self.root = base / "processing"
        if baseline is not None:
            self.write("baseline/baseline.json", json.dumps(baseline.as_json()))

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def captures(self, name: str, lines: Sequence[str]) -> Path:
        return self.write(f"captures/{name}", "".join(f"{line}\n" for line in lines))

    def run(self, code: int = 0, **environment: str) -> dict[str, Any]:
        """Run the monitor, and return its report."""
        assert code == monitor.run({"SAGEMAKER_BASE_DIR": str(self.base), **environment})
        return self.report

    @property
    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / "report/monitor.json").read_text())
        return document

    @property
    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / "state/state.json").read_text())
        return document

    @property
    def message(self) -> str:
        return (self.base / "output" / "message").read_text()

    @property
    def page(self) -> str:
        return (self.root / "report/monitor.html").read_text()


def notes(report: Mapping[str, Any]) -> dict[str, int]:
    return {note["kind"]: note["count"] for note in report["notes"]}


def sentence(report: Mapping[str, Any], kind: str) -> str:
    (found,) = (note["sentence"] for note in report["notes"] if note["kind"] == kind)
    return str(found)


def npy(rows: Sequence[Sequence[Any]] | Sequence[Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array(rows), allow_pickle=False)
    return out.getvalue()
