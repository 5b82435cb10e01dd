"""Compares our model server with others: requests/s, latency, memory and start-up time.

    python -m benchmarks.serving [--seconds 2] [--repeats 3] [--without-mlserver]

Every server runs on the first core and the client on the second, so the figures are per core. All
servers of a model run at the same time, and all but the measured one are idle; each repeat measures
all of them, interleaved. Start-up time and memory are measured with a single server, after a second
of requests. The tables show medians. The client is wrk if it is installed, or else a small Python
client, whose own limit then shows in the HTTP floor. The results are written to build/serving.json,
serving.md and serving.png. SIGTERM and Ctrl-C stop all servers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.clouds import exit_on_sigterm, signals_deferred, train_in
from benchmarks.load import measure, pinned
from benchmarks.serving_peers import BUILD, ROOT, Peer, peers_of, prepare
from benchmarks.serving_report import report

MODELS: dict[str, dict[str, str]] = {
    "random-forest": {"n_estimators": "120", "max_depth": "10"},
    "hist-gradient-boosting": {},
}
# Rows per request, connections.
CASES = ((1, 1), (1, 16), (1, 64), (1000, 1), (1000, 16))
_PORT = 18100
_STOP_SECONDS = 15


@dataclass
class RunningServer:
    """A running server.

    Attributes:
        peer: the server's definition.
        processes: the processes that were started.
        start_seconds: time from the start of the processes to the first response.
    """

    peer: Peer
    processes: list[subprocess.Popen[bytes]]
    start_seconds: float

    def pids(self) -> list[int]:
        """Return the ids of the server's processes and all their descendants."""
        found: list[int] = []
        front = [process.pid for process in self.processes]
        while front:
            pid = front.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                front += [int(child) for child in (task / "children").read_text().split()]
        return found

    def memory(self) -> dict[str, float]:
        """Return the memory in MiB: resident (RSS), and with shared pages divided (PSS)."""
        sums = {"Rss": 0, "Pss": 0}
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name = line.partition(":")[0]
                if name in sums:
                    sums[name] += int(line.split()[1])
        return {"RSS MiB": sums["Rss"] / 1024, "PSS MiB": sums["Pss"] / 1024}


def stop_all(servers: Iterable[RunningServer]) -> None:
    """End the processes of servers with SIGTERM and wait for them; kill those that do not end."""
    processes = [process for server in servers for process in server.processes]
    with signals_deferred():
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def body_of(kind: str, rows: int) -> tuple[bytes, str]:
    """Return a request body with rows of the breast cancer table, and its content type.

    Args:
        kind: csv, instances or v2.
        rows: number of rows.
    """
    data = load_breast_cancer().data
    chosen = data[np.arange(rows) % len(data)]
    if kind == "csv":
        return "\n".join(",".join(map(repr, row)) for row in chosen.tolist()).encode(), "text/csv"
    document: dict[str, Any] = {"instances": chosen.tolist()}
    if kind == "v2":
        flat = chosen.ravel().tolist()
        tensor = {"name": "x", "shape": list(chosen.shape), "datatype": "FP32", "data": flat}
        document = {"inputs": [tensor]}
    return json.dumps(document).encode(), "application/json"


def post(port: int, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
    """Send one request; return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def start(server: RunningServer) -> None:
    """Start a server's processes on the first core, and wait until it has answered a row."""
    peer = server.peer
    body, content_type = body_of(peer.kind, 1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **peer.environment}
    started = time.perf_counter()
    for command in peer.commands:
        server.processes.append(
            subprocess.Popen(
                pinned(0, *command),
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    while True:
        try:
            status, _ = post(peer.port, peer.path, body, content_type)
            if status == 200:
                break
        except OSError:
            pass
        if time.perf_counter() - started > 60:
            raise AssertionError(f"{peer.commands} did not start")
        time.sleep(0.005)
    server.start_seconds = time.perf_counter() - started


@contextmanager
def all_started(peers: dict[str, Peer]) -> Iterator[dict[str, RunningServer]]:
    """Start servers one after another; stop them afterwards, also if not all have started."""
    servers = {name: RunningServer(peer, [], 0.0) for name, peer in peers.items()}
    try:
        for server in servers.values():
            start(server)
        yield servers
    finally:
        stop_all(servers.values())


def load_server(
    server: RunningServer, rows: int, connections: int, seconds: int
) -> dict[str, float]:
    """Load a server from the last core; return the figures of `measure`, and predictions/s."""
    body, content_type = body_of(server.peer.kind, rows)
    url = f"http://127.0.0.1:{server.peer.port}{server.peer.path}"
    found = measure(url, body, {"Content-Type": content_type}, connections, seconds)
    return found | {"predictions/s": found["requests/s"] * rows}


def measure_alone(name: str, peer: Peer) -> dict[str, float]:
    """Start a single server and load it; return its start-up time and its memory."""
    with all_started({name: peer}) as servers:
        load_server(servers[name], 1, 16, 1)
        return {"start s": servers[name].start_seconds, **servers[name].memory()}


def scoring_floor(base: Path, pickled: Path, python: str) -> dict[str, float]:
    """Return the rows/s of ONNX Runtime and of scikit-learn in a loop, without a server.

    Args:
        base: the SAGEMAKER_BASE_DIR of our own training.
        pickled: the peers' model.
        python: the peers' Python.
    """
    programs = {
        "ONNX Runtime": (
            f"from model.predictor import load; from pathlib import Path; import numpy as np\n"
            f"p, c, _ = load(Path({str(base / 'model')!r})); p.write_row(0, [1.0] * c.width)\n"
            f"one = lambda: p.run_buffered(1)\n"
        ),
        "scikit-learn": (
            f"import joblib, numpy as np; m = joblib.load({str(pickled)!r})\n"
            f"x = np.ones((1, 30), np.float32); one = lambda: m.predict(x)\n"
        ),
    }
    count = "import time; one(); n = 0; s = time.perf_counter()\n"
    count += "while time.perf_counter() - s < 1: one(); n += 1\nprint(n)"
    found = {}
    for name, text in programs.items():
        command = [sys.executable if name == "ONNX Runtime" else python, "-c", text + count]
        done = subprocess.run(
            pinned(0, *command), cwd=ROOT, capture_output=True, text=True, check=True
        )
        found[name] = float(done.stdout)
    return found


def compare(model: str, options: argparse.Namespace, pythons: tuple[str, str]) -> dict[str, Any]:
    """Measure every server of a model, interleaved; return the medians by server and case.

    Args:
        model: a key of MODELS.
        options: seconds and repeats.
        pythons: the Pythons of the peers and of MLServer.
    """
    base = BUILD / model
    train_in(base, "breast_cancer", {"algorithm": model, **MODELS[model]})
    peers = peers_of(model, base, *pythons, _PORT)
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    static: dict[str, dict[str, float]] = {}
    with all_started(peers) as servers:
        for repeat in range(options.repeats):
            for rows, connections in CASES:
                for name in list(servers)[:: 1 if repeat % 2 else -1]:
                    figures = load_server(servers[name], rows, connections, options.seconds)
                    case = f"{rows} rows, {connections} connections"
                    runs.setdefault(name, {}).setdefault(case, []).append(figures)
                    print(f"{model} {repeat} {case} {name}: {figures['requests/s']:.0f}/s")
    for workers in (1, 2):
        alone = peers_of(model, base, *pythons, _PORT, workers=workers)
        compared = ("ours", "official structure")
        for name in alone if workers == 1 else compared:
            suffix = "" if workers == 1 else ", 2 workers"
            found = [measure_alone(name, alone[name]) for _ in range(options.repeats)]
            static.setdefault(name, {}).update(
                {f"{k}{suffix}": statistics.median(run[k] for run in found) for k in found[0]}
            )
    medians = {
        name: {
            case: {figure: statistics.median(run[figure] for run in of) for figure in of[0]}
            for case, of in cases.items()
        }
        for name, cases in runs.items()
    }
    floor = scoring_floor(base, BUILD / f"{model}.joblib", pythons[0])
    return {"servers": medians, "static": static, "scoring rows/s": floor}


def main() -> None:
    """Measure both models and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-mlserver", action="store_true")
    options = parser.parse_args()
    exit_on_sigterm()
    pythons = prepare(with_mlserver=not options.without_mlserver)
    figures = {model: compare(model, options, pythons) for model in MODELS}
    print(report(figures, BUILD.parent))


if __name__ == "__main__":
    main()
