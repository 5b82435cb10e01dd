"""The cost of a long life: requests lost under load and changes, memory, files and threads.

    python -m benchmarks.endurance [--clients 150] [--seconds 120] [--invocations 100000]
                                   [--executions 1000]

First many clients invoke an endpoint while it is updated, scaled in and out, and loses instances by
SIGKILL. Then one figure each before and after many invocations and many pipeline executions.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.clouds import ROLE, Api, exit_on_sigterm, local_cloud
from benchmarks.describe import pipeline
from benchmarks.edge import AUTHORIZATION, ROW, deploy, train
from localcloud.cli.console import client

_INSTANCES = 4
_SETTLE_SECONDS = 3.0


def held(pid: int) -> dict[str, int]:
    """Return what a process holds: resident MiB, open files and threads."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in status)
    return {
        "MiB": int(values["VmRSS"].split()[0]) // 1024,
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(values["Threads"]),
    }


def servers(pid: int) -> list[int]:
    """Return the processes of a local cloud's instances."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"serve" in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


class Load:
    """Clients that never repeat a call."""

    def __init__(self, url: str, clients: int) -> None:
        self._url, self._clients = url, clients
        self.statuses: collections.Counter[int | str] = collections.Counter()
        self.slowest_seconds = 0.0
        self.ended = asyncio.Event()
        self.left: int | None = None

    async def run(self) -> None:
        """Invoke the endpoint until `ended` is set, or until no request is left."""
        headers = {"Content-Type": "text/csv", "Accept": "text/csv", "Authorization": AUTHORIZATION}
        connector = aiohttp.TCPConnector(limit=self._clients)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(self._client(session) for _ in range(self._clients)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self.ended.is_set():
            if self.left is not None:
                if self.left <= 0:
                    return
                self.left -= 1
            started = time.perf_counter()
            try:
                address = f"{self._url}/endpoints/iris/invocations"
                async with session.post(address, data=ROW) as got:
                    await got.read()
                    self.statuses[got.status] += 1
            except aiohttp.ClientError as error:
                self.statuses[type(error).__name__] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - started)

    @property
    def lost(self) -> dict[int | str, int]:
        """Return the failed requests by status or error."""
        return {status: count for status, count in self.statuses.items() if status != 200}


def disturb(url: str, pid: int, seconds: float) -> collections.Counter[str]:
    """Update, scale and kill, in turns, for a time; return how often each happened."""
    sagemaker, chance = client("sagemaker", url), random.Random(1)
    counts: collections.Counter[str] = collections.Counter()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for action in ("update", "kill", "scale in", "kill", "scale out"):
            if action == "update":
                name = ("other", "iris")[counts["update"] % 2]
                sagemaker.update_endpoint(EndpointName="iris", EndpointConfigName=name)
            elif action == "kill":
                with suppress(ProcessLookupError, IndexError):
                    os.kill(chance.choice(servers(pid)), signal.SIGKILL)
            else:
                count = 2 if action == "scale in" else _INSTANCES
                change = {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
                sagemaker.update_endpoint_weights_and_capacities(
                    EndpointName="iris", DesiredWeightsAndCapacities=[change]
                )
            counts[action] += 1
            wait_in_service(sagemaker)
            time.sleep(0.5)
    return counts


def wait_in_service(sagemaker: Any) -> None:
    """Wait until nothing happens to the endpoint."""
    while sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] != "InService":
        time.sleep(0.05)


def prepare(url: str, model: bytes) -> None:
    """Deploy a model to an endpoint of several instances, and a second configuration of it."""
    deploy(url, model)
    sagemaker = client("sagemaker", url)
    image = sagemaker.describe_model(ModelName="iris")["PrimaryContainer"]["Image"]
    container = {"Image": image, "ModelDataUrl": "s3://benchmark/model.tar.gz"}
    sagemaker.create_model(ModelName="other", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "other",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": _INSTANCES,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="other", ProductionVariants=[variant])
    sagemaker.update_endpoint(EndpointName="iris", EndpointConfigName="other")
    wait_in_service(sagemaker)


async def disturbed(url: str, pid: int, clients: int, seconds: float) -> None:
    """Load the endpoint while it is disturbed, and print what was lost."""
    load = Load(url, clients)
    running = asyncio.create_task(load.run())
    counts = await asyncio.to_thread(disturb, url, pid, seconds)
    load.ended.set()
    await running
    total = sum(load.statuses.values())
    print(f"{clients} clients for {seconds:g} s, with {dict(counts)}")
    print(f"  lost {sum(load.lost.values())} of {total:,} requests {load.lost or ''}")
    print(f"  slowest {load.slowest_seconds:.2f} s")


async def invoke(url: str, count: int) -> None:
    """Send this many invocations with 16 clients."""
    load = Load(url, 16)
    load.left = count
    await load.run()
    assert not load.lost, load.lost


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--invocations", type=int, default=100_000)
    parser.add_argument("--executions", type=int, default=1000)
    options = parser.parse_args()
    exit_on_sigterm()
    with tempfile.TemporaryDirectory() as directory:
        model = train(Path(directory) / "model")
        with local_cloud(state=Path(directory) / "state") as (url, pid):
            prepare(url, model)
            asyncio.run(invoke(url, 2000))
            begun = held(pid)
            asyncio.run(disturbed(url, pid, options.clients, options.seconds))
            time.sleep(_SETTLE_SECONDS)
            show("after the disturbances", begun, held(pid))
            before = held(pid)
            asyncio.run(invoke(url, options.invocations))
            time.sleep(_SETTLE_SECONDS)
            show(f"after {options.invocations:,} invocations", before, held(pid))
            before, api = held(pid), Api(url)
            api.call("codepipeline", "CreatePipeline", pipeline=pipeline("history"))
            for _ in range(options.executions):
                api.call("codepipeline", "StartPipelineExecution", name="history")
            time.sleep(_SETTLE_SECONDS)
            show(f"after {options.executions:,} pipeline executions", before, held(pid))


def show(when: str, before: dict[str, int], after: dict[str, int]) -> None:
    """Print what a process held before and after."""
    parts = [f"{before[name]} to {after[name]} {name}" for name in before]
    print(f"{when}: {', '.join(parts)}")


if __name__ == "__main__":
    main()
