"""Our model server beside others: requests/s, latency, memory and start-up, in turns.

    python -m benchmarks.serving [--seconds 2] [--repeats 3] [--without-mlserver]

Every server runs on the first core alone and the client on the second, so the figures are per core.
All servers of a model are up at once and idle but for the one that is asked; each repeat asks all
of them. Start-up and memory are of a server alone, after a second of requests. The table has
medians. The client is wrk where it is installed, else a small one in Python (whose own limit then
shows in the HTTP floor). Left under build/: serving.json, serving.md, serving.png.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.clouds import train_in
from benchmarks.load import measure, pinned
from benchmarks.serving_peers import BUILD, ROOT, Peer, peers_of, prepare
from benchmarks.serving_report import report

MODELS: dict[str, dict[str, str]] = {
    "random-forest": {"n_estimators": "120", "max_depth": "10"},
    "hist-gradient-boosting": {},
}
# Rows a request, connections.
CASES = ((1, 1), (1, 16), (1, 64), (1000, 1), (1000, 16))
_PORT = 18100


@dataclass
class Running:
    """A server that runs."""

    peer: Peer
    processes: list[subprocess.Popen[bytes]]
    start_seconds: float

    def pids(self) -> list[int]:
        """Return its processes and all of theirs."""
        found: list[int] = []
        front = [process.pid for process in self.processes]
        while front:
            pid = front.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                front += [int(child) for child in (task / "children").read_text().split()]
        return found

    def memory(self) -> dict[str, float]:
        """Return MiB: resident, and with each shared page counted as its share of it."""
        sums = {"Rss": 0, "Pss": 0}
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name = line.partition(":")[0]
                if name in sums:
                    sums[name] += int(line.split()[1])
        return {"RSS MiB": sums["Rss"] / 1024, "PSS MiB": sums["Pss"] / 1024}

    def stop(self) -> None:
        """End its processes and wait for them."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def body_of(kind: str, rows: int) -> tuple[bytes, str]:
    """Return a body of rows of breast cancer, and its content type."""
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


def start(peer: Peer) -> Running:
    """Start a server on the first core; return it when it has answered a row."""
    body, content_type = body_of(peer.kind, 1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **peer.environment}
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            pinned(0, *command),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in peer.commands
    ]
    running = Running(peer, processes, 0.0)
    while True:
        try:
            status, _ = post(peer.port, peer.path, body, content_type)
            if status == 200:
                break
        except OSError:
            pass
        if time.perf_counter() - began > 60:
            running.stop()
            raise AssertionError(f"{peer.commands} did not start")
        time.sleep(0.005)
    running.start_seconds = time.perf_counter() - began
    return running


@contextmanager
def all_started(peers: dict[str, Peer]) -> Iterator[dict[str, Running]]:
    """Start servers one after another; end them afterwards."""
    servers: dict[str, Running] = {}
    try:
        for name, peer in peers.items():
            servers[name] = start(peer)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def ask(server: Running, rows: int, connections: int, seconds: int) -> dict[str, float]:
    """Ask a server for a while, from the last core."""
    body, content_type = body_of(server.peer.kind, rows)
    url = f"http://127.0.0.1:{server.peer.port}{server.peer.path}"
    found = measure(url, body, {"Content-Type": content_type}, connections, seconds)
    return found | {"predictions/s": found["requests/s"] * rows}


def alone_figures(name: str, peer: Peer) -> dict[str, float]:
    """Start a server with no other beside it; return its start-up time and its memory in use."""
    with all_started({name: peer}) as servers:
        ask(servers[name], 1, 16, 1)
        return {"start s": servers[name].start_seconds, **servers[name].memory()}


def scoring_floor(base: Path, pickled: Path, python: str) -> dict[str, float]:
    """Return rows/s of ONNX Runtime and of scikit-learn in a loop, without a server."""
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
    """Measure every server of a model in turns; return medians by server and case."""
    base = BUILD / model
    train_in(base, "breast_cancer", {"algorithm": model, **MODELS[model]})
    peers = peers_of(model, base, *pythons, _PORT)
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    static: dict[str, dict[str, float]] = {}
    with all_started(peers) as servers:
        for repeat in range(options.repeats):
            for rows, connections in CASES:
                for name in list(servers)[:: 1 if repeat % 2 else -1]:
                    figures = ask(servers[name], rows, connections, options.seconds)
                    case = f"{rows} rows, {connections} connections"
                    runs.setdefault(name, {}).setdefault(case, []).append(figures)
                    print(f"{model} {repeat} {case} {name}: {figures['requests/s']:.0f}/s")
    for workers in (1, 2):
        alone = peers_of(model, base, *pythons, _PORT, workers=workers)
        compared = ("ours", "official structure")
        for name in alone if workers == 1 else compared:
            suffix = "" if workers == 1 else ", 2 workers"
            found = [alone_figures(name, alone[name]) for _ in range(options.repeats)]
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
    pythons = prepare(with_mlserver=not options.without_mlserver)
    figures = {model: compare(model, options, pythons) for model in MODELS}
    print(report(figures, BUILD.parent))


if __name__ == "__main__":
    main()
