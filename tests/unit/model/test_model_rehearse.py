"""The rehearsal: captured requests, answered by two models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import rehearse
from model.loaded_model import read_model
from model.paths import MlPaths
from model.recorded_requests import RecordedRequest, read_request
from model.rehearse import Bounds
from tests.unit.model.container import JOB_NAME, child_environment
from tests.unit.model.models import ROOT, archive, model_of, rows
from tests.unit.model.monitoring import as_json, capture, csv, npy, side

SERVING = {
    "type": "ml.m5.large",
    "count": 2,
    "capture": 50,
    "price": 0.115,
    "target": 120,
    "min": 2,
    "max": 10,
    "out": 60,
    "in": 300,
}


class Rehearsal:
    """The directories of one job."""

    def __init__(self, base: Path, **inputs: bytes | None) -> None:
        self.base, self.root = base, base / "processing"
        for name, content in inputs.items():
            if content is not None:
                file = "baseline.json" if name == "baseline" else "model.tar.gz"
                self.write(f"{name}/{file}", content)

    def write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def captures(self, lines: Sequence[str], name: str = "2026/01/31/10/00-00-000-a.jsonl") -> None:
        self.write(f"captures/{name}", "".join(f"{line}\n" for line in lines).encode())

    def run(self, bounds: Bounds | None = None, **variables: str) -> dict[str, Any]:
        given = {f"SM_HP_{name.upper()}": value for name, value in variables.items()}
        assert rehearse.run({"SAGEMAKER_BASE_DIR": str(self.base), **given}, bounds) == 0
        report: dict[str, Any] = json.loads((self.root / "report/rehearsal.json").read_text())
        assert report["message"] == (self.base / "output" / "message").read_text()
        assert len(report["message"]) <= 300
        return report

    @property
    def page(self) -> str:
        return (self.root / "report/rehearsal.html").read_text()


def requests(count: int, seed: int = 3, *, start: int = 0) -> list[str]:
    """Return captures of one row each, ten in a minute."""
    lines = []
    for number, row in enumerate(rows(count, seed, noise=1.0).split()):
        minute = (start + number) // 10
        time = f"2026-01-31T{10 + minute // 60:02d}:{minute % 60:02d}:00Z"
        features = row.partition(",")[2]
        lines.append(capture(csv(f"{features}\n"), csv("a\n"), f"e{number}", time=time))
    return lines


def notes(report: dict[str, Any]) -> dict[str, int]:
    return {note["kind"]: note["count"] for note in report["notes"]}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return model_of(tmp_path_factory.mktemp("good"), rows(200, seed=1), rows(200, seed=7))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    trained = rows(60, seed=2, noise=3, flipped=0.4)
    return model_of(tmp_path_factory.mktemp("bad"), trained, rows(200, seed=7))


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    base = tmp_path_factory.mktemp("check")
    (base / "processing" / "dataset").mkdir(parents=True)
    content = archive(rows(200, seed=1), rows(200, seed=7))
    (base / "processing" / "dataset" / "abc").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "model", "check"],
        cwd=ROOT,
        env=child_environment(SAGEMAKER_BASE_DIR=str(base)),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return (base / "processing" / "report" / "baseline.json").read_bytes()


@pytest.fixture
def job(tmp_path: Path, good: bytes, bad: bytes, baseline: bytes) -> Rehearsal:
    """A worse candidate than the champion, with the baseline of good rows."""
    return Rehearsal(tmp_path, champion=good, candidate=bad, baseline=baseline)


def test_the_command_replays_production_through_both_models(job: Rehearsal) -> None:
    job.captures(requests(300))
    done = subprocess.run(
        [sys.executable, "-m", "model", "rehearse"],
        cwd=ROOT,
        env=child_environment(SAGEMAKER_BASE_DIR=str(job.base), SM_HP_SERVING=json.dumps(SERVING)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((job.root / "report/rehearsal.json").read_text())
    answers = report["answers"]
    assert report["verdict"] == "different"
    assert (answers["rows"], report["captures"]["replayed"]) == (300, 300)
    assert report["message"].startswith(
        f"300 rows of production's traffic: {answers['different']} ({answers['share']:.2%}; "
    )
    assert done.stdout.splitlines()[-1] == report["message"]
    low, high = answers["interval"]
    assert 0 < low < answers["share"] < high < 1
    assert sum(flow["rows"] for flow in answers["flows"]) == answers["different"] > 0
    assert {(f["champion"], f["candidate"]) for f in answers["flows"]} <= {("a", "b"), ("b", "a")}
    assert report["candidate"]["training_job"] == JOB_NAME
    for heading in ("what became what", "answered differently most often", "Load at the recorded"):
        assert heading in job.page


def test_the_differing_answers_are_those_of_the_predictors(job: Rehearsal) -> None:
    job.captures(lines := requests(300))
    report = job.run()
    models = [read_model(job.root / name) for name in ("champion", "candidate")]
    body = "".join(json.loads(line)["captureData"]["endpointInput"]["data"] for line in lines)
    cells = np.array([row.split(",") for row in body.split()], np.float32)
    labels = [np.array(m.predictor.classes)[m.predictor.run(cells)[0]] for m in models]
    assert report["answers"]["different"] == (labels[0] != labels[1]).sum()
    assert [f["rows"] for f in report["answers"]["flows"] if f["champion"] == "a"] == [
        ((labels[0] == "a") & (labels[1] == "b")).sum()
    ]


def test_the_same_model_answers_the_same(tmp_path: Path, good: bytes, baseline: bytes) -> None:
    job = Rehearsal(tmp_path, champion=good, candidate=good, baseline=baseline)
    job.captures(requests(100))
    report = job.run()
    assert report["verdict"] == "same"
    assert report["message"].startswith(
        "100 rows of production's traffic: all answered as by the champion; p99 "
    )
    assert report["answers"]["interval"][0] == 0
    assert (report["answers"]["flows"], report["slices"]) == ([], [])
    assert (report["serving"], report["load"]) == (None, [])


def test_every_format_is_read_as_the_endpoint_reads_it(
    tmp_path: Path, good: bytes, baseline: bytes
) -> None:
    job = Rehearsal(tmp_path, champion=good, candidate=good, baseline=baseline)
    row = [1.0, 0.5, -0.5]
    bodies = [
        csv("1.0,0.5,-0.5\n1.0,0.5,-0.5\n"),
        as_json({"instances": [row, row]}),
        as_json({"columns": {f"feature_{n}": [row[n - 1]] for n in (1, 2, 3)}}),
        side('{"features": [1, 0.5, -0.5]}\n[1, 0.5, -0.5]\n', "application/jsonlines", "JSON"),
        side(npy([row, row]), "application/x-npy", "BASE64"),
        side(b"1.0,0.5,-0.5", "text/csv", "BASE64"),
    ]
    names = [column["name"] for column in json.loads(baseline)["columns"]]
    bodies[2] = as_json({"columns": {name: [row[at]] for at, name in enumerate(names)}})
    job.captures([capture(body, None, f"e{n}") for n, body in enumerate(bodies)])
    report = job.run()
    assert (report["captures"]["replayed"], report["captures"]["rows"]) == (6, 10)
    assert report["answers"]["rows"] == 10
    assert report["refused"]["both"] == 0


def test_requests_that_only_one_model_takes_are_counted_with_the_reason(
    tmp_path: Path, good: bytes, baseline: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wide = "".join(f"{line},1.0\n" for line in rows(100, seed=1).split())
    other = model_of(tmp_path_factory.mktemp("wide"), wide, wide)
    job = Rehearsal(tmp_path, champion=good, candidate=other, baseline=baseline)
    job.captures(
        [
            *requests(4),
            capture(csv("1,2,3\n4,5,6\n"), None),
            capture(csv("1,2,3,4\n"), None),
            capture(csv("no number\n"), None),
        ]
    )
    report = job.run()
    refused = report["refused"]
    assert report["verdict"] == "refuses"
    assert (refused["candidate"]["requests"], refused["candidate"]["rows"]) == (5, 6)
    assert refused["candidate"]["reasons"][0]["reason"].startswith(
        "row 1 has 3 columns; this model takes 4"
    )
    assert (refused["champion"]["requests"], refused["both"]) == (1, 1)
    assert "the candidate refuses 5 requests that the champion answers" in report["message"]
    assert report["answers"]["share"] is None
    assert "Requests that only one refuses" in job.page


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ('{"captureData": {"endpointInput"', "cut-off-file", "cut off in their last line"),
        ("[]\n", "not-a-capture", "not captures of eventVersion 0"),
        ('{"captureData": {}, "eventVersion": "0"}\n', "not-a-capture", "not captures"),
        (
            capture(csv("1,2,3"), None).replace('"eventVersion": "0"', '"eventVersion": "-1"')
            + "\n",
            "not-a-capture",
            "not captures of eventVersion 0",
        ),
        (capture(None, csv("a\n")) + "\n", "no-input", "captures its output only"),
        (capture(side("?", "text/csv", "BASE64"), None) + "\n", "unreadable-input", "base64"),
        (capture(side("1,2,3", "text/csv", "ZIP"), None) + "\n", "unreadable-input", "text"),
        (capture({"data": "x"}, None) + "\n", "unreadable-input", "text"),
        ("\xff\x00\n", "not-a-capture", "left out"),
    ],
)
def test_what_cannot_be_read_has_a_sentence_and_stops_nothing(
    job: Rehearsal, content: str, kind: str, said: str
) -> None:
    job.captures(requests(20))
    job.write("captures/2026/01/31/11/00-00-000-b.jsonl", content.encode("latin-1"))
    job.write("captures/2026/01/31/11/notes.txt", b"")
    report = job.run()
    assert report["captures"]["replayed"] == 20
    assert notes(report) == {kind: 1, "other-file": 1}
    (sentence,) = [note["sentence"] for note in report["notes"] if note["kind"] == kind]
    assert said in sentence
    assert sentence in job.page


def test_captures_of_which_none_can_be_read_say_so(job: Rehearsal) -> None:
    job.captures(["{}", "{}"])
    report = job.run()
    assert report == {
        "version": 1,
        "verdict": "not-rehearsed",
        "message": "not rehearsed: no captured request could be read: 2 lines of capture files are "
        "not captures of eventVersion 0; left out",
    }


def test_without_captures_or_champion_it_says_so(
    tmp_path: Path, good: bytes, baseline: bytes
) -> None:
    job = Rehearsal(tmp_path, candidate=good, baseline=baseline)
    assert job.run()["message"] == "not rehearsed: there is no approved model yet"
    job.write("champion/model.tar.gz", good)
    report = job.run()
    assert report["message"] == "not rehearsed: production has captured nothing yet"
    assert report["message"] in job.page


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("candidate/model.tar.gz", b"nothing", "input 'candidate': model.tar.gz is not a model"),
        ("candidate/second", b"", "input 'candidate' holds 2 files"),
    ],
)
def test_an_input_that_cannot_be_used_is_the_verdict(
    job: Rehearsal, name: str, content: bytes, said: str
) -> None:
    job.captures(requests(5))
    job.write(name, content)
    report = job.run()
    assert report["verdict"] == "not-rehearsed"
    assert said in report["message"]


def test_a_fault_of_the_program_is_the_verdict_and_stops_nothing(
    job: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    job.captures(requests(5))
    monkeypatch.setattr(rehearse, "_read", fail)
    assert job.run()["message"] == (
        "not rehearsed: ZeroDivisionError: a bug (the traceback is in the log)"
    )


@pytest.mark.parametrize(
    "serving",
    ["", "[]", "{}", json.dumps({**SERVING, "capture": 0}), json.dumps({**SERVING, "min": -1})],
)
def test_a_description_of_the_endpoint_that_is_none_is_named(job: Rehearsal, serving: str) -> None:
    job.captures(requests(5))
    message = job.run(serving=serving)["message"]
    assert message.startswith("not rehearsed: serving is '")
    assert "it must be a JSON object that describes the endpoint" in message


def test_without_a_baseline_the_answers_are_compared_all_the_same(
    tmp_path: Path, good: bytes, bad: bytes
) -> None:
    job = Rehearsal(tmp_path, champion=good, candidate=bad)
    job.captures(requests(50))
    assert notes(job.run()) == {"no-baseline": 1}
    job.write("baseline/baseline.json", b"{")
    report = job.run()
    assert (report["answers"]["rows"], report["columns"]) == (50, [])
    assert "the inputs are not compared with the training data" in report["notes"][0]["sentence"]


def test_the_newest_files_are_replayed_up_to_the_bounds(job: Rehearsal) -> None:
    for hour in ("08", "09", "10"):
        job.captures(requests(30), f"2026/01/31/{hour}/00-00-000-a.jsonl")
    assert job.run(Bounds(requests=40))["captures"] | {"bytes": 0} == {
        "files": 3,
        "bytes": 0,
        "requests": 90,
        "replayed": 40,
        "rows": 40,
        "first": "2026-01-31T10:00Z",
        "last": "2026-01-31T10:02Z",
        "bounded_by": "requests",
    }
    assert job.run(Bounds(file_bytes=1))["captures"]["files"] == 1
    assert "(the bound of bytes was reached)" in job.page
    found = job.run(Bounds(rows=35))["captures"]
    assert (found["replayed"], found["bounded_by"]) == (35, "rows")
    found = job.run(Bounds(seconds=0))
    assert found["message"].startswith("not rehearsed: ")


def test_the_replay_ends_with_its_time(job: Rehearsal, good: bytes) -> None:
    job.captures(lines := requests(50))
    model = read_model(job.root / "champion")
    ticks = iter(range(10**6))
    replay = rehearse.Replay(model, model, None, Bounds(seconds=100), lambda: float(next(ticks)))
    for line in lines:
        found = read_request(line.encode())
        assert isinstance(found, RecordedRequest)
        replay.add(found)
    assert replay.bounded_by == "seconds"
    assert 0 < replay.requests < replay.minutes.total() == 50


def test_a_third_of_the_jobs_time_is_the_replays_bound(job: Rehearsal) -> None:
    config = job.base / "config"
    config.mkdir()
    (config / "processingjobconfig.json").write_text(
        json.dumps({"StoppingCondition": {"MaxRuntimeInSeconds": 90}})
    )
    paths = MlPaths(job.base)
    assert rehearse._bounds(paths) == replace(Bounds(), seconds=30)


def test_inputs_beyond_the_training_data_are_shown(job: Rehearsal) -> None:
    far = [capture(csv(f"{n % 2},1.{n:02d},50\n"), None, f"e{n}") for n in range(40)]
    job.captures([*requests(100), *far])
    report = job.run()
    columns = {one["name"]: one for one in report["columns"]}
    third = list(json.loads(job.root.joinpath("baseline/baseline.json").read_text())["columns"])[2]
    assert columns[third["name"]]["outside_share"] >= 40 / 140
    assert columns[third["name"]]["traffic_psi"] > 0.2
    beyond = next(s for s in report["slices"] if s["name"].startswith(f"{third['name']} above"))
    assert beyond["traffic_share"] == pytest.approx(beyond["rows"] / 140)
    assert beyond["training_share"] == 0


def test_the_load_scales_with_the_share_that_was_captured(job: Rehearsal) -> None:
    job.captures(requests(600))
    report = job.run(serving=json.dumps(SERVING))
    one, ten = report["load"]
    # Ten captures a minute of half the requests are twenty requests a minute.
    assert one["most_requests_per_second"] == pytest.approx(20 / 60)
    assert ten["most_requests_per_second"] == pytest.approx(200 / 60)
    assert report["minutes"] == {"first": "2026-01-31T10:00Z", "requests": [10] * 60}
    assert (one["most_instances"], ten["most_instances"]) == (2, 2)
    assert one["usd_per_hour"] == pytest.approx(2 * 0.115)
    for load in (one, ten):
        for model in load["models"].values():
            assert 0 < model["p50_ms"] <= model["p99_ms"]
            assert 0 < model["busy"] < 1
    assert ten["models"]["champion"]["busy"] == pytest.approx(
        10 * one["models"]["champion"]["busy"]
    )


def test_hostile_text_is_only_text(job: Rehearsal) -> None:
    evil = "<script>alert(1)</script>"
    job.captures([*requests(20), capture(csv(f"{evil},1,2\n"), None)], f"{evil[:8]}/x/a.jsonl")
    job.write(f"captures/{evil[:8]}/{evil[:8]}.txt", b"")
    job.run()
    assert "<script" not in job.page


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], bytes]:
    """Models of a regression whose values are a multiple of the only feature."""

    def made(slope: float) -> bytes:
        lines = "".join(f"{slope * n},{n}\n" for n in range(50))
        place = tmp_path_factory.mktemp("numbers")
        return model_of(place, lines, lines, algorithm="linear-regression")

    return made


def test_values_of_a_regression_differ_from_a_hundredth_of_the_labels_range_on(
    tmp_path: Path, numbers: Callable[[float], bytes]
) -> None:
    label: dict[str, Any] = {"name": "y", "counts": None}
    label |= {"histogram": {"edges": [0.0, 25.0, 50.0, 100.0], "counts": [25, 25, 50]}}
    column: dict[str, Any] = {
        "name": "x",
        "type": "number",
        "missing": 0.0,
        "minimum": 0.0,
        "maximum": 49.0,
    }
    column |= {"mean": 24.5, "std": 14.0, "histogram": {"edges": [0.0, 49.0], "counts": [50]}}
    baseline = {"version": 1, "rows": 50, "label": label, "columns": [column]}
    job = Rehearsal(
        tmp_path,
        champion=numbers(2.0),
        candidate=numbers(2.15),
        baseline=json.dumps(baseline).encode(),
    )
    job.captures([capture(csv(f"{n}\n"), None, f"e{n}") for n in range(50)])
    answers = job.run()["answers"]
    assert answers["tolerance"] == 1.0
    # The values differ by 0.15 of the feature, by more than 1 from 7 on.
    assert (answers["rows"], answers["different"]) == (50, 43)
    assert answers["flows"][0]["champion"].startswith(("50", "from"))


def test_a_number_instead_of_a_class_is_not_compared(
    tmp_path: Path, good: bytes, numbers: Callable[[float], bytes]
) -> None:
    job = Rehearsal(tmp_path, champion=good, candidate=numbers(1.0))
    job.captures(requests(5))
    assert job.run()["message"] == (
        "not rehearsed: the candidate predicts a number, and the approved model a class"
    )


def test_categories_are_counted_by_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    def lines(seed: int) -> str:
        rng = np.random.default_rng(seed)
        made: Iterator[str] = (
            f"{'ab'[n % 2]},{rng.normal(n % 2):.3f},{rng.choice(['red', 'blue'])}"
            for n in range(120)
        )
        return "\n".join(made) + "\n"

    options = {"categorical_columns": "feature_2", "missing_values": "accept"}
    models = [
        model_of(tmp_path_factory.mktemp("categories"), lines(seed), lines(9), **options)
        for seed in (1, 2)
    ]
    column: dict[str, Any] = {"name": "feature_2", "type": "category", "missing": 0.0, "other": 0}
    column |= {"counts": {"blue": 60, "red": 60}}
    label = {"name": "label", "counts": {"a": 60, "b": 60}, "histogram": None}
    baseline = {"version": 1, "rows": 120, "label": label, "columns": [column]}
    job = Rehearsal(
        tmp_path_factory.mktemp("job"),
        champion=models[0],
        candidate=models[1],
        baseline=json.dumps(baseline).encode(),
    )
    cells = ["0.5,red", "0.5,green", "0.4,", "0.6,blue"] * 10
    job.captures([capture(csv(f"{row}\n"), None, f"e{n}") for n, row in enumerate(cells)])
    (found,) = job.run()["columns"]
    assert found["name"] == "feature_2"
    assert found["outside_share"] == 0.5
