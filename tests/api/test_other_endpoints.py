"""The API tier against an endpoint that serves nothing: skipped by the operation's name."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cloud import ROOT

pytestmark = pytest.mark.emulator_only

BODY = (
    b"<ErrorResponse><Error><Code>InternalFailure</Code>"
    b"<Message>not yet implemented or pro feature</Message></Error></ErrorResponse>"
)


class NothingServed(BaseHTTPRequestHandler):
    """Answers 501 to everything, as LocalStack does for what its edition lacks."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(501)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_GET(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def nothing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NothingServed)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_pytest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("AWS_ENDPOINT_URL",)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_what_an_endpoint_does_not_serve_is_skipped_with_its_name(nothing: str) -> None:
    tests = ("tests/api/test_codepipeline.py", "tests/api/test_cloudformation.py")
    answer = run_pytest(*tests, LOCALSTACK_HOST=nothing)
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert f"CreateStack is not served by http://{nothing}" in answer.stdout
    assert f"CreateBucket is not served by http://{nothing}" in answer.stdout
    assert "failed" not in answer.stdout
