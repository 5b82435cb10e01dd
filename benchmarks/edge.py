"""What the edge costs: one model server asked directly and through the local cloud, in turns.

    python benchmarks/edge.py [--seconds 5] [--repeats 3] [--connections 16]

The same server process answers both ways; each repeat measures direct, edge, edge, direct. The
client is aiohttp in a process of its own, so both ways pay the same for it. The processor time that
the local cloud's process spends an invocation depends least on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

import aiohttp

from localcloud.cli.console import client

ROOT = Path(__file__).resolve().parent.parent
ROW = b"5.1,3.5,1.4,0.2"
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/sagemaker/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


async def load(url: str, seconds: float, connections: int) -> dict[str, float]:
    """Send rows for a while; return requests/s and latencies in milliseconds."""
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(limit=connections)
    headers = {"Content-Type": "text/csv", "Accept": "text/csv", "Authorization": AUTHORIZATION}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        end = time.perf_counter() + seconds

        async def user() -> None:
            while (began := time.perf_counter()) < end:
                async with session.post(url, data=ROW) as answer:
                    await answer.read()
                    assert answer.status == 200, answer.status
                latencies.append((time.perf_counter() - began) * 1000)

        started = time.perf_counter()
        await asyncio.gather(*(user() for _ in range(connections)))
        elapsed = time.perf_counter() - started
    latencies.sort()
    return {
        "requests": len(latencies),
        "requests/s": len(latencies) / elapsed,
        "p50 ms": latencies[len(latencies) // 2],
        "p99 ms": latencies[int(len(latencies) * 0.99)],
    }


def measure(url: str, seconds: float, connections: int) -> dict[str, float]:
    """Run `load` in a fresh process."""
    answer = subprocess.run(
        [sys.executable, __file__, "--load", url, str(seconds), str(connections)],
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def train(directory: Path) -> bytes:
    """Train iris in the model container; return model.tar.gz."""
    data = directory / "input" / "data" / "dataset"
    data.mkdir(parents=True)
    config = directory / "input" / "config"
    config.mkdir()
    (config / "hyperparameters.json").write_text("{}")
    channel = {"dataset": {"TrainingInputMode": "File"}}
    (config / "inputdataconfig.json").write_text(json.dumps(channel))
    for module, arguments in (
        ("model.dataset", ["--table", "iris", "--out", str(data / "dataset.zip")]),
        ("model", ["train"]),
    ):
        subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(directory)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted((directory / "model").iterdir()):
            archive.add(path, arcname=path.name)
    return buffer.getvalue()


def deploy(url: str, model: bytes) -> None:
    """Deploy the model as an endpoint of one instance."""
    client("ecr", url).create_repository(repositoryName="iris-model")
    pushed = subprocess.run(
        [
            *(sys.executable, "-m", "localcloud", "image", "push", "model"),
            *("--repository", "iris-model", "--endpoint-url", url),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    image = pushed.stdout.split(" as ")[1].split()[0]
    s3, sagemaker = client("s3", url), client("sagemaker", url)
    s3.create_bucket(Bucket="benchmark")
    s3.put_object(Bucket="benchmark", Key="model.tar.gz", Body=model)
    sagemaker.create_model(
        ModelName="iris",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/service-role/benchmark",
        PrimaryContainer={"Image": image, "ModelDataUrl": "s3://benchmark/model.tar.gz"},
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "iris",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="iris", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="iris", EndpointConfigName="iris")
    deadline = time.perf_counter() + 60
    while sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] != "InService":
        assert time.perf_counter() < deadline
        time.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def instance_port(cloud_pid: int) -> int:
    """Return the port of the one model server, from its environment."""
    children = Path(f"/proc/{cloud_pid}/task/{cloud_pid}/children").read_text().split()
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        for entry in environment:
            if entry.startswith(b"SAGEMAKER_BIND_TO_PORT="):
                return int(entry.split(b"=")[1])
    raise LookupError("no model server runs")


def main() -> None:
    """Measure both ways in turns and print the medians and their ratio."""
    if sys.argv[1:2] == ["--load"]:
        url, seconds, connections = sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
        print(json.dumps(asyncio.run(load(url, seconds, connections))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        model = train(Path(directory))
    process = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "start", "--ephemeral", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        cloud = process.stdout.readline().decode().rsplit(" ", 1)[1].strip()
        deploy(cloud, model)
        direct = f"http://127.0.0.1:{instance_port(process.pid)}/invocations"
        urls = {"direct": direct, "edge": f"{cloud}/endpoints/iris/invocations"}
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in urls}
        for _ in range(options.repeats):
            for name in ("direct", "edge", "edge", "direct"):
                before = processor_seconds(process.pid)
                run = measure(urls[name], options.seconds, options.connections)
                used = processor_seconds(process.pid) - before
                runs[name].append(run | {"cloud us": used / run.pop("requests") * 1e6})
    finally:
        process.terminate()
        process.wait(20)
    print(f"{options.connections} connections, medians of {2 * options.repeats} runs each")
    print(f"{'':12} {'direct':>10} {'edge':>10} {'ratio':>7}")
    for figure in ("requests/s", "p50 ms", "p99 ms"):
        a, b = (statistics.median(r[figure] for r in runs[n]) for n in ("direct", "edge"))
        print(f"{figure:12} {a:10.2f} {b:10.2f} {b / a:7.2f}")
    spent = statistics.median(run["cloud us"] for run in runs["edge"])
    print(f"the local cloud's processor time an invocation: {spent:.0f} microseconds")


if __name__ == "__main__":
    main()
