"""The overhead of the edge: direct requests to an instance, and requests through the local cloud.

    python -m benchmarks.edge [--seconds 3] [--repeats 3]

`model` is the model container, which is slower than the edge. `constant` (benchmarks/constant.py)
is much faster, so it shows the rate of the edge itself. moto's server, which has no instances and
returns a constant, is measured for comparison. The local cloud (or moto) runs on the first core;
the instance and the client share the second. Each repeat measures all targets, interleaved. The
processor time of the local cloud's process per invocation is the figure that depends least on other
work on the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

from benchmarks.clouds import ROLE, ROOT, exit_on_sigterm, local_cloud, moto_server, train_in
from benchmarks.load import CORES, measure
from localcloud.cli.console import client

ROW = b"5.1,3.5,1.4,0.2"
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/sagemaker/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
HEADERS = {"Content-Type": "text/csv", "Accept": "text/csv", "Authorization": AUTHORIZATION}


def train(directory: Path) -> bytes:
    """Train iris with the model container's program; return model.tar.gz."""
    train_in(directory, "iris", {})
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted((directory / "model").iterdir()):
            archive.add(path, arcname=path.name)
    return buffer.getvalue()


def deploy(url: str, model: bytes) -> None:
    """Deploy the model as the endpoint `iris` with one instance."""
    s3 = client("s3", url)
    s3.create_bucket(Bucket="benchmark")
    s3.put_object(Bucket="benchmark", Key="model.tar.gz", Body=model)
    image = push(url, ROOT / "model", "iris-model")
    _endpoint(url, "iris", {"Image": image, "ModelDataUrl": "s3://benchmark/model.tar.gz"})


def deploy_constant(url: str) -> None:
    """Deploy benchmarks/constant.py as the endpoint `constant` with one instance."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Dockerfile").write_text(
            "FROM scratch\nWORKDIR /opt/program\nCOPY . /opt/program/\n"
            'ENTRYPOINT ["python", "constant.py"]\n'
        )
        shutil.copy(ROOT / "benchmarks" / "constant.py", directory)
        image = push(url, Path(directory), "constant")
    _endpoint(url, "constant", {"Image": image})


def push(url: str, directory: Path, repository: str) -> str:
    """Push a container; return its image URI."""
    client("ecr", url).create_repository(repositoryName=repository)
    pushed = subprocess.run(
        [
            *(sys.executable, "-m", "localcloud", "image", "push", str(directory)),
            *("--repository", repository, "--endpoint-url", url),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return pushed.stdout.split(" as ")[1].split()[0]


def _endpoint(url: str, name: str, container: dict[str, str]) -> None:
    sagemaker = client("sagemaker", url)
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    deadline = time.perf_counter() + 60
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
        assert time.perf_counter() < deadline
        time.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pin(pid: int, core: int) -> None:
    """Pin a process to one of our cores: 0 is the first, -1 the last."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {CORES[core]})


def instances(cloud_pid: int) -> dict[str, tuple[int, int]]:
    """Return the process id and the port of each instance, read from its environment."""
    found = {}
    for child in Path(f"/proc/{cloud_pid}/task/{cloud_pid}/children").read_text().split():
        for entry in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"SAGEMAKER_BIND_TO_PORT="):
                constant = b"constant.py" in Path(f"/proc/{child}/cmdline").read_bytes()
                name = "constant" if constant else "model"
                found[name] = (int(child), int(entry.split(b"=")[1]))
    return found


def main() -> None:
    """Measure all targets, interleaved, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    exit_on_sigterm()
    with tempfile.TemporaryDirectory() as directory:
        model = train(Path(directory))
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    with local_cloud(speed=1.0) as (cloud, pid), moto_server() as (moto, moto_pid):
        deploy(cloud, model)
        deploy_constant(cloud)
        pin(pid, 0)
        pin(moto_pid, 0)
        urls = {"moto": f"{moto}/endpoints/iris/invocations"}
        for name, (server, port) in instances(pid).items():
            pin(server, -1)
            endpoint = "iris" if name == "model" else name
            urls[f"{name}, direct"] = f"http://127.0.0.1:{port}/invocations"
            urls[f"{name}, edge"] = f"{cloud}/endpoints/{endpoint}/invocations"
        for repeat in range(options.repeats):
            for connections in (1, 16):
                for name in list(urls)[:: 1 if repeat % 2 else -1]:
                    before = processor_seconds(pid)
                    run = measure(urls[name], ROW, HEADERS, connections, options.seconds)
                    used = processor_seconds(pid) - before
                    run["cloud us"] = used / run["requests"] * 1e6
                    runs.setdefault((name, connections), []).append(run)
    print(f"medians of {options.repeats} runs; p50 and p99 in ms, us: the cloud's processor time")
    print(f"{'':24}{'requests/s':>12}{'p50':>8}{'p99':>8}{'us':>8}")
    for (name, connections), found in sorted(runs.items(), key=lambda item: item[0][1]):
        median = {key: statistics.median(run[key] for run in found) for key in found[0]}
        spent = f"{median['cloud us']:8.0f}" if name.endswith("edge") else ""
        print(
            f"{name:16}{connections:4} at once{median['requests/s']:12,.0f}{median['p50 ms']:8.3f}"
            f"{median['p99 ms']:8.2f}{spent}"
        )


if __name__ == "__main__":
    main()
