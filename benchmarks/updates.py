"""Failed requests while an endpoint under load is updated repeatedly. The goal is zero.

    python -m benchmarks.updates [--updates 50] [--connections 8]

Each update replaces the whole fleet by a fleet of another model.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.clouds import ROLE, exit_on_sigterm, local_cloud
from benchmarks.edge import AUTHORIZATION, ROW, deploy, train
from localcloud.cli.console import client


async def run(url: str, updates: int, connections: int) -> dict[str, Any]:
    """Load the endpoint while it is updated; return the figures.

    Args:
        url: the local cloud's URL.
        updates: number of updates.
        connections: concurrent connections.
    """
    statuses: collections.Counter[int | str] = collections.Counter()
    milliseconds: list[float] = []
    ended = asyncio.Event()
    headers = {"Content-Type": "text/csv", "Accept": "text/csv", "Authorization": AUTHORIZATION}
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def user() -> None:
            while not ended.is_set():
                started = time.perf_counter()
                try:
                    async with session.post(f"{url}/endpoints/iris/invocations", data=ROW) as got:
                        await got.read()
                        statuses[got.status] += 1
                except aiohttp.ClientError as error:
                    statuses[type(error).__name__] += 1
                milliseconds.append((time.perf_counter() - started) * 1000)

        users = [asyncio.create_task(user()) for _ in range(connections)]
        seconds = await asyncio.to_thread(update_often, url, updates)
        ended.set()
        await asyncio.gather(*users)
    milliseconds.sort()
    return {
        "requests": sum(statuses.values()),
        "failed": sum(count for status, count in statuses.items() if status != 200),
        "statuses": dict(statuses),
        "p99 ms": milliseconds[int(len(milliseconds) * 0.99)],
        "seconds per update": statistics.median(seconds),
    }


def update_often(url: str, updates: int) -> list[float]:
    """Update the endpoint between two models; return the seconds of each update."""
    sagemaker = client("sagemaker", url)
    seconds = []
    for number in range(updates):
        started = time.perf_counter()
        sagemaker.update_endpoint(
            EndpointName="iris", EndpointConfigName=("other", "iris")[number % 2]
        )
        while True:
            found = sagemaker.describe_endpoint(EndpointName="iris")
            if found["EndpointStatus"] == "InService":
                break
            assert found["EndpointStatus"] == "Updating", found
            time.sleep(0.05)
        assert found["EndpointConfigName"] == ("other", "iris")[number % 2]
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Deploy two models, run the updates under load and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    exit_on_sigterm()
    with tempfile.TemporaryDirectory() as directory:
        model = train(Path(directory))
    with local_cloud() as (url, _):
        deploy(url, model)
        sagemaker = client("sagemaker", url)
        image = sagemaker.describe_model(ModelName="iris")["PrimaryContainer"]["Image"]
        sagemaker.create_model(
            ModelName="other",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": image, "ModelDataUrl": "s3://benchmark/model.tar.gz"},
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "other",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName="other", ProductionVariants=[variant])
        figures = asyncio.run(run(url, options.updates, options.connections))
    print(f"{options.updates} updates under {options.connections} connections")
    for name, figure in figures.items():
        print(f"  {name:20} {figure if not isinstance(figure, float) else f'{figure:.2f}'}")


if __name__ == "__main__":
    main()
