"""Measures what the load generator itself can do on this machine.

A capacity near the generator's own limit is the generator's, and not the endpoint's: an endpoint
that answers 50,000 requests/s looks like one of 15,000 to a process that sends no more. So the
generator first loads a server on loopback that answers at once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.errors import GeneratorError
from loadtest.payloads import read_payloads
from loadtest.run import RunSettings, send
from loadtest.shapes import Load

# A capacity beyond this share of the generator's limit is not measured.
USABLE_SHARE = 0.6
_SECONDS = 3.0
_USERS_PER_WORKER = 16


@dataclass(frozen=True, slots=True)
class Calibration:
    """The generator's own figures on this machine.

    Attributes:
        rps: requests/s that it sends to a server that answers at once.
        p99_ms: 99th percentile of their latency, which is the generator's own.
        workers: number of its processes.
    """

    rps: float
    p99_ms: float | None
    workers: int

    @property
    def usable_rps(self) -> float:
        """Return the largest rate whose measurement says something about an endpoint."""
        return USABLE_SHARE * self.rps


def calibrate(base: RunSettings, workers: int) -> Calibration:
    """Return the generator's own figures.

    Args:
        base: the settings of the measurement; its dataset is sent.
        workers: number of processes that send requests.

    Raises:
        GeneratorError: the generator or the server failed.
    """
    users = _USERS_PER_WORKER * workers
    label = read_payloads(base.dataset.read_bytes(), base.dataset.name)[0].label
    out = base.out / "calibration"
    out.mkdir(parents=True, exist_ok=True)
    with _constant_server(label or "") as url:
        load = Load("constant", users, float(users), _SECONDS, workers=workers)
        final = send(replace(base, load=load, endpoint_url=url, out=out))
    seconds = final["load_seconds"]
    return Calibration(final["requests"] / seconds, final["p99_ms"], workers)


@contextmanager
def _constant_server(label: str) -> Iterator[str]:
    """Run a server that answers every request with a label; yield its URL."""
    root = str(Path(__file__).resolve().parent.parent)
    server = subprocess.Popen(
        [sys.executable, "-m", "loadtest.constant", label],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    )
    assert server.stdin is not None  # noqa: S101 - pipes were requested above
    assert server.stdout is not None  # noqa: S101
    try:
        port = server.stdout.readline().strip()
        if not port:
            raise GeneratorError("the server for the calibration did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()
