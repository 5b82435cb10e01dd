"""Pure: a load ends after its exact number of requests, and workers' counts are merged exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.__main__ import _load
from loadtest.errors import UsageError
from loadtest.lab import LAB_TESTS
from loadtest.options import create_parser
from loadtest.payloads import Payload, rows_from
from loadtest.recorder import Recorder
from loadtest.request_quota import QuotaLease, RequestQuota
from loadtest.samples import RunRecord
from loadtest.shapes import Load
from loadtest.summary import summarize

ANSWERS = st.tuples(
    st.floats(0.001, 100_000), st.sampled_from(["right", "wrong", "HTTP 503", "HTTP 429"])
)


def _count(recorder: Recorder, answer: tuple[float, str]) -> None:
    milliseconds, kind = answer
    failed = kind.startswith("HTTP")
    if not failed:
        recorder.record_prediction(correct=kind == "right")
    recorder.record(milliseconds, exception=kind if failed else None)


@given(st.lists(st.tuples(st.integers(0, 2), ANSWERS, st.booleans()), max_size=60))
def test_the_merged_counts_of_workers_equal_the_counts_of_one_process(
    events: list[tuple[int, tuple[float, str], bool]],
) -> None:
    workers, master, alone = [Recorder() for _ in range(3)], Recorder(), Recorder()
    for number, answer, report in events:
        _count(workers[number], answer)
        _count(alone, answer)
        if report:
            master.merge(json.loads(json.dumps(workers[number].take())))
    for worker in workers:
        master.merge(worker.take())
    assert alone.final() == master.final()
    ticks = alone.tick(), master.tick()
    assert all(tick.pop("rps") >= 0 for tick in ticks)  # each for its own interval
    assert ticks[0] == ticks[1]


def test_the_remainder_of_a_load_is_merged_into_the_last_interval() -> None:
    recorder = Recorder()
    for milliseconds in (10.0, 20.0, 30.0, 40.0):
        _count(recorder, (milliseconds, "right"))
        recorder.tick()
    _count(recorder, (50.0, "right"))
    rest = recorder.tick(remainder=True)
    assert (5, 30.0, 50.0) == (rest["requests"], rest["p50_ms"], rest["p99_ms"])
    _count(recorder, (60.0, "right"))
    # A regular interval drops the oldest one, which holds 10 ms here, from the window.
    assert 40.0 == recorder.tick()["p50_ms"]


def test_a_worker_reports_no_count_twice() -> None:
    worker, master = Recorder(), Recorder()
    _count(worker, (10.0, "HTTP 503"))
    for _ in range(2):
        master.merge(worker.take())
    assert (1, 1, {"HTTP 503": 1}) == (master.total.count, master.failures, master.errors)


def test_the_first_of_very_many_errors_are_listed_and_all_are_counted() -> None:
    worker, master = Recorder(), Recorder()
    for number in range(50):
        _count(worker, (1.0, f"HTTP {number}"))
    master.merge(worker.take())
    assert (50, 30) == (sum(master.errors.values()), master.errors["other errors"])


@given(st.integers(1, 5000), st.integers(1, 16))
def test_a_quota_grants_every_request_once(requests: int, workers: int) -> None:
    quota = RequestQuota(requests)
    grants = []
    while granted := quota.grant(workers):
        grants.append(granted)
    assert requests == sum(grants)
    assert sorted(grants, reverse=True) == grants
    assert len(grants) <= 12 * workers * 4
    assert 0 == quota.grant(workers)


@given(st.integers(1, 100), st.integers(1, 4), st.integers(0, 2**32))
def test_workers_send_exactly_the_quota_and_detect_when_all_is_answered(
    requests: int, workers: int, seed: int
) -> None:
    random, quota, sent, answered = Random(seed), RequestQuota(requests), 0, 0
    leases = [QuotaLease(0, renewable=True) for _ in range(workers)]
    for _ in range(100 * (requests + workers)):
        lease = random.choice(leases)
        if lease.low:
            lease.renew(quota.grant(workers))
        if lease.take():
            sent += 1
        elif lease.in_flight:
            abandoned = random.random() < 0.1
            lease.finish(answered=not abandoned)
            sent -= abandoned
            answered += not abandoned
        if all(one.completed for one in leases):
            break
    assert (requests, requests) == (sent, answered)


def test_an_unlimited_lease_is_never_exhausted() -> None:
    lease = QuotaLease(None)
    assert lease.take()
    lease.finish(answered=True)
    assert not lease.exhausted
    assert not lease.low


@given(st.integers(1, 20), st.integers(1, 16))
def test_each_worker_sends_all_rows_and_starts_at_a_different_one(rows: int, workers: int) -> None:
    payloads = [Payload(str(row).encode(), "") for row in range(rows)]
    turns = [list(islice(rows_from(payloads, n, workers), rows)) for n in range(workers)]
    assert all(set(payloads) == set(turn) for turn in turns)
    firsts = {turn[0] for turn in turns}
    assert min(rows, workers) == len(firsts)


def _given(*options: str) -> Load:
    return _load(create_parser().parse_args(["run", "--endpoint", "e", "--dataset", "d", *options]))


def test_options_override_the_values_of_the_labs_tests() -> None:
    assert Load("constant", 10, 10, 600, 1000) == _given("--test", "small")
    assert Load("constant", 100, 20, 1800, 10_000) == _given("--test", "large")
    assert Load("constant", 150, 20, 3600, None) == _given("--test", "endless")
    more = ("--users", "4", "--workers", "2", "--duration", "1m", "--shape", "ramp")
    assert Load("ramp", 4, 10, 60, 1000, 2) == _given("--test", "small", *more)
    assert {"small", "large", "endless"} == set(LAB_TESTS)


def test_the_default_duration_is_longer_for_a_number_of_requests() -> None:
    assert Load("constant", 16, 8, 30) == _given()
    assert Load("constant", 16, 8, 600, 50) == _given("--requests", "50")
    assert Load("constant", 16, 8, 5, 50) == _given("--requests", "50", "--duration", "5s")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--requests", "0"), "--requests is 0; it must be from 1 to 10000000"),
        (("--workers", "0"), "--workers is 0; it must be from 1 to 16"),
        (("--workers", "17", "--users", "99"), "--workers is 17; it must be from 1 to 16"),
        (
            ("--workers", "4", "--users", "3"),
            "--workers is 4 for 3 users; each worker needs a user",
        ),
    ],
)
def test_an_invalid_load_is_refused(options: tuple[str, ...], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        _given(*options)


def test_a_run_with_fewer_requests_than_required_fails() -> None:
    record = RunRecord("e", "r", "u", "constant", 4, 10, "d", "2026", requests=999, answers=999)
    assert summarize(record, []).passed
    short = summarize(replace(record, requests_wanted=1000), [])
    assert [("1,000", "999", False)] == [
        (verdict.target, verdict.actual, verdict.met)
        for verdict in short.verdicts
        if verdict.name == "requests"
    ]
    assert summarize(replace(record, requests_wanted=999), []).passed
    assert not summarize(replace(record, cut_short="worker 1 of 2 exited"), []).passed
