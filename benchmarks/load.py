"""Loads one URL from one core, with wrk if it is installed, or else with a small Python client.

The Python client's own limit is close to the rate of the fastest servers here; wrk's is far above.
Both give every request _TIMEOUT_SECONDS, so a measurement of a server that hangs or closes its
connections ends with an error.
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
_TIMEOUT_SECONDS = 30
# Time for the client to start, and to end after its last request.
_MARGIN_SECONDS = 15
# A pause after a failed request, so that a server that refuses connections is not flooded.
_PAUSE_SECONDS = 0.01
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
    """Return the command pinned to one of our cores: 0 is the first, -1 the last."""
    prefix = ["taskset", "-c", str(CORES[core])] if shutil.which("taskset") else []
    return [*prefix, *command]


def measure(
    url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: int
) -> dict[str, float]:
    """POST a body repeatedly from the last core; return requests, requests/s, p50 ms and p99 ms.

    Args:
        url: the URL to load.
        body: the body of every request.
        headers: further headers of every request.
        connections: concurrent connections.
        seconds: duration of the load.

    Raises:
        RuntimeError: a request failed or was not answered 200, or the client did not end in time.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "body").write_bytes(body)
        if shutil.which("wrk"):
            lines = (f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
            script = _LUA.format(headers="\n".join(lines), body=json.dumps(str(directory / "body")))
            (directory / "post.lua").write_text(script)
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
            command += ["--timeout", f"{_TIMEOUT_SECONDS}s"]
            command += ["-s", str(directory / "post.lua"), url]
        else:
            command = [sys.executable, "-m", "benchmarks.load", url, str(directory / "body")]
            command += [json.dumps(dict(headers)), str(connections), str(seconds)]
        limit = seconds + _TIMEOUT_SECONDS + _MARGIN_SECONDS
        try:
            done = subprocess.run(
                pinned(-1, *command), cwd=ROOT, capture_output=True, text=True, timeout=limit
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the client did not end within {limit} s: {url}") from None
    if done.returncode != 0:
        raise RuntimeError(f"the client failed: {url}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.split("JSON", 1)[1])
    if found["bad"]:
        raise RuntimeError(f"{found['bad']} requests failed, {found['requests']} did not: {url}")
    return {
        "requests": found["requests"],
        "requests/s": found["requests"] / (found["us"] / 1e6),
        "p50 ms": found["p50"] / 1000,
        "p99 ms": found["p99"] / 1000,
    }


async def client(
    url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float
) -> None:
    """Send the body over raw sockets for some seconds; print the figures that `measure` reads.

    A closed connection is opened again. A request fails if the connection closes before its
    response is complete, or if the response takes longer than _TIMEOUT_SECONDS.
    """
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    latencies: list[float] = []
    # Time of the last request on each connection.
    sent_at: dict[asyncio.StreamWriter, float] = {}
    bad = 0
    started = time.perf_counter()
    end = started + seconds

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send one request; return True if the connection stays open."""
        nonlocal bad
        sent = sent_at[writer] = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        bad += not head.startswith(b"http/1.1 200")
        latencies.append((time.perf_counter() - sent) * 1e6)
        return b"connection: close" not in head

    async def user() -> None:
        nonlocal bad
        while time.perf_counter() < end:
            writer = None
            try:
                connecting = asyncio.open_connection(parts.hostname, parts.port)
                reader, writer = await asyncio.wait_for(connecting, _TIMEOUT_SECONDS)
                while time.perf_counter() < end and await send(reader, writer):
                    pass
            except (OSError, EOFError, IndexError, ValueError, asyncio.LimitOverrunError):
                # Refused, reset, closed early, timed out, or without a readable response.
                bad += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                if writer is not None:
                    sent_at.pop(writer, None)
                    writer.close()

    async def abort_overdue() -> None:
        # One task for all connections: a timeout for each request would slow the client down.
        while True:
            await asyncio.sleep(0.5)
            for writer, sent in list(sent_at.items()):
                if time.perf_counter() - sent > _TIMEOUT_SECONDS:
                    writer.transport.abort()

    watchdog = asyncio.create_task(abort_overdue())
    await asyncio.gather(*(user() for _ in range(connections)))
    watchdog.cancel()
    microseconds = (time.perf_counter() - started) * 1e6
    latencies.sort()
    figures = {
        "requests": len(latencies),
        "us": microseconds,
        "p50": latencies[len(latencies) // 2] if latencies else 0.0,
        "p99": latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
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
