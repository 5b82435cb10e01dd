"""The command line: one line for an error, no traceback, plain output when piped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud import DOCKERFILE, ROOT, TestCloud

pytestmark = pytest.mark.emulator_only


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("AWS_ENDPOINT_URL",)}
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def refused(answer: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of an error."""
    assert answer.returncode == 1, answer.stdout + answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert "Traceback" not in answer.stderr
    assert len(lines) == 1, answer.stderr
    return lines[0]


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
    assert "require --csv" in refused(run("demo", "--approve", "--categorical", "auto"))
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
