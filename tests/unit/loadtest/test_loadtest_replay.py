"""Replays: captured requests, sent again at their own times."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.replay import lines_of, read, read_captures, write
from loadtest.samples import RunRecord
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import command


def line(second: float, data: str = "1,2", **more: Any) -> str:
    """Return a line of data capture, as SageMaker writes it."""
    given = {"observedContentType": "text/csv", "mode": "INPUT", "data": data, "encoding": "CSV"}
    answer = {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "a", "encoding": "CSV"}
    minutes, milliseconds = divmod(round(1000 * second), 60_000)
    moment = f"2026-12-01T09:{minutes:02d}:{milliseconds / 1000:06.3f}Z"
    return json.dumps(
        {
            "captureData": {"endpointInput": given | more, "endpointOutput": answer},
            "eventMetadata": {"eventId": "e", "inferenceTime": moment},
            "eventVersion": "0",
        }
    )


def test_requests_keep_their_order_and_their_distances() -> None:
    binary = base64.b64encode(b"\x93NUMPY").decode()
    lines = [
        line(12),
        line(10, "3,4"),
        "",
        line(10.5, binary, encoding="BASE64", observedContentType="application/x-npy"),
    ]
    replay = read_captures(lines, 2, "here")
    assert [round(one.at, 3) for one in replay.requests] == [0, 0.25, 1]
    assert [one.payload.body for one in replay.requests] == [b"3,4", b"\x93NUMPY", b"1,2"]
    assert replay.requests[1].payload.content_type == "application/x-npy"
    assert (replay.left_out, round(replay.seconds, 2), round(replay.rate, 2)) == (0, 1.5, 2.0)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        '{"captureData": {}, "eventMetadata": {}}',
        line(1).replace("2026-12-01T09:00:01.000Z", "yesterday"),
        line(1, "not base64!", encoding="BASE64"),
        line(1).replace('"1,2"', "12"),
        line(1).replace('"1,2"', "null"),
        "[" * 50_000,
    ],
)
def test_a_line_without_a_request_is_left_out_and_counted(bad: str) -> None:
    replay = read_captures([bad, line(3)], 1, "here")
    assert (len(replay.requests), replay.left_out) == (1, 1)
    with pytest.raises(UsageError, match="here has no captured request; 1 lines are none"):
        read_captures([bad], 1, "here")


@pytest.mark.parametrize(
    ("lines", "speed", "message"),
    [
        ([], 1, "here has no captured request"),
        ([line(0)], 0, "--speed is 0; it must be above 0"),
        ([line(0)], float("nan"), "--speed is nan"),
        ([line(0), line(3500)], 0.1, "a load lasts at most 3,600 s: give --speed 1 or more"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(lines: list[str], speed: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_captures(lines, speed, "here")


def test_a_content_type_that_is_no_header_is_not_sent() -> None:
    for name in ("a\nb", "ä", "x" * 101, 5):
        replay = read_captures([line(0, observedContentType=name)], 1, "here")
        assert replay.requests[0].payload.content_type == "text/csv"


@given(st.lists(st.tuples(st.floats(0, 3000), st.text(max_size=20)), min_size=1, max_size=20))
def test_what_is_written_for_the_generator_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[float, str]]
) -> None:
    replay = read_captures([line(at, text) for at, text in given], 1, "here")
    path = tmp_path_factory.mktemp("replay") / "replay.jsonl"
    write(replay, path)
    assert tuple(read(path)) == replay.requests


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nothing"):
        list(lines_of(str(tmp_path / "nothing"), "us-east-1"))


def test_a_replay_reaches_the_endpoint_as_it_was_captured(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []

    def answer(body: str, _: int) -> tuple[int, str]:
        seen.append((time.monotonic(), body))
        return 200, '{"predictions": []}'

    captures = tmp_path / "captures.jsonl"
    captures.write_text("\n".join(line(4 * n / 10, f"{n},0") for n in range(10)))
    with LocalEndpoint(answer, scaling=False, speed=None) as endpoint:
        out = ("--out", str(tmp_path / "out"))
        options = ("--replay", str(captures), "--speed", "2", "--users", "4", "--workers", "2")
        done = command("run", "--endpoint", "iris", *options, *out, url=endpoint.url)
        # 3 if this machine was too busy to keep the schedule.
        assert done.returncode in (0, 3), done.stderr
        assert "unknown for a replay" in done.stdout
        assert "10 captured requests in 2 s, at most 4 in flight" in done.stdout
        assert endpoint.bad_signatures == []
    assert sorted(body for _, body in seen) == [f"{n},0" for n in range(10)]
    assert 1.5 < seen[-1][0] - seen[0][0]
    record = RunRecord.from_json((tmp_path / "out" / "run.json").read_text())
    assert (record.requests, record.due, record.failures) == (10, 10, 0)
    assert "captures.jsonl" in (tmp_path / "out" / "report.html").read_text()
    refused = command(
        "run", "--endpoint", "iris", *options[:2], "--rate", "5", *out, url="http://x"
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "--rate does not go with --replay" in refused.stderr
