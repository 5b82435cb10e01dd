"""Load on one URL from one core: by wrk where it is installed, else by a small client in Python.

The small client's own limit is near that of the fastest servers here; wrk's is far above.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
_LUA = """
wrk.method = "POST"
{headers}
wrk.body = io.open({body}, "rb"):read("*a")
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON{{"requests": %d, "us": %d, "p50": %f, "p99": %f, "bad": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def pinned(core: int, *command: str) -> list[str]:
    """Return a command that runs on one core: 0 the first of ours, -1 the last."""
    prefix = ["taskset", "-c", str(CORES[core])] if shutil.which("taskset") else []
    return [*prefix, *command]


def measure(
    url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: int
) -> dict[str, float]:
    """POST for a while from the last core; return requests, requests/s, p50 ms and p99 ms.

    Raises:
        RuntimeError: a request was not answered 200.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "body").write_bytes(body)
        if shutil.which("wrk"):
            lines = (f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
            script = _LUA.format(headers="\n".join(lines), body=json.dumps(str(place / "body")))
            (place / "post.lua").write_text(script)
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
            command += ["-s", str(place / "post.lua"), url]
        else:
            command = [sys.executable, "-m", "benchmarks.load", url, str(place / "body")]
            command += [json.dumps(dict(headers)), str(connections), str(seconds)]
        done = subprocess.run(
            pinned(-1, *command), cwd=ROOT, capture_output=True, text=True, check=True
        )
    found = json.loads(done.stdout.split("JSON", 1)[1])
    if found["bad"]:
        raise RuntimeError(f"{found['bad']} of {found['requests']} requests failed: {url}")
    return {
        "requests": found["requests"],
        "requests/s": found["requests"] / (found["us"] / 1e6),
        "p50 ms": found["p50"] / 1000,
        "p99 ms": found["p99"] / 1000,
    }


async def client(
    url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float
) -> None:
    """Send the body over raw sockets for a while; print what `measure` reads."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    latencies: list[float] = []
    bad = 0
    end = time.perf_counter() + seconds

    async def user() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (began := time.perf_counter()) < end:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            bad += not answer.startswith(b"HTTP/1.1 200")
            latencies.append((time.perf_counter() - began) * 1e6)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(connections)))
    microseconds = (time.perf_counter() - began) * 1e6
    latencies.sort()
    figures = {
        "requests": len(latencies),
        "us": microseconds,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(len(latencies) * 0.99)],
        "bad": bad,
    }
    print("JSON" + json.dumps(figures))


if __name__ == "__main__":
    _url, _body, _headers, _connections, _seconds = sys.argv[1:]
    asyncio.run(
        client(
            _url,
            Path(_body).read_bytes(),
            json.loads(_headers),
            int(_connections),
            float(_seconds),
        )
    )
