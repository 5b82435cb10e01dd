"""Requests/s of one process of the load generator, of locust's own clients, and of bare sockets.

All send the same signed requests to the same server, which answers at once, in turns: the server on
the first core, the sender on the last one. Read the ratios.

    python -m benchmarks.generator [--users 16] [--seconds 4] [--repeat 5]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.load import ROOT, pinned

_ROWS = "small,1,2\nbig,8,9\n"
_ENVIRONMENT = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

# A locust user as its documentation has it, and the least that a gevent socket can do.
_PEER = """
import sys, time
import gevent
from locust import FastHttpUser, HttpUser, constant
from locust.env import Environment
from botocore.credentials import Credentials
from loadtest.payloads import Payload
from loadtest.signing import Signer

kind, url, users, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
path = "/endpoints/iris/invocations"
payload = Payload(b"1,2\\n", "small")
signer = Signer(Credentials("test", "test"), "us-east-1", url + path)
request = signer.request(payload)
headers = dict(
    line.split(": ", 1) for line in request.split(b"\\r\\n\\r\\n")[0].decode().split("\\r\\n")[1:]
)
if kind == "sockets":
    from gevent import socket
    from urllib.parse import urlsplit
    sent = 0
    end = time.monotonic() + seconds

    def send():
        global sent
        parts = urlsplit(url)
        connected = socket.create_connection((parts.hostname, parts.port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < end:
            connected.send(request)
            assert connected.recv(65536)
            sent += 1

    began = time.monotonic()
    gevent.joinall([gevent.spawn(send) for _ in range(users)])
    print(sent / (time.monotonic() - began))
else:

    class Client({"fast": FastHttpUser, "requests": HttpUser}[kind]):
        host = url
        wait_time = constant(0)

        def invoke(self):
            with self.client.post(
                path, data=payload.body, headers=headers, name="InvokeEndpoint", catch_response=True
            ) as response:
                if response.text != "small\\n":
                    response.failure("wrong")

        tasks = [invoke]

    environment = Environment(user_classes=[Client])
    runner = environment.create_local_runner()
    runner.start(users, users)
    gevent.sleep(1)
    before, began = environment.stats.total.num_requests, time.monotonic()
    gevent.sleep(seconds)
    print((environment.stats.total.num_requests - before) / (time.monotonic() - began))
    assert environment.stats.total.num_failures == 0
"""


def _ours(url: str, users: int, seconds: float, dataset: Path) -> float:
    load = {"shape": "constant", "users": users, "spawn_rate": users, "duration_seconds": seconds}
    settings = {
        "endpoint": "iris",
        "url": url,
        "region": "us-east-1",
        "dataset": str(dataset),
        "think_seconds": 0.0,
        "load": load,
        "replay": None,
        "local": True,
        "master": None,
    }
    done = subprocess.run(
        pinned(-1, sys.executable, "-m", "loadtest.generator"),
        input=json.dumps(settings) + "\n",
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    final = json.loads(done.stdout.splitlines()[-1])
    if final["failures"]:
        raise RuntimeError(f"{final['failures']} requests failed: {final['errors']}")
    rate: float = final["requests"] / final["load_seconds"]
    return rate


def _peer(kind: str, url: str, users: int, seconds: float) -> float:
    done = subprocess.run(
        pinned(-1, sys.executable, "-c", _PEER, kind, url, str(users), str(seconds)),
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main() -> int:
    """Print the median rate of each sender, and its ratio to ours."""
    parser = argparse.ArgumentParser(description="Requests/s of one process of the load generator.")
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server = subprocess.Popen(
        pinned(0, sys.executable, "-m", "loadtest.constant", "small"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    names = ("the generator", "locust's FastHttpUser", "locust's HttpUser", "gevent sockets alone")
    found: dict[str, list[float]] = {name: [] for name in names}
    try:
        with tempfile.TemporaryDirectory() as directory:
            dataset = Path(directory) / "rows.zip"
            with zipfile.ZipFile(dataset, "w") as archive:
                archive.writestr("validation.csv", _ROWS)
            assert server.stdout is not None
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            load = (url, options.users, options.seconds)
            for _ in range(options.repeat):
                found[names[0]].append(_ours(*load, dataset))
                for name, kind in zip(names[1:], ("fast", "requests", "sockets"), strict=True):
                    found[name].append(_peer(kind, *load))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(timeout=10)
    ours = found[names[0]]
    for name, rates in found.items():
        ratio = statistics.median(one / rate for one, rate in zip(ours, rates, strict=True))
        middle, low, high = statistics.median(rates), min(rates), max(rates)
        print(f"{name:24} {middle:9,.0f} requests/s ({low:,.0f} to {high:,.0f})  {ratio:6.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
