"""`localcloud logs`: time and stream of each line, parts of names, and following."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cloud import ROOT, TestCloud
from tests.command_line import environment, refused, run

pytestmark = pytest.mark.emulator_only

GROUP = "/aws/test/LogLines"


def put(cloud: TestCloud, stream: str, *messages: str, ago: float = 0) -> None:
    stamp = int((cloud.now() - ago) * 1000)
    cloud.client("logs").put_log_events(
        logGroupName=GROUP,
        logStreamName=stream,
        logEvents=[{"timestamp": stamp, "message": message} for message in messages],
    )


@pytest.fixture
def group(cloud: TestCloud) -> Iterator[str]:
    """A log group with an old and a new line in each of two streams."""
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    for stream in ("one/a", "two/b"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        put(cloud, stream, f"old [{stream}]", ago=7200)
    put(cloud, "one/a", "new one")
    put(cloud, "two/b", "new two")
    yield GROUP
    logs.delete_log_group(logGroupName=GROUP)


def messages(cloud: TestCloud, *options: str) -> list[str]:
    answer = run("logs", "loglines", *options, "--endpoint-url", cloud.url)
    assert answer.returncode == 0, answer.stderr
    return [line.split("\t")[2] for line in answer.stdout.splitlines()]


def test_a_line_has_its_time_and_stream(cloud: TestCloud, group: str) -> None:
    answer = run("logs", "test/LogLines", "--tail", "1", "--endpoint-url", cloud.url)
    when, stream, message = answer.stdout.rstrip("\n").split("\t")
    assert (stream, message) == ("two/b", "new two")
    assert len(when) == len("2026-01-01T00:00:00")
    (line,) = run("logs", group, "--tail", "1", "--json", "--endpoint-url", cloud.url).stdout.split(
        "\n"
    )[:-1]
    found = json.loads(line)
    assert (found["group"], found["stream"], found["message"]) == (group, "two/b", "new two")
    assert found["time"].startswith(when)


@pytest.mark.usefixtures("group")
def test_lines_are_selected_by_number_time_pattern_and_stream(cloud: TestCloud) -> None:
    assert messages(cloud) == ["old [one/a]", "old [two/b]", "new one", "new two"]
    assert messages(cloud, "--tail", "0") == []
    assert messages(cloud, "--tail", "2") == ["new one", "new two"]
    assert messages(cloud, "--since", "1h") == ["new one", "new two"]
    assert messages(cloud, "--filter", "old -two") == ["old [one/a]"]
    assert messages(cloud, "--stream", "two", "--since", "1h") == ["new two"]


def test_what_cannot_be_shown_is_said(cloud: TestCloud, group: str) -> None:
    url = ("--endpoint-url", cloud.url)
    none = run("logs", group, "--filter", "nothing", *url)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr.strip() == f"{group} has no such lines"
    assert "existing groups: " in refused(run("logs", "no/such", *url))
    assert run("logs", group, "--tail", "-3", *url).returncode == 2
    cloud.client("logs").create_log_group(logGroupName=f"{group}2")
    several = refused(run("logs", "loglines", *url))
    cloud.client("logs").delete_log_group(logGroupName=f"{group}2")
    assert f"several log groups: {group}, {group}2" in several


def test_following_prints_each_new_line_once(cloud: TestCloud, group: str) -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "localcloud", "logs", group, "--follow", "--tail", "1"),
            *("--endpoint-url", cloud.url),
        ],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        seen = [command.stdout.readline()]
        for number in range(3):
            put(cloud, "one/a", f"line {number}")
            seen.append(command.stdout.readline())
        command.terminate()
        rest = command.stdout.read()
    assert [line.rstrip().split("\t")[2] for line in seen] == [
        "new two",
        "line 0",
        "line 1",
        "line 2",
    ]
    assert rest == ""
