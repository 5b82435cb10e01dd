"""The stress test's command against a small server on a real socket."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.samples import AlarmState, RunRecord, read_samples
from tests.unit.loadtest.local_endpoint import HIGH, LOW, TARGET_VALUE, LocalEndpoint

ROOT = Path(__file__).resolve().parents[3]
ROWS = {"1,2": "small", "8,9": "big", "9,9": "big, really"}
DATASET_CSV = 'small,1,2\nbig,8,9\n"big, really",9,9\n'


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "sizes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", DATASET_CSV)
        archive.writestr("validation.csv", DATASET_CSV)
    return path


def right(body: str, _: int) -> tuple[int, str]:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([ROWS[body.strip()]])
    return 200, out.getvalue()


def environment(url: str | None = None, **extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    # Ignore this machine's AWS settings and its metadata service.
    nowhere = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    address = {"AWS_ENDPOINT_URL": url} if url is not None else {}
    return kept | credentials | nowhere | address | extra


def command(
    *options: str, url: str | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest", *options],
        cwd=ROOT,
        env=environment(url, **extra),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def load(
    endpoint: LocalEndpoint, dataset: Path, out: Path, *options: str, **extra: str
) -> subprocess.CompletedProcess[str]:
    named = ("--endpoint", "iris", "--dataset", str(dataset), "--out", str(out))
    return command("run", *named, *options, url=endpoint.url, **extra)


@pytest.fixture(scope="module")
def finished(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path, LocalEndpoint]:
    out = tmp_path_factory.mktemp("finished")
    with LocalEndpoint(right) as endpoint:
        options = ("--users", "2", "--spawn-rate", "4", "--duration", "3s", "--watch", "1s")
        done = load(endpoint, dataset, out, "--think", "0.01", *options)
    return done, out, endpoint


Finished = tuple[subprocess.CompletedProcess[str], Path, LocalEndpoint]


def test_a_healthy_endpoint_passes_with_every_request_signed(finished: Finished) -> None:
    done, out, endpoint = finished
    assert done.returncode == 0, done.stdout + done.stderr
    record = RunRecord.from_json((out / "run.json").read_text())
    assert record.requests > 50
    assert (record.failures, record.errors) == (0, {})
    assert (record.answers, record.correct) == (record.requests, record.requests)
    assert endpoint.bad_signatures == []
    assert record.delay_p99_ms is not None
    assert "generator's delay" in done.stdout


def test_samples_activities_and_alarms_share_one_time_axis(finished: Finished) -> None:
    _, out, _ = finished
    with (out / "samples.jsonl").open() as lines:
        samples = read_samples(lines)
    assert (samples[0].current_instances, samples[0].desired_instances) == (2, 5)
    assert samples[-1].current_instances == 5
    assert 3.5 < samples[-1].t < 6
    assert samples[-1].users == 0
    assert max(sample.users for sample in samples) == 2
    record = RunRecord.from_json((out / "run.json").read_text())
    assert (record.clock_speed, record.target_value) == (60.0, TARGET_VALUE)
    (activity,) = record.activities
    # In real time, the activity starts a second after the first request and takes half a second.
    assert 0.2 < activity.start < 2
    assert activity.end is not None
    assert activity.end - activity.start == pytest.approx(0.5, abs=0.05)
    assert [point.value for point in record.invocations_per_instance] == [400.0, 500.0]
    high, low = record.alarms
    assert (high.name, high.condition) == (HIGH, "> 500 for 3 min")
    assert [(state.state, state.reason) for state in high.states] == [
        ("OK", ""),
        ("ALARM", "3 datapoints"),
    ]
    assert high.states[1].start == pytest.approx(activity.start, abs=0.05)
    assert (low.name, low.states) == (LOW, [AlarmState(0.0, "OK", "")])


def test_the_report_is_one_file_with_the_figures_the_plot_and_the_cause(finished: Finished) -> None:
    done, out, _ = finished
    html = (out / "report.html").read_text()
    assert "AlarmHigh in state ALARM" in html
    assert re.search(r"high alarm</span> &gt; 500 for 3 min", html)
    assert "3 datapoints" in html
    assert 'src="data:image/png;base64,' in html
    assert not re.search(r'src="(?!data:)', html)
    # Its links are to the files beside it.
    links = {*re.findall(r'href="([^"]*)"', html)}
    assert links == {"overview.png", "samples.jsonl", "run.json", "summary.json"}
    assert all((out / link).is_file() for link in links)
    assert "python -m loadtest run --endpoint" in html
    for name in ("overview.png", "requests.png", "latency.png", "scaling.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["passed"] is True
    assert summary["accuracy"] == 1.0
    assert (summary["instances_min"], summary["instances_max"]) == (2, 5)
    assert 1 < summary["first_scale_out_seconds"] < 4
    assert "report: " in done.stdout


def test_a_pipe_gets_a_line_every_two_seconds(finished: Finished) -> None:
    done, _, _ = finished
    lines = re.findall(r"^ +\d+\.\d s  users .*requests/s .*p99.*instances .*$", done.stdout, re.M)
    assert 2 <= len(lines) <= 4
    assert "instances 2 → 5" in lines[0]
    assert "\x1b" not in done.stdout


def test_the_report_can_be_written_again(finished: Finished) -> None:
    _, out, _ = finished
    (out / "report.html").unlink()
    done = command("report", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()


def test_failures_wrong_labels_and_missing_services_are_in_the_report(
    dataset: Path, tmp_path: Path
) -> None:
    def sick(body: str, number: int) -> tuple[int, str]:
        # With four kinds of response and three rows, every combination occurs.
        if number % 4 == 0:
            return 503, '{"message": "no healthy instance"}'
        return (200, "small\nbig\n") if number % 4 == 1 else (200, "small\n")

    with LocalEndpoint(sick, scaling=False, speed=None) as endpoint:
        options = ("--users", "2", "--duration", "1s", "--think", "0.02", "--shape", "spike")
        done = load(endpoint, dataset, tmp_path, *options)
    assert done.returncode == 3, done.stderr
    assert "FAILED" in done.stdout
    record = RunRecord.from_json((tmp_path / "run.json").read_text())
    assert sorted(record.errors) == [
        'HTTP 503: {"message": "no healthy instance"}',
        "not one label: small\nbig\n",
    ]
    assert 0 < record.correct < record.answers
    assert record.clock_speed == 1.0
    assert {note.partition(":")[0] for note in record.notes} >= {
        "DescribeScalingActivities",
        "DescribeScalingPolicies",
        "GetMetricStatistics",
    }
    assert "no healthy instance" in (tmp_path / "report.html").read_text()


def test_an_unknown_endpoint_is_refused_with_the_known_ones(dataset: Path, tmp_path: Path) -> None:
    with LocalEndpoint(right) as endpoint:
        options = ("--endpoint", "irs", "--dataset", str(dataset), "--out", str(tmp_path))
        done = command("run", *options, url=endpoint.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no endpoint 'irs'; the endpoints are: iris\n"


USAGE_ERRORS: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no dataset": (lambda _: ["--dataset", "nowhere.zip"], "there is no file nowhere.zip"),
    "bounds": (
        lambda zip_: ["--dataset", str(zip_), "--users", "0", "--duration", "2h"],
        "'2h' is not a duration; write it as 30s, 2m or 1m30s",
    ),
    "not a zip": (lambda _: ["--dataset", "pyproject.toml"], "is not a readable dataset zip"),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_a_usage_error_is_reported_in_one_line(case: str, dataset: Path) -> None:
    options, message = USAGE_ERRORS[case]
    done = command("run", "--endpoint", "iris", *options(dataset), url="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    done = command("report", str(tmp_path))
    assert done.returncode == 1
    assert "holds no finished run" in done.stderr
