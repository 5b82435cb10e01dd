"""`localcloud start -d`, `wait` and `stop`: a local cloud in the background, and its log."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.core.child_process import free_port
from tests.cloud import TestCloud
from tests.command_line import refused, run

pytestmark = pytest.mark.emulator_only


@pytest.fixture
def other() -> Iterator[int]:
    """The port of a program that answers LocalStack's info route as LocalStack does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"edition": "community"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_cloud_in_the_background_is_waited_for_logs_and_is_stopped(tmp_path: Path) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    started = run("start", "-d", "--port", port, "--log-level", "debug", cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    assert started.stdout.startswith(f"localcloud is ready on {url} (process ")
    try:
        assert run("wait", "-t", "30", "--endpoint-url", url).returncode == 0
        runtime = boto3.client(
            "sagemaker-runtime",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with pytest.raises(ClientError):
            runtime.invoke_endpoint(EndpointName="none", Body=b"1")
        assert run("logs", "--endpoint-url", url).returncode == 0
    finally:
        stopped = run("stop", "--endpoint-url", url)
    assert stopped.stdout == f"Stopped the local cloud at {url}.\n"
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(port)))
    log = (tmp_path / ".localcloud.log").read_text()
    assert re.search(r"^\d\d:\d\d:\d\d logs\.DescribeLogGroups 200 \d+ ms$", log, re.M), log
    # Invocations have their lines for debugging only, since these take time.
    assert re.search(r" sagemaker-runtime\.InvokeEndpoint 400 \d+ ms$", log, re.M), log
    line = refused(run("wait", "-t", "1", "--endpoint-url", url))
    assert line.startswith(f"error: no local cloud answers at {url} after 1 s")


def test_a_taken_port_is_refused_with_who_has_it(cloud: TestCloud, other: int) -> None:
    def start(port: int | str) -> str:
        return refused(run("start", "--ephemeral", "--port", str(port)))

    ours = start(cloud.url.rpartition(":")[2])
    assert "taken by a local cloud that runs already" in ours
    assert f"(localcloud stop --endpoint-url {cloud.url} ends it)" in ours
    assert "taken by LocalStack, edition community; choose another with --port" in start(other)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert "taken by another program" in start(silent.getsockname()[1])


def test_a_cloud_that_cannot_start_in_the_background_says_why(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    line = refused(run("start", "-d", "--port", "0", "--state-dir", "state", cwd=tmp_path))
    assert line.startswith("error: the local cloud did not start: the state directory")
