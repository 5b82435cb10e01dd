"""The monitor over the directories of processing jobs, run after run, and over bad input."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model import lines, monitor
from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline
from model.monitor_report import MESSAGE_CHARACTERS
from tests.unit.model.container import child_environment
from tests.unit.model.monitoring import (
    EDGES,
    PLACE,
    Job,
    as_json,
    capture,
    csv,
    notes,
    sentence,
    side,
    stable_lines,
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_traffic_like_the_training_rows_is_stable(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(1000))
    report = job.run()
    assert report["verdict"] == "stable"
    assert job.message == "stable (1000 rows in 1000 captures)"
    assert [column["verdict"] for column in report["columns"]] == ["stable", "stable"]
    assert report["predictions"]["verdict"] == "stable"
    assert report["sources"] == ["shop/AllTraffic"]
    assert report["hours"] == {"first": "2026/01/31/10", "last": "2026/01/31/10"}
    size, site = report["columns"]
    assert size["observed"] == [100] * 10
    assert site["observed"] == [600, 400, 0]
    assert report["predictions"]["observed"] == [500, 500, 0]


def test_shifted_traffic_drifts_and_the_exit_code_is_0(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(1000, shift=4.0))
    report = job.run(0)
    assert report["verdict"] == "drift"
    size, site = report["columns"]
    assert (size["verdict"], site["verdict"]) == ("drift", "stable")
    assert size["out_of_range"] == {"rows": 400, "share": 0.4}
    assert size["wasserstein"] == pytest.approx(4 / 2.9, abs=0.01)
    assert job.message.startswith("drift: 'size' 40.0% out of the training range")
    assert len(job.message) <= MESSAGE_CHARACTERS


def test_the_metrics_are_parameters_of_put_metric_data(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(1000, shift=4.0))
    job.run()
    document = json.loads((job.root / "report/metrics.json").read_text())
    assert document["Namespace"] == "MlopsLab/Monitor"
    where = [{"Name": "Endpoint", "Value": "shop"}, {"Name": "Variant", "Value": "AllTraffic"}]
    by_name = {
        (metric["MetricName"], len(metric["Dimensions"])): metric
        for metric in document["MetricData"]
    }
    assert by_name["Drift", 2] == {
        "MetricName": "Drift",
        "Value": 1.0,
        "Unit": "Count",
        "Dimensions": where,
    }
    assert by_name["Rows", 2]["Value"] == 1000
    assert by_name["DriftedColumns", 2]["Value"] == 1
    assert by_name["MissingShare", 3]["Dimensions"] == [*where, {"Name": "Column", "Value": "site"}]


def test_a_capture_file_is_counted_once(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(200))
    assert job.run()["rows"] == 200
    report = job.run()
    assert (report["verdict"], report["rows"], report["run"]) == ("no-captures", 0, 2)
    job.captures(f"{PLACE}/00-02.jsonl", stable_lines(300))
    assert job.run()["rows"] == 300


def test_the_state_of_the_run_before_is_an_input_of_its_own(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(200))
    job.run()
    (job.root / "state").rename(job.root / "previous")
    job.captures(f"{PLACE}/00-02.jsonl", stable_lines(300))
    report = job.run()
    assert (report["rows"], report["run"], job.state["runs"]) == (300, 2, 2)


def test_the_place_of_the_input_does_not_make_a_file_another_one(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(200))
    job.run()
    (job.root / "captures/shop").rename(job.root / "captures/elsewhere")
    assert job.run()["rows"] == 0


def test_a_file_that_changed_is_not_counted_again(job: Job) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(200))
    job.run()
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(201))
    report = job.run()
    assert report["rows"] == 0
    assert notes(report) == {"changed-file": 1}


def test_the_state_forgets_old_hours_and_refuses_their_late_files(job: Job) -> None:
    for day in range(1, 9):
        job.captures(f"shop/AllTraffic/2026/01/{day:02}/10/00-01.jsonl", stable_lines(10))
        job.run()
    assert sorted(job.state["hours"]) == ["2026/01/07/10", "2026/01/08/10"]
    assert job.state["watermark"] == "2026/01/06/11"
    report = job.run()
    assert report["rows"] == 0
    assert notes(report) == {"late-file": 6}
    assert "of hours before the 48 that are remembered; they were counted before" in sentence(
        report, "late-file"
    )


def test_a_file_without_an_hour_is_counted_once_too(job: Job) -> None:
    job.captures("part.jsonl", stable_lines(200))
    job.captures("2026/99/01/00/part.jsonl", stable_lines(200))
    assert job.run()["rows"] == 400
    assert job.run()["rows"] == 0


def test_files_without_an_hour_are_remembered_up_to_a_limit(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.monitor_state.MOST_FILES_WITHOUT_HOUR", 2)
    for number in range(4):
        job.captures(f"part-{number}.jsonl", stable_lines(10))
    report = job.run()
    assert (report["rows"], notes(report)) == (20, {"too-many-files": 2})
    assert notes(job.run()) == {"too-many-files": 2}


def test_a_run_that_fails_leaves_everything_to_the_next_one(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.captures(f"{PLACE}/00-01.jsonl", stable_lines(200))
    with monkeypatch.context() as patch:
        patch.setattr(monitor, "join_labels", lambda *given, **named: 1 / 0)
        assert monitor.run({"SAGEMAKER_BASE_DIR": str(job.base)}) == 1
    assert "ZeroDivisionError" in job.message
    assert not (job.root / "state").exists()
    assert job.run()["rows"] == 200


def test_without_captures_the_report_says_so(job: Job) -> None:
    report = job.run()
    assert report["verdict"] == "no-captures"
    assert job.message == "no-captures (0 rows in 0 captures)"
    assert "no-captures" in job.page


def test_an_hour_without_captures_is_noted(job: Job) -> None:
    for hour in ("08", "11"):
        job.captures(f"shop/AllTraffic/2026/01/31/{hour}/00.jsonl", stable_lines(60))
    report = job.run()
    assert notes(report) == {"empty-hour": 2}
    assert "such as 2026/01/31/09" in sentence(report, "empty-hour")
    job.captures("shop/AllTraffic/2026/01/31/13/00.jsonl", stable_lines(60))
    assert "such as 2026/01/31/12" in sentence(job.run(), "empty-hour")


def test_an_empty_capture_file_is_counted(job: Job) -> None:
    job.captures(f"{PLACE}/00.jsonl", [])
    report = job.run()
    assert (report["files"], report["verdict"], notes(report)) == (1, "no-captures", {})
    assert job.run()["files"] == 0


def test_a_file_that_is_cut_off_is_counted_up_to_its_last_line(job: Job) -> None:
    text = "\n".join(stable_lines(200))
    job.write(f"captures/{PLACE}/00.jsonl", text[:-40])
    report = job.run()
    assert (report["rows"], notes(report)) == (199, {"cut-off-file": 1})
    assert "cut off in their last line" in sentence(report, "cut-off-file")
    assert PLACE in sentence(report, "cut-off-file")
    assert job.run()["rows"] == 0


def test_a_last_line_without_a_newline_is_a_capture(job: Job) -> None:
    job.write(f"captures/{PLACE}/00.jsonl", "\n".join(stable_lines(200)))
    report = job.run()
    assert (report["rows"], notes(report)) == (200, {})


def test_captures_of_an_older_schema_are_left_out_and_counted_by_width(job: Job) -> None:
    older = [capture(csv("1\n"), csv("a\n")), capture(csv("1,x,2,3\n"), csv("a\n"))]
    job.captures(f"{PLACE}/00.jsonl", [*stable_lines(200), *older, older[0]])
    report = job.run()
    assert (report["rows"], notes(report)) == (200, {"other-width": 3})
    assert sentence(report, "other-width").endswith(": 2 of 1 columns, 1 of 4 columns")


def test_json_csv_and_several_rows_are_all_counted(job: Job) -> None:
    answered = as_json({"predictions": [{"label": "a", "probabilities": {"a": 0.9, "b": 0.1}}]})
    job.captures(
        f"{PLACE}/00.jsonl",
        [
            capture(as_json({"instances": [[1, "north"]]}), answered, "event-1"),
            capture(csv("1,north\n2,south\n3,east\n"), csv("a\nb\na\n"), "event-2"),
            capture(side(b"4,south\n", "text/csv", "BASE64"), csv("b\n"), "event-3"),
        ],
    )
    report = job.run()
    assert (report["rows"], report["captures"], notes(report)) == (5, 3, {})
    assert report["columns"][0]["observed"] == [0, 2, 1, 1, 1, 0, 0, 0, 0, 0]
    assert report["columns"][1]["unknown"]["examples"] == {"east": 1}
    assert report["predictions"]["observed"] == [3, 2, 0]
    assert report["confidence"]["rows"] == 1


def test_binary_payloads_and_other_lines_are_noted(job: Job) -> None:
    job.captures(
        f"{PLACE}/00.jsonl",
        [
            capture(side(b"\x89PNG", "image/png", "BASE64"), csv("a\n")),
            "not a capture",
            *stable_lines(10),
        ],
    )
    job.write(f"captures/{PLACE}/readme.txt", "x")
    report = job.run()
    assert report["rows"] == 10
    assert notes(report) == {"unreadable-input": 1, "not-a-capture": 1, "other-file": 1}


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n" + b"b" * 30 + b"\nc\n" + b"d" * 9 + b"\n" + b"e" * 10)
    found = list(lines.read_lines(path, 10))
    assert found == [b"a\n", None, b"c\n", b"d" * 9 + b"\n", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"not-monitored: cannot read .*baseline\.json \(No such file"),
        ('{"version": 1, "rows', r"not-monitored: baseline\.json is not JSON, or is cut off"),
        ('{"version": 9}', r"has version 9; .* reads version 1"),
        ('{"version": 1, "rows": 1, "label": {"name": ""}, "columns": []}', r"has no columns"),
    ],
)
def test_without_a_baseline_nothing_is_counted_and_the_next_run_counts(
    tmp_path: Path, content: str | None, message: str
) -> None:
    job = Job(tmp_path, None)
    if content is not None:
        job.write("baseline/baseline.json", content)
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))
    report = job.run(1)
    assert report["verdict"] == "not-monitored"
    assert re.search(message, report["message"])
    assert job.message == report["message"]
    assert json.loads((job.root / "report/metrics.json").read_text())["MetricData"] == []
    assert Job(tmp_path).run()["rows"] == 200


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 2}'])
def test_a_broken_state_is_refused_and_kept(job: Job, content: str) -> None:
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))
    path = job.write("state/state.json", content)
    assert "to count all captures again" in job.run(1)["message"]
    assert path.read_text() == content


def test_a_threshold_that_is_no_number_is_refused(job: Job) -> None:
    assert "MONITOR_SHARE is 'x'" in job.run(1, MONITOR_SHARE="x")["message"]


# Labels.


def with_labels(job: Job, name: str, text: str) -> dict[str, Any]:
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))
    job.run()
    job.write(f"ground-truth/{name}", text)
    return job.run()


def labels(right: int, wrong: int) -> list[tuple[str, str]]:
    answers = [("a", "b") if number // 10 % 2 else ("b", "a") for number in range(right + wrong)]
    return [(f"event-{number}", answer[number >= right]) for number, answer in enumerate(answers)]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("part.jsonl", '{{"inferenceId": "{0}", "label": "{1}"}}'),
        ("part.jsonl", '{{"eventId": "{0}", "label": ["{1}"]}}'),
        (
            "part.jsonl",
            '{{"groundTruthData": {{"data": "{1}\\n", "encoding": "CSV"}}, '
            '"eventMetadata": {{"eventId": "{0}"}}, "eventVersion": "0"}}',
        ),
        ("2026/part.csv", "{0},{1}"),
    ],
)
def test_labels_that_arrive_later_give_the_live_accuracy(job: Job, name: str, line: str) -> None:
    head = "inferenceId,label\n" if name.endswith("csv") else ""
    text = head + "\n".join(line.format(*pair) for pair in labels(90, 60))
    report = with_labels(job, name, text)
    assert notes(report) == {}
    accuracy = report["accuracy"]
    assert (accuracy["rows"], accuracy["joined"], accuracy["value"]) == (150, 150, 0.6)
    assert accuracy["interval"] == pytest.approx([0.520, 0.675], abs=0.001)
    assert not accuracy["validation_known"]
    again = job.run()
    assert again["accuracy"]["joined"] == 0
    assert again["accuracy"]["value"] == 0.6
    assert notes(again) == {"repeated-label": 150}


def test_labels_of_unknown_ids_are_noted(job: Job) -> None:
    report = with_labels(job, "part.csv", "event-7,a\nevent-x,a\nevent-y,a\n")
    assert notes(report) == {"unknown-id": 2}
    assert "such as event-x" in sentence(report, "unknown-id")
    assert report["accuracy"]["rows"] == 1


def test_one_label_ten_thousand_times_counts_once(job: Job) -> None:
    report = with_labels(job, "part.csv", "event-7,a\n" * 10_000)
    assert notes(report) == {"repeated-label": 9_999}
    assert report["accuracy"]["rows"] == 1


def test_of_two_labels_that_differ_the_first_counts(job: Job) -> None:
    report = with_labels(job, "part.csv", "event-7,b\nevent-7,a\n")
    assert notes(report) == {"conflicting-label": 1}
    assert report["accuracy"]["value"] == 1.0


def test_lines_that_are_no_labels_are_noted(job: Job) -> None:
    report = with_labels(
        job,
        "part.jsonl",
        '{\n[]\n7\n{"eventId": "event-7"}\n{"label": "a"}\n\n{"eventId": 7, "label": "a"}\n',
    )
    assert notes(report) == {"unreadable-label": 6}


def test_the_rows_of_one_capture_have_a_label_each(job: Job) -> None:
    job.captures(f"{PLACE}/00.jsonl", [capture(csv("1,north\n2,south\n"), csv("a\nb\n"), "e")])
    job.write("ground-truth/part.jsonl", '{"eventId": "e", "label": ["a", "a"]}\n')
    report = job.run()
    assert (report["accuracy"]["rows"], report["accuracy"]["value"]) == (2, 0.5)


def tar_of(metadata: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("metadata.json")
        member.size = len(metadata)
        archive.addfile(member, io.BytesIO(metadata))
    return out.getvalue()


METADATA = json.dumps({"metrics": {"validation": {"rows": 300, "accuracy": 0.9}}}).encode()


@pytest.mark.parametrize(
    ("name", "content"), [("metadata.json", METADATA), ("model.tar.gz", tar_of(METADATA))]
)
def test_the_live_accuracy_is_compared_with_the_validations(
    job: Job, name: str, content: bytes
) -> None:
    job.write(f"model/{name}", content)
    text = "\n".join(",".join(pair) for pair in labels(90, 60))
    report = with_labels(job, "part.csv", text)
    assert report["accuracy"]["verdict"] == "drift"
    assert report["accuracy"]["validation"]["value"] == 0.9
    assert job.message.startswith("drift: accuracy 0.600 (validation: 0.900)")


@pytest.mark.parametrize("content", [b"x", tar_of(b"{"), tar_of(b"[]")])
def test_a_model_without_metadata_is_refused(job: Job, content: bytes) -> None:
    job.write("model/model.tar.gz", content)
    assert "the model has no metadata.json that can be read" in job.run(1)["message"]


def test_a_regression_is_monitored(tmp_path: Path) -> None:
    histogram = Histogram(EDGES, (100,) * 10)
    columns = (ColumnBaseline("size", 0.0, histogram, 0.0, 10.0, 5.0, 2.9),)
    job = Job(tmp_path, Baseline(1000, LabelBaseline("price", histogram=histogram), columns))
    made = [
        capture(csv(f"{n % 10 + 0.5}\n"), csv(f"{n % 10 + 0.5}\n"), f"e-{n}") for n in range(200)
    ]
    job.captures(f"{PLACE}/00.jsonl", made)
    lines = "".join(f"e-{n},{n % 10}\n" for n in range(200))
    job.write("ground-truth/part.csv", lines + "e-1,dear\n")
    report = job.run()
    assert report["verdict"] == "stable"
    assert report["predictions"]["observed"] == [20] * 10
    assert (report["accuracy"]["metric"], report["accuracy"]["value"]) == ("mae", 0.5)
    assert notes(report) == {"unreadable-label": 1}


def test_confidence_is_compared_with_the_first_run_that_had_enough(job: Job) -> None:
    for run, share in enumerate((0.95, 0.95, 0.55)):
        answered = csv(f"{share},{1 - share:.2f}\n")
        made = [capture(csv("1,north\n"), answered, f"e-{run}-{n}") for n in range(200)]
        job.captures(f"{PLACE}/{run}.jsonl", made)
        report = job.run()
        assert report["confidence"]["rows"] == 200
        assert report["confidence"]["verdict"] == ("stable", "stable", "drift")[run]


# Hostile text.


def test_hostile_text_is_only_text(job: Job) -> None:
    evil = "<script>alert(1)</script>\x1b[31m\n"
    column = ColumnBaseline(evil, 0.0, counts={"</title><img src=x>": 9}, other=1)
    baseline = Baseline(10, LabelBaseline("l", {evil: 1}), (column,))
    job.write("baseline/baseline.json", json.dumps(baseline.as_json()))
    made = [capture(as_json([["<b onload=x>"]]), csv("<i>\n"), f"<u>{n}") for n in range(200)]
    job.captures("<s>/v/2026/01/31/10/<a>.jsonl", [*made, "{"])
    job.write("ground-truth/l.csv", "<p>,a\n")
    job.run()
    page = job.page
    for tag in ("script", "img", "b ", "i>", "u>", "s>", "a>", "p>c"):
        assert f"<{tag}" not in page.replace("<p>drift", "")
    assert "default-src 'none'" in page
    assert job.message.isprintable()
    metrics = json.loads((job.root / "report/metrics.json").read_text())
    values = [d["Value"] for m in metrics["MetricData"] for d in m["Dimensions"]]
    assert all(value.isascii() for value in values)


def test_the_page_draws_each_column(job: Job) -> None:
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))
    job.run()
    assert job.page.count("<svg") == 3
    assert "http" not in job.page.replace("http-equiv", "")


# Several instances.


def shard(base: Path, number: int, of: int, files: dict[str, list[str]]) -> Job:
    one = Job(base / f"algo-{number}")
    hosts = [f"algo-{n}" for n in range(1, of + 1)]
    config = one.base / "config" / "resourceconfig.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"current_host": f"algo-{number}", "hosts": hosts}))
    for name, made in files.items():
        one.captures(name, made)
    return one


FILES = {
    f"shop/AllTraffic/2026/01/31/{10 + number // 4}/{number}.jsonl": stable_lines(
        97, first=97 * number, shift=number / 3
    )
    + ["cut"] * (number == 5)
    for number in range(8)
}


def run_shards(base: Path) -> list[Path]:
    made = []
    for number in range(1, 5):
        mine = {name: FILES[name] for at, name in enumerate(FILES) if at % 4 == number - 1}
        one = shard(base, number, 4, mine)
        assert monitor.run({"SAGEMAKER_BASE_DIR": str(one.base)}) == 0
        assert "partial: 19" in one.message
        assert not (one.root / "report").exists()
        assert not (one.root / "state").exists()
        made.append(one.root / f"partial/algo-{number}.json")
    return made


def merging(base: Path, partials: list[Path]) -> Job:
    job = Job(base / "merge")
    for path in partials:
        job.write(f"partials/{path.name}", path.read_bytes())
    job.write("ground-truth/l.csv", "event-1,a\nevent-2,b\n")
    return job


def test_four_instances_give_the_same_report_and_state_as_one(tmp_path: Path) -> None:
    job = merging(tmp_path, run_shards(tmp_path))
    alone = Job(tmp_path / "alone")
    for name, made in FILES.items():
        alone.captures(name, made)
    alone.write("ground-truth/l.csv", "event-1,a\nevent-2,b\n")
    assert job.run() == alone.run()
    assert job.state == alone.state
    assert job.report["rows"] == 97 * 8
    assert notes(job.report) == {"not-a-capture": 1}


def test_partials_are_merged_once(tmp_path: Path) -> None:
    job = merging(tmp_path, run_shards(tmp_path))
    job.run()
    assert "its captures were counted already" in job.run(1)["message"]
    assert job.state["runs"] == 1


def change(path: Path, **members: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda paths: paths[1].write_text(paths[1].read_text()[:-99]), "algo-2.json is cut off"),
        (lambda paths: paths.pop(), "the partials of algo-4 are missing"),
        (lambda paths: change(paths[0], baseline="x"), "compared with another baseline"),
        (lambda paths: change(paths[0], version=2), "is not a partial of this monitor"),
        (lambda paths: change(paths[0], host="algo-2"), "instance algo-2 is there twice"),
    ],
)
def test_a_partial_that_does_not_fit_is_refused(
    tmp_path: Path, break_it: Callable[[list[Path]], object], message: str
) -> None:
    paths = run_shards(tmp_path)
    break_it(paths)
    job = merging(tmp_path, paths)
    assert message in job.run(1)["message"]
    assert not (job.root / "state").exists()


def test_several_instances_cannot_merge(tmp_path: Path) -> None:
    one = shard(tmp_path, 1, 2, {})
    one.write("partials/algo-1.json", "{}")
    assert "set InstanceCount 1" in one.run(1)["message"]


# The process.


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_process_monitors_in_bounded_memory(program: Path, tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.captures(f"{PLACE}/00.jsonl", stable_lines(3000))
    # Not ru_maxrss, which begins with the size of the process that starts this one.
    code = (
        "import pathlib, runpy, sys; sys.argv = ['model', 'monitor']\n"
        "try: runpy.run_module('model', run_name='__main__')\n"
        "finally: print(pathlib.Path('/proc/self/status').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=program,
        env=child_environment(SAGEMAKER_BASE_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert job.message in done.stdout
    assert job.report["rows"] == 3000
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", done.stdout, re.MULTILINE)
    assert peak is not None
    assert int(peak[1]) <= 300 << 10


def test_the_process_says_why_it_could_not_look(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model", "monitor"],
        cwd=program,
        env=child_environment(SAGEMAKER_BASE_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert Job(tmp_path, None).message.startswith("not-monitored: cannot read ")


def test_a_file_that_cannot_be_read_is_left_to_the_next_run(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))

    def refused(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(monitor, "read_lines", refused)
        assert notes(job.run()) == {"unreadable-file": 1}
    assert job.run()["rows"] == 200


def test_a_file_whose_end_cannot_be_read_stops_the_run(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.captures(f"{PLACE}/00.jsonl", stable_lines(200))

    def broken(path: Path) -> Any:
        yield from stable_lines(1)[0].encode().splitlines()
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(monitor, "read_lines", broken)
        assert "to its end (Input/output error)" in job.run(1)["message"]
    assert job.run()["rows"] == 200
