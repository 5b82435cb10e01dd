"""The rehearsal, a processing job: production's requests, answered by champion and candidate.

    processing/captures/…/yyyy/mm/dd/hh/*.jsonl  SageMaker's data capture of production
    processing/candidate/model.tar.gz            the model that was trained
    processing/champion/model.tar.gz             the approved model, if there is one
    processing/baseline/baseline.json            optional: the candidate's training data
      → processing/report/rehearsal.json         every figure
        processing/report/rehearsal.html         the same, for people
        output/message                           one line

SM_HP_SERVING describes production's endpoint (`rehearsal_load`); without it there is no load. The
exit code is always 0: a rehearsal informs the person who approves, and stops nothing. What kept it
from being made is its verdict.

The newest files are read first, up to `Bounds`. A line is one request, of 16 MiB at most; of the
requests only counts are kept, so memory does not depend on their number.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from model.baseline import Baseline, read_baseline
from model.captures import Note
from model.cells import one_line
from model.channels import read_json_object
from model.errors import BaselineError, ContainerError, RequestError
from model.hyperparameters import hyperparameters_of
from model.lines import read_lines
from model.loaded_model import Model, read_model
from model.media import ResponseFormat, content_media_type, negotiate
from model.paths import MlPaths
from model.recorded_requests import RecordedRequest, read_request
from model.rehearsal import AnswerComparison, Answered, InputComparison, Rows
from model.rehearsal_load import Serving, parse_serving, summary, under_load
from model.rehearsal_page import draw_page
from model.request_rows import read_rows
from model.response_encoder import ResponseEncoder
from model.scoring import score_rows
from model.train import json_bytes, write_whole

log = logging.getLogger("model.rehearse")

VERSION = 1
SAME, DIFFERENT, REFUSES, NOT_REHEARSED = "same", "different", "refuses", "not-rehearsed"
_MESSAGE_CHARACTERS = 300
_MOST_REASONS, _REASON_CHARACTERS = 5, 200
# The newest minutes whose rate is shown and simulated.
_MOST_MINUTES = 1_440
_BATCH_ROWS = 4096

SENTENCES = {
    Note.CUT_OFF: "capture files are cut off in their last line; the lines before it were replayed",
    Note.NOT_A_CAPTURE: "lines of capture files are not captures of eventVersion 0; left out",
    Note.LONG_LINE: "lines of capture files are over 16 MiB; they were left out",
    Note.NO_INPUT: "captures have no input; the endpoint captures its output only",
    Note.UNREADABLE_INPUT: "captured inputs are neither text nor base64; they were left out",
    Note.OTHER_FILE: "files are not capture files (*.jsonl); they were left out",
    Note.UNREADABLE_FILE: "capture files cannot be read; they were left out",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a rehearsal reads and replays.

    Attributes:
        file_bytes: bytes of capture files; the file that crosses it is read to its end.
        requests: requests that are replayed; of the others only the rate is counted.
        rows: rows of these requests; the request that crosses it is replayed.
        seconds: time of the replay.
    """

    file_bytes: int = 256 << 20
    requests: int = 100_000
    rows: int = 1_000_000
    seconds: float = 300.0


class _Side:
    """One of the models, as it is served."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._encoder = ResponseEncoder(model.predictor.classes)
        self.seconds = array("d")
        self.refused_requests = self.refused_rows = 0
        self.reasons: Counter[str] = Counter()

    def answer(
        self, request: RecordedRequest, clock: Callable[[], float]
    ) -> tuple[Rows, Answered] | str:
        """Return the encoded rows and their answers, or why the server would refuse the request."""
        began = clock()
        try:
            media_type, response = _formats(request.content_type, request.accept)
            rows = read_rows(request.body, media_type, self.model.columns)
            numbers, values = score_rows(rows, self.model.predictor, self.model.columns)
            self._encoder.encode(response, numbers, values)
        except RequestError as error:
            return str(error)
        except Exception as error:  # which the server answers with 500
            return f"InternalFailure: {type(error).__name__}"
        self.seconds.append(clock() - began)
        return rows, Answered(numbers, values[:, 0].astype(np.float64))

    def refuse(self, reason: str, rows: int) -> None:
        """Count a request that only this model refuses."""
        self.refused_requests += 1
        self.refused_rows += rows
        reason = one_line(reason)[:_REASON_CHARACTERS]
        # Reasons may quote cells, so that there is no end of them.
        if reason in self.reasons or len(self.reasons) < _MOST_REASONS:
            self.reasons[reason] += 1

    def refused_as_json(self) -> dict[str, Any]:
        """Return what only this model refuses."""
        reasons = [{"reason": r, "requests": n} for r, n in self.reasons.most_common()]
        return {
            "requests": self.refused_requests,
            "rows": self.refused_rows,
            "reasons": reasons,
        }


@cache
def _formats(content_type: str, accept: str) -> tuple[str, ResponseFormat]:
    media_type = content_media_type(content_type)
    return media_type, negotiate(accept, media_type)


@dataclass(slots=True)
class _Waiting:
    """Rows whose answers wait to be counted."""

    encoded: list[Rows] = field(default_factory=list)
    champion: list[Answered] = field(default_factory=list)
    candidate: list[Answered] = field(default_factory=list)
    rows: int = 0


class Replay:
    """Sends requests to both models, and counts.

    Args:
        champion, candidate: the models.
        baseline: statistics of the candidate's training data; None if it is not known.
        bounds: how much is replayed.
        clock: returns seconds.
    """

    def __init__(
        self,
        champion: Model,
        candidate: Model,
        baseline: Baseline | None,
        bounds: Bounds,
        clock: Callable[[], float],
    ) -> None:
        self.champion, self.candidate = _Side(champion), _Side(candidate)
        self.answers = AnswerComparison(
            champion.predictor.classes,
            candidate.predictor.classes,
            baseline.label.histogram if baseline else None,
        )
        self.inputs = InputComparison(candidate.columns, baseline) if baseline else None
        self.requests = self.rows = self.both_refuse = 0
        self.minutes: Counter[int] = Counter()
        self.bounded_by: str | None = None
        self._bounds, self._clock = bounds, clock
        self._ends_at: float | None = None
        self._waiting = _Waiting()

    def add(self, request: RecordedRequest) -> None:
        """Count a request, and replay it unless a bound is reached."""
        self.minutes[request.minute] += 1
        if self._ends_at is None:
            # The first run of a model allocates memory, and is not measured.
            for side in (self.champion, self.candidate):
                side.answer(request, self._clock)
                del side.seconds[:]
            self._ends_at = self._clock() + self._bounds.seconds
        self.bounded_by = self.bounded_by or self._reached(self._ends_at)
        if self.bounded_by is None:
            self._replay(request)

    def _reached(self, ends_at: float) -> str | None:
        if self.requests >= self._bounds.requests:
            return "requests"
        if self.rows >= self._bounds.rows:
            return "rows"
        return "seconds" if self._clock() >= ends_at else None

    def _replay(self, request: RecordedRequest) -> None:
        # They take turns to be first, which has to fetch the body into the processor's caches.
        sides = [self.champion, self.candidate]
        if self.requests % 2:
            sides.reverse()
        found = {side: side.answer(request, self._clock) for side in sides}
        before, now = found[self.champion], found[self.candidate]
        self.requests += 1
        if isinstance(before, str) and isinstance(now, str):
            self.both_refuse += 1
        elif isinstance(before, str):
            self.rows += len(now[0])
            self.champion.refuse(before, len(now[0]))
        elif isinstance(now, str):
            self.rows += len(before[0])
            self.candidate.refuse(now, len(before[0]))
        elif len(before[0]) != len(now[0]):
            # A list of JSON is one row for a model of as many columns, and none for another one.
            self.candidate.refuse("the candidate reads another number of rows", len(before[0]))
        else:
            self.rows += len(now[0])
            self._keep(now[0], before[1], now[1])

    def _keep(self, encoded: Rows, champion: Answered, candidate: Answered) -> None:
        waiting = self._waiting
        waiting.encoded.append(encoded)
        waiting.champion.append(champion)
        waiting.candidate.append(candidate)
        waiting.rows += len(encoded)
        if waiting.rows >= _BATCH_ROWS:
            self.finish()

    def finish(self) -> None:
        """Count the rows that wait."""
        waiting, self._waiting = self._waiting, _Waiting()
        if waiting.rows:
            different = self.answers.add(_joined(waiting.champion), _joined(waiting.candidate))
            if self.inputs is not None:
                self.inputs.add(np.concatenate(waiting.encoded), different)


def _joined(parts: list[Answered]) -> Answered:
    return Answered(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def run(environment: Mapping[str, str], bounds: Bounds | None = None) -> int:
    """Run the rehearsal that an environment describes; return 0."""
    paths = MlPaths.from_environment(environment)
    try:
        report = _rehearse(paths, environment, bounds or _bounds(paths))
    except ContainerError as error:
        report = _without(str(error))
    except Exception as error:
        log.exception("the rehearsal failed")
        report = _without(f"{type(error).__name__}: {error} (the traceback is in the log)")
    directory = paths.processing / "report"
    directory.mkdir(parents=True, exist_ok=True)
    paths.message.parent.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "rehearsal.html", draw_page(report).encode())
    write_whole(directory / "rehearsal.json", json_bytes(report))
    write_whole(paths.message, report["message"].encode())
    log.info("%s", report["message"])
    return 0


def _bounds(paths: MlPaths) -> Bounds:
    """Return the bounds; the replay takes a third of the job's time at most."""
    job = read_json_object(paths.base / "config" / "processingjobconfig.json")
    stopping = job.get("StoppingCondition")
    limit = stopping.get("MaxRuntimeInSeconds") if isinstance(stopping, dict) else None
    bounds = Bounds()
    if isinstance(limit, int) and limit > 0:
        return replace(bounds, seconds=min(bounds.seconds, limit / 3))
    return bounds


def _without(why: str) -> dict[str, Any]:
    """Return the report of a rehearsal that was not made."""
    message = one_line(f"not rehearsed: {why}")[:_MESSAGE_CHARACTERS]
    return {"version": VERSION, "verdict": NOT_REHEARSED, "message": message}


def _rehearse(paths: MlPaths, environment: Mapping[str, str], bounds: Bounds) -> dict[str, Any]:
    root = paths.processing
    if not any((root / "champion").glob("*")):
        return _without("there is no approved model yet")
    if not any((root / "captures").rglob("*.jsonl")):
        return _without("production has captured nothing yet")
    given = hyperparameters_of(environment).get("serving")
    serving = None if given is None else parse_serving(given)
    champion, candidate = read_model(root / "champion"), read_model(root / "candidate")
    if bool(champion.predictor.classes) != bool(candidate.predictor.classes):
        kinds = ("a class", "a number") if candidate.predictor.classes else ("a number", "a class")
        return _without(f"the candidate predicts {kinds[0]}, and the approved model {kinds[1]}")
    notes = Notes()
    baseline = _baseline(root / "baseline" / "baseline.json", notes)
    replay = Replay(champion, candidate, baseline, bounds, perf_counter)
    read = _read(root / "captures", replay, notes, bounds)
    replay.finish()
    if not replay.requests:
        sentences = "; ".join(note["sentence"] for note in notes.as_json())
        return _without(f"no captured request could be read: {sentences}")
    return _report(replay, read, notes, serving)


class Notes:
    """The things that were left out, by kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sentences: dict[str, str] = {}
        self._examples: dict[str, str] = {}

    def add(self, kind: Note, example: str) -> None:
        """Count one thing, of which the first is shown as an example."""
        self.say(kind.value, SENTENCES[kind], example)

    def say(self, kind: str, sentence: str, example: str = "") -> None:
        """Count one thing of a kind with a sentence of its own."""
        self._counts[kind] += 1
        self._sentences.setdefault(kind, sentence)
        self._examples.setdefault(kind, example)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the section of the report."""
        return [
            {
                "kind": kind,
                "count": count,
                "sentence": f"{count} {self._sentences[kind]}"
                if self._examples[kind]
                else self._sentences[kind],
                "example": self._examples[kind],
            }
            for kind, count in self._counts.most_common()
        ]


def _baseline(path: Path, notes: Notes) -> Baseline | None:
    if path.exists():
        try:
            return read_baseline(path)
        except BaselineError as error:
            notes.say("no-baseline", f"the inputs are not compared with the training data: {error}")
    else:
        sentence = (
            "the inputs are not compared with the training data, of which there is no baseline"
        )
        notes.say("no-baseline", sentence)
    return None


def _read(captures: Path, replay: Replay, notes: Notes, bounds: Bounds) -> dict[str, int]:
    """Replay the capture files, the newest first; return their number and size."""
    files = total = 0
    for path in sorted(captures.rglob("*"), reverse=True):
        if not path.is_file():
            continue
        name = path.relative_to(captures).as_posix()
        if path.suffix != ".jsonl":
            notes.add(Note.OTHER_FILE, name)
            continue
        if total >= bounds.file_bytes:
            replay.bounded_by = replay.bounded_by or "bytes"
            break
        try:
            total += path.stat().st_size
            for request in _requests(path, name, notes):
                replay.add(request)
        except OSError:
            notes.add(Note.UNREADABLE_FILE, name)
            continue
        files += 1
    return {"files": files, "bytes": total}


def _requests(path: Path, name: str, notes: Notes) -> Iterator[RecordedRequest]:
    for line in read_lines(path):
        if line is None:
            notes.add(Note.LONG_LINE, name)
        elif line.strip():
            found = read_request(line)
            if isinstance(found, RecordedRequest):
                yield found
            else:
                cut = found is Note.NOT_A_CAPTURE and not line.endswith(b"\n")
                notes.add(Note.CUT_OFF if cut else found, name)


def _report(
    replay: Replay, read: Mapping[str, int], notes: Notes, serving: Serving | None
) -> dict[str, Any]:
    sides = {"champion": replay.champion, "candidate": replay.candidate}
    seconds = {name: np.array(side.seconds) for name, side in sides.items() if side.seconds}
    minutes = _minutes(replay.minutes)
    answers = replay.answers.as_json()
    refused = replay.candidate.refused_requests
    verdict = REFUSES if refused else DIFFERENT if replay.answers.different else SAME
    inputs = replay.inputs
    report: dict[str, Any] = {
        "version": VERSION,
        "verdict": verdict,
        "message": "",
        "captures": {
            **read,
            "requests": replay.minutes.total(),
            "replayed": replay.requests,
            "rows": replay.rows,
            "first": _time(min(replay.minutes)),
            "last": _time(max(replay.minutes)),
            "bounded_by": replay.bounded_by,
        },
        "notes": notes.as_json(),
        **{name: _about(side.model) for name, side in sides.items()},
        "answers": answers,
        "refused": {
            "candidate": replay.candidate.refused_as_json(),
            "champion": replay.champion.refused_as_json(),
            "both": replay.both_refuse,
        },
        "slices": inputs.slices_as_json() if inputs else [],
        "columns": inputs.columns_as_json() if inputs else [],
        "latency": {name: summary(times) for name, times in seconds.items()},
        "minutes": {"first": _time(max(replay.minutes) - len(minutes) + 1), "requests": minutes},
        "serving": serving.as_json() if serving else None,
        "load": under_load(minutes, serving, seconds) if serving else [],
    }
    report["message"] = one_line(_message(report))[:_MESSAGE_CHARACTERS]
    return report


def _minutes(counts: Mapping[int, int]) -> list[int]:
    """Return the requests of each minute up to the newest one, which is the last."""
    last = max(counts)
    first = max(min(counts), last - _MOST_MINUTES + 1)
    return [counts.get(minute, 0) for minute in range(first, last + 1)]


def _time(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _about(model: Model) -> dict[str, Any]:
    return {
        "training_job": model.training_job,
        "created": model.metadata.get("created", ""),
        "onnx_bytes": model.onnx_bytes,
    }


def _message(report: Mapping[str, Any]) -> str:
    answers, refused, latency = report["answers"], report["refused"], report["latency"]
    rows = answers["rows"]
    text = f"{rows} rows of production's traffic"
    if not answers["different"]:
        text += ": all answered as by the champion" if rows else " could be compared"
    else:
        low, high = answers["interval"]
        text += (
            f": {answers['different']} ({answers['share']:.2%}; {low:.2%} to {high:.2%}) answered "
            "differently"
        )
        first = next(
            islice((f for f in answers["flows"] if f["champion"] != f["candidate"]), 1), None
        )
        if first is not None:
            text += f", most of them {first['champion'][:30]} to {first['candidate'][:30]}"
    for name, other in (("candidate", "champion"), ("champion", "candidate")):
        count = refused[name]["requests"]
        if count:
            requests = f"{count} request{'s' * (count != 1)}"
            text += f"; the {name} refuses {requests} that the {other} answers"
    if len(latency) == 2:
        now, before = latency["candidate"]["p99_ms"], latency["champion"]["p99_ms"]
        text += f"; p99 {now:.2g} ms, champion {before:.2g} ms"
    return text
