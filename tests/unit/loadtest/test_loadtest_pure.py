from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtest.cloud_clock import CloudClock, read_clock
from loadtest.errors import UsageError
from loadtest.histogram import Histogram
from loadtest.objectives import Objectives
from loadtest.payloads import Payload, label_variance, parse_label, read_payloads
from loadtest.report import figures
from loadtest.samples import (
    MetricPoint,
    RunRecord,
    Sample,
    ScalingActivity,
    read_samples,
    sample_to_line,
)
from loadtest.scaling_explanation import explain
from loadtest.shapes import SHAPES, Load, parse_duration
from loadtest.signing import MOST_KEPT, Signer, invocations_path
from loadtest.summary import first_scale_out, instances_text, summarize
from loadtest.terminal_display import TableDisplay, format_line, sparkline

RECORD = RunRecord("e", "us-east-1", "http://x", "constant", 4, 10, "d.zip", "2026-01-01T00:00:00Z")
LATENCIES = st.floats(0.001, 100_000)
COUNTS = st.none() | st.integers(0, 10)
SAMPLES = st.builds(
    Sample,
    t=st.floats(0, 100),
    users=st.integers(0, 10),
    requests=st.integers(0, 10),
    failures=st.integers(0, 10),
    rps=st.floats(0, 1e4),
    p50_ms=st.none() | LATENCIES,
    current_instances=COUNTS,
    desired_instances=COUNTS,
)


@given(
    st.sampled_from(sorted(SHAPES)),
    st.integers(1, 1000),
    st.floats(1, 3600),
    st.lists(st.floats(0, 1), max_size=20),
)
def test_a_shape_stays_between_one_user_and_the_peak_and_reaches_it(
    shape: str, users: int, duration: float, moments: list[float]
) -> None:
    load = Load(shape, users, 8, duration)
    levels = [load.users_at(share * duration * 0.999) for share in [*moments, 0.5, 0.9]]
    assert all(level is not None and 1 <= level <= users for level in levels)
    assert users in levels
    assert load.users_at(duration) is None


@given(st.lists(st.floats(0, 0.999), min_size=2, max_size=10).map(sorted))
def test_ramps_and_steps_never_fall(moments: list[float]) -> None:
    for shape in ("ramp", "step"):
        load = Load(shape, 40, 8, 100)
        levels = [load.users_at(share * 100) or 0 for share in moments]
        assert levels == sorted(levels)


def test_a_spike_is_high_only_in_the_middle() -> None:
    load = Load("spike", 20, 8, 10)
    assert [load.users_at(second) for second in (0, 2.9, 3, 6.9, 7, 9)] == [2, 2, 20, 20, 2, 2]


def test_an_invalid_load_is_refused_with_every_problem() -> None:
    with pytest.raises(UsageError, match=r"--shape is 'tide'.*--users is 0.*--spawn.*--duration"):
        Load("tide", 0, 0, 0.5)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1m30s", 90), ("45", 45), ("0.5s", 0.5)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1h", "-3s", "m", "1d", "three"])
def test_a_string_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(text)


@given(st.lists(LATENCIES, min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_within_half_a_percent_of_the_exact_one(
    values: list[float], share: float
) -> None:
    exact = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    assert Histogram(values).percentile(share) == pytest.approx(exact, rel=0.0051)


@given(st.lists(LATENCIES), st.lists(LATENCIES))
def test_merged_histograms_are_the_histogram_of_all(one: list[float], two: list[float]) -> None:
    merged = Histogram(one)
    merged.merge(Histogram(two))
    both = Histogram(one + two)
    assert (merged.count, merged.max_ms) == (both.count, both.max_ms)
    assert merged.percentile(0.9) == both.percentile(0.9)


def test_an_empty_histogram_has_no_percentile() -> None:
    assert Histogram().percentile(0.5) is None


@given(st.floats(-1000, 1000), st.floats(1, 3600))
def test_cloud_time_converts_to_real_time_and_back(offset: float, speed: float) -> None:
    clock = CloudClock(1_800_000_000.0, speed)
    assert clock.offset(clock.at(offset)) == pytest.approx(offset, abs=1e-4)


def test_a_minute_of_the_cloud_is_a_second_at_speed_60() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = CloudClock(start.timestamp(), 60.0)
    assert clock.offset(start + timedelta(minutes=3)) == 3.0


def test_without_a_local_cloud_the_clock_is_real_time() -> None:
    assert read_clock(None).speed == 1.0
    assert read_clock("http://127.0.0.1:9").speed == 1.0


@given(st.lists(SAMPLES, max_size=6))
def test_samples_are_read_as_they_were_written(samples: list[Sample]) -> None:
    assert read_samples(map(sample_to_line, samples)) == samples


def test_an_incomplete_line_is_ignored() -> None:
    whole = sample_to_line(Sample(1.0, 2, 3, 0, 4.0))
    assert len(read_samples([whole, whole[:20]])) == 1


def test_a_record_is_read_as_it_was_written() -> None:
    record = RunRecord(
        "e", "us-east-1", "u", "ramp", 4, 10, "d", "2026", 60.0,
        activities=[ScalingActivity(1, None, "InProgress", "d", "c")],
        invocations_per_instance=[MetricPoint(0, 1, 2)],
    )  # fmt: skip
    assert RunRecord.from_json(record.to_json()) == record
    with pytest.raises(ValueError, match="missing"):
        RunRecord.from_json("{}")


@given(st.lists(SAMPLES, max_size=10))
def test_a_summary_of_any_samples_can_be_made(samples: list[Sample]) -> None:
    found = summarize(RECORD, samples)
    assert not found.passed
    if found.instances_min is not None and found.instances_max is not None:
        assert found.instances_min <= found.instances_max
    assert sparkline([sample.rps for sample in samples]).strip("▁▂▃▄▅▆▇█") == ""
    assert all("requests/s" in format_line(sample) for sample in samples)


@pytest.mark.parametrize(
    ("counts", "moment"),
    [([2, 2, 5, 8], 2), ([2, 2], None), ([], None), ([None, 2, None, 3], 3), ([5, 2, 3], 2)],
)
def test_the_first_scale_out_is_the_first_rise(
    counts: list[int | None], moment: float | None
) -> None:
    samples = [Sample(t, 1, 1, 0, 1.0, current_instances=n) for t, n in enumerate(counts)]
    assert first_scale_out(samples) == moment


@pytest.mark.parametrize(
    ("current", "desired", "text"),
    [(2, 5, "2 → 5"), (2, 2, "2"), (3, None, "3"), (None, None, "?")],
)
def test_instances_are_shown_as_a_change_while_they_change(
    current: int | None, desired: int | None, text: str
) -> None:
    sample = Sample(0, 0, 0, 0, 0, current_instances=current, desired_instances=desired)
    assert instances_text(sample) == text


def archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return out.getvalue()


def test_payloads_are_the_validation_rows_without_their_labels() -> None:
    found = read_payloads(archive({"validation.csv": '"a, b",1,2\nc,3,4\n'}), "d.zip")
    assert found == (Payload(b"1,2\n", "a, b"), Payload(b"3,4\n", "c"))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("label,a,b\nx,1,2\n", ["x"]),
        ("label,a,b\nx,1,red\n", ["x"]),
        ("x,1,2\ny,3,4\n", ["x", "y"]),
        ("x,blue\ny,red\n", ["x", "y"]),
        ("label,a\n", ["label"]),
    ],
)
def test_a_header_line_is_not_sent(text: str, labels: list[str]) -> None:
    found = read_payloads(archive({"validation.csv": text}), "d.zip")
    assert [payload.label for payload in found] == labels


VALUES = {"dataset.json": '{"regression": true}', "validation.csv": "1.5,1\n2.5,2\n"}


def test_a_regressions_rows_have_values_and_their_variance() -> None:
    found = read_payloads(archive(VALUES), "d.zip")
    assert [payload.value for payload in found] == [1.5, 2.5]
    assert label_variance(found) == 0.25
    classes = read_payloads(archive({"validation.csv": "1.5,1\n2.5,2\n"}), "d.zip")
    assert label_variance(classes) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive(VALUES | {"validation.csv": "red,1\n"}), "the label 'red' is not a number"),
        (archive(VALUES | {"dataset.json": "{"}), "not a readable dataset zip"),
        (b"", "not a readable dataset zip"),
        (archive({"train.csv": "a,1"}), r"has no validation\.csv"),
        (archive({"validation.csv": "\n"}), "has no rows"),
    ],
)
def test_a_dataset_without_rows_to_send_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_payloads(data, "d.zip")


@pytest.mark.parametrize(
    ("body", "label"),
    [("setosa\n", "setosa"), ('"a, b"\n', "a, b"), ("", None), ("a\nb\n", None), ("a,b\n", None)],
)
def test_an_answer_is_one_label_or_malformed(body: str, label: str | None) -> None:
    assert parse_label(body) == label


def test_a_signature_covers_the_body_and_is_reused() -> None:
    url = "http://127.0.0.1:4566" + invocations_path("iris model")
    signer = Signer(Credentials("test", "test", "token"), "eu-west-1", url)
    one, two = Payload(b"1,2\n", "a"), Payload(b"3,4\n", "b")
    request = signer.request(one)
    head, body = request.decode().split("\r\n\r\n")
    line, *lines = head.split("\r\n")
    headers = dict(entry.split(": ", 1) for entry in lines)
    assert line == "POST /endpoints/iris%20model/invocations HTTP/1.1"
    assert body == "1,2\n"
    assert headers["Host"] == "127.0.0.1:4566"
    assert headers["Content-Length"] == "4"
    assert headers["Content-Type"] == "text/csv"
    assert "/eu-west-1/sagemaker/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "token"
    assert signer.request(one) is request
    assert headers["Authorization"] not in signer.request(two).decode()


def test_the_signatures_of_many_requests_need_little_memory() -> None:
    signer = Signer(Credentials("test", "test"), "eu-west-1", "http://h/endpoints/e/invocations")
    first = Payload(b"first", None)
    kept = signer.request(first)
    for number in range(MOST_KEPT):
        signer.request(Payload(b"%d" % number, None))
    assert signer.request(first) is not kept


def _minutes(*values: float) -> list[MetricPoint]:
    return [MetricPoint(float(i), 1.0, value) for i, value in enumerate(values)]


def test_each_minute_explains_why_the_endpoint_did_or_did_not_scale() -> None:
    activity = ScalingActivity(2.5, 3.0, "Successful", "Setting desired instance count to 3.", "")
    record = replace(
        RECORD,
        target_value=100.0,
        min_instances=1,
        max_instances=3,
        invocations_per_instance=_minutes(150, 150, 150, 150, 95, 50),
        activities=[activity],
    )
    samples = [
        Sample(t, 1, 1, 0, 1.0, current_instances=count)
        for t, count in ((0.0, 1), (2.9, 1), (3.5, 3))
    ]
    lines = explain(record, samples)
    assert [(line.minutes, line.instances, line.text) for line in lines] == [
        (2, 1, "above 100 for 2 of 3 minutes: not long enough"),
        (1, 1, "Setting desired instance count to 3."),
        (1, 3, "above 100, but already at the maximum of 3"),
        (1, 3, "between 90 and 100: on target"),
        (1, 3, "below 90 for 1 of 15 minutes: not long enough"),
    ]
    assert [(line.start, line.end) for line in lines[:2]] == [(0, 2), (2, 3)]
    quiet = replace(record, invocations_per_instance=_minutes(*range(16)), activities=[])
    (line,) = explain(quiet, samples[:1])
    assert (line.minutes, line.lowest, line.highest) == (16, 0, 15)
    assert line.text == "below 90, but already at the minimum of 1"
    assert explain(replace(record, target_value=None), samples) == []


def test_a_run_is_judged_by_its_objectives() -> None:
    record = replace(
        RECORD,
        requests=1000,
        failures=5,
        answers=995,
        correct=900,
        p99_ms=80.0,
        load_seconds=10.0,
        objectives={"max_p99_ms": 50.0, "min_accuracy": 0.9, "max_scale_out_seconds": 5.0},
    )
    summary = summarize(record, [])
    held = {verdict.name: verdict.met for verdict in summary.verdicts}
    assert held == {
        "requests": True,
        "failures": True,
        "p99": False,
        "accuracy under load": True,
        "first scale-out": False,  # it could not be measured
    }
    assert not summary.passed
    later = replace(record, objectives={"max_p99_ms": 100.0, "of_a_later_version": 1.0})
    assert summarize(later, []).passed


def test_a_regression_is_judged_by_its_r2() -> None:
    record = replace(
        RECORD,
        requests=100,
        answers=100,
        squared_error=900.0,
        label_variance=36.0,
        objectives={"min_accuracy": 0.8},
    )
    summary = summarize(record, [])
    assert (summary.accuracy, summary.r2, summary.rmse) == (None, 0.75, 3.0)
    assert {v.name: (v.met, v.actual) for v in summary.verdicts}["R² under load"] == (
        False,
        "0.75",
    )
    shown = {figure.name: (figure.value, figure.remark) for figure in figures(summary, record)}
    assert shown["R² under load"] == ("0.750", "RMSE 3 of 100 answers")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"max_failure_share": 1.0}, "--max-failures is 1"),
        ({"min_accuracy": 1.5}, r"--min-accuracy is 1\.5"),
        ({"max_p99_ms": 0.0}, "--max-p99 is 0"),
        ({"max_scale_out_seconds": -1.0}, "--max-scale-out is -1"),
    ],
)
def test_an_objective_out_of_bounds_is_refused(given: dict[str, float], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Objectives(**given)


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (60, ["time", "users", "req/s", "p99", "failures", "instances"]),
        (100, ["time", "users", "requests/s", "p50", "p95", "p99", "failures", "instances"]),
    ],
)
def test_the_headings_of_the_live_table_are_whole(width: int, headings: list[str]) -> None:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None)
    with TableDisplay(console, "iris-model-production") as display:
        display.show(Sample(12.0, 1000, 123_456, 0, 12_345.0, 1.2, 34.5, 1234.0, 10, 10))
    lines = text.getvalue().splitlines()
    assert any(re.findall(r"[\w/]+", line) == headings for line in lines), text.getvalue()


@pytest.mark.parametrize(
    ("delay", "bad", "remark"),
    [(1.0, False, "p99, in the latencies above"), (8.0, True, "p99 of it; use more --workers")],
)
def test_the_generators_own_delay_stands_beside_the_latency(
    delay: float, bad: bool, remark: str
) -> None:
    record = replace(RECORD, requests=100, p99_ms=20.0, delay_p99_ms=delay)
    found = {figure.name: figure for figure in figures(summarize(record, []), record)}
    own = found["generator's delay"]
    assert (own.bad, own.remark) == (bad, remark)
    earlier = replace(record, delay_p99_ms=None)
    names = [figure.name for figure in figures(summarize(earlier, []), earlier)]
    assert "generator's delay" not in names
