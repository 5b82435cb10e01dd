"""The command line: one line for an error, no traceback, plain output when piped."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cloud import DOCKERFILE, ROOT, TestCloud
from tests.command_line import environment, refused, run

pytestmark = pytest.mark.emulator_only


def test_a_cloud_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    del tmp_path
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        commands = [["status"], ["evidence"], ["approve"], ["invoke", "x", "1"], ["stop"]]
        for command in (*commands, ["up", "prd"]):
            line = refused(run(*command, "--endpoint-url", url))
            assert "localcloud start" in line


def test_wrong_arguments_say_what_is_allowed(cloud: TestCloud, tmp_path: Path) -> None:
    url = ("--endpoint-url", cloud.url)
    assert "dev, prd" in refused(run("up", "staging", *url))
    assert "no Pulumi.yaml" in refused(run("up", "prd", *url, cwd=tmp_path))
    assert "0.001 to 3600" in refused(run("start", "--port", "0", "--speed", "0"))
    assert "up to 512" in refused(run("start", "--port", "0", "--payload-mib", "0"))
    assert "no Dockerfile" in refused(
        run("image", "push", str(tmp_path), "--repository", "x", *url)
    )
    assert "there is no execution x" in refused(run("evidence", "x", *url))
    assert "add --approve" in refused(run("demo"))
    assert "--csv and --label" in refused(run("demo", "--approve", "--csv", "x.csv"))
    assert "--categorical requires --csv" in refused(
        run("demo", "--approve", "--categorical", "auto")
    )
    assert "no approval" in refused(run("approve", *url))


def test_a_connection_is_authorised_by_its_arn(cloud: TestCloud) -> None:
    url = ("--endpoint-url", cloud.url)
    connections = cloud.client("codeconnections")
    arn = connections.create_connection(ProviderType="GitHub", ConnectionName="cli")[
        "ConnectionArn"
    ]
    answer = run("connection", "authorize", arn, "--repository", "acme/iris", *url)
    assert answer.stdout.splitlines() == [
        f"{arn} is AVAILABLE.",
        f"Its repositories are at {cloud.url}/_localcloud/connections/{arn[-36:]}/acme/iris",
    ]
    connections.delete_connection(ConnectionArn=arn)
    assert "there is no connection" in refused(run("connection", "authorize", arn, *url))
    assert "not the ARN of a connection" in refused(run("connection", "authorize", "cli", *url))
    wrong = ("--repository", "iris")
    assert "must be ORG/REPO" in refused(run("connection", "authorize", arn, *wrong, *url))


def test_a_taken_port_is_said_plainly(cloud: TestCloud) -> None:
    port = cloud.url.rsplit(":", 1)[1]
    assert f"port {port} on 127.0.0.1 is taken" in refused(run("start", "--port", port))


def test_pushing_to_a_repository_that_is_not_there_names_it(
    cloud: TestCloud, tmp_path: Path
) -> None:
    if not cloud.ours:
        pytest.skip("images are pushed through the local cloud's own route")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    arguments = ("image", "push", str(tmp_path), "--repository", "no-such-repository")
    line = refused(run(*arguments, "--endpoint-url", cloud.url))
    assert "no-such-repository" in line


def test_piped_output_has_no_colour(cloud: TestCloud) -> None:
    answer = run("status", "--endpoint-url", cloud.url)
    assert answer.returncode == 0
    assert "\x1b[" not in answer.stdout


def test_the_endpoint_comes_from_localstacks_variable_too(cloud: TestCloud) -> None:
    host = cloud.url.removeprefix("http://")
    assert run("status", LOCALSTACK_HOST=host).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "--port", "99999"], "--port is 99999; it must be from 1 to 65535"),
        (["start", "--port", "-1"], "--port is -1; it must be from 1 to 65535"),
        (["status", "--endpoint-url", "ftp://x"], "--endpoint-url is 'ftp://x'; it must be"),
        (["status", "--endpoint-url", "http://:1"], "--endpoint-url is 'http://:1'; it must be"),
        (["status", "--endpoint-url", "a b"], "--endpoint-url is 'a b'; it must be"),
        (["status", "--endpoint-url", "h:99999"], "--endpoint-url is 'h:99999'; it must be"),
        (["simulate"], "standard input must be a JSON object; it is not JSON"),
        (["demo", "--approve", "--drop", "id"], "--drop requires --csv"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(arguments: list[str], said: str) -> None:
    assert said in refused(run(*arguments))


def test_an_endpoint_needs_no_scheme(cloud: TestCloud) -> None:
    assert run("status", "--endpoint-url", cloud.url.removeprefix("http://")).returncode == 0


def test_a_stack_that_is_not_there_is_not_torn_down(cloud: TestCloud) -> None:
    line = refused(run("down", "prod", "--endpoint-url", cloud.url))
    assert line.endswith("and there is no Pulumi.prod.yaml; the stacks here are dev, prd")


def test_a_row_may_begin_with_a_minus_and_a_body_may_be_binary(
    cloud: TestCloud, tmp_path: Path
) -> None:
    url = ("--endpoint-url", cloud.url)
    assert "Endpoint x of account" in refused(run("invoke", "x", "-5.1,3.5", *url))
    body = tmp_path / "body"
    body.write_bytes(b"\xff\xfe1,2")
    with body.open("rb") as given:
        answer = subprocess.run(
            [sys.executable, "-m", "localcloud", "invoke", "x", *url],
            cwd=ROOT,
            env=environment(),
            stdin=given,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert "Endpoint x of account" in refused(answer)


def test_the_demo_looks_at_its_data_before_it_starts_anything(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("age;outcome\n1;a\n2;b\n")
    # The delimiter is found; that each class has a single row cannot be corrected.
    options = ("demo", "--approve", "--csv", str(table), "--label", "outcome")
    answer = run(*options, "--report-dir", str(tmp_path / "demo"))
    assert answer.returncode == 1
    assert "mine.csv has a single row of 'a', 'b'" in answer.stderr
    assert "Start the local cloud" not in answer.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["term", "hangup"])
def test_a_demo_that_is_ended_leaves_no_cloud(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "localcloud", "demo", "--approve", "--report-dir", str(tmp_path)],
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        said, url = "", ""
        while "Deploying stack prd" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
            found = re.search(r"(http://127\.0\.0\.1:\d+) answers", line)
            url = found[1] if found else url
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in rest
    assert "Stopped the local cloud and every process that it had started." in rest
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/_localstack/health", timeout=5)
