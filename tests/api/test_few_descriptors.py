"""A local cloud that may open few files, and has all of them taken at its start."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.emulator_only
def test_descriptors_that_run_out_are_waited_for_and_end_nothing(tmp_path: Path) -> None:
    log = tmp_path / "localcloud.log"
    command = f"ulimit -n 64; exec {sys.executable} -m localcloud start --ephemeral --port 0"
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["bash", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=output, text=True
        ) as process,
    ):
        assert process.stdout is not None
        watchdog = threading.Timer(40, process.kill)  # so that a failure is seen, and no hang
        watchdog.start()
        url = process.stdout.readline().split()[-1]
        port = int(url.rpartition(":")[2])
        # More than the process may open; the kernel accepts them all.
        taken = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        s3 = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="000000000000",
            aws_secret_access_key="x",
        )

        for connection in taken:
            connection.close()
        answer = s3.list_buckets()
        process.terminate()
        assert process.wait(30) == 0
        watchdog.cancel()
    assert answer["Buckets"] == []
