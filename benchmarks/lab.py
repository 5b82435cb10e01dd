"""Time and memory of the lab: start-up, from dataset to DEV and PRD, resident memory.

    python -m benchmarks.lab [--repeats 3]

Each repeat starts a fresh local cloud at 60 times real time. The script prints medians. It approves
the model at once, so the pipeline's figures include no waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.clouds import exit_on_sigterm, stop
from localcloud.cli.console import client

ROOT = Path(__file__).resolve().parent.parent


def rss_mebibytes(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split()]


def one_run() -> dict[str, float]:
    """Run the lab once; return its figures, with their units in the names."""
    figures: dict[str, float] = {}
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "localcloud",
            "start",
            "--ephemeral",
            "--port",
            "0",
            "--speed",
            "60",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().rsplit(" ", 1)[1].strip()
        with urllib.request.urlopen(f"{url}/_localstack/health", timeout=5):
            pass
        figures["start to healthy, s"] = time.perf_counter() - started
        time.sleep(1)
        figures["RSS idle, MiB"] = rss_mebibytes(process.pid)
        _deploy(url)
        figures |= _pipeline(url)
        _scale(url, "iris-model-production", 3)  # four instances, with the one of DEV
        servers = children(process.pid)
        figures["RSS with 4 instances, MiB"] = rss_mebibytes(process.pid)
        figures["RSS of one instance, MiB"] = statistics.median(
            rss for pid in servers if (rss := rss_mebibytes(pid)) > 0
        )
    finally:
        stop(process)
    return figures


RELEASE = ("--release", "/mlops/iris-model/image")


def _deploy(url: str) -> None:
    for arguments in (
        ("up", "prd"),
        ("up", "dev"),
        ("image", "push", "model", "--repository", "iris-model", *RELEASE),
    ):
        subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments],
            cwd=ROOT,
            env={**os.environ, "AWS_ENDPOINT_URL": url},
            check=True,
            stdout=subprocess.DEVNULL,
        )


def _pipeline(url: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dataset.zip"
        subprocess.run(
            [sys.executable, "-m", "model.dataset", "--table", "iris", "--out", str(path)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        content = path.read_bytes()
    outputs = json.loads(_get(f"{url}/_localcloud/stacks/mlops-lab/dev"))["outputs"]
    codepipeline, sagemaker = client("codepipeline", url), client("sagemaker", url)
    s3 = client("s3", url)
    uploaded = time.perf_counter()
    s3.put_object(Bucket=outputs["dataBucket"], Key="dataset.zip", Body=content)
    _wait_in_service(sagemaker, "iris-model-development")
    dev = time.perf_counter() - uploaded
    name, token = "iris-model-pipeline", None
    while token is None:
        stages = codepipeline.get_pipeline_state(name=name)["stageStates"]
        action = next(s for s in stages if s["stageName"] == "DeployApproval")["actionStates"][0]
        token = action.get("latestExecution", {}).get("token")
        time.sleep(0.02)
    approved = time.perf_counter()
    codepipeline.put_approval_result(
        pipelineName=name,
        stageName="DeployApproval",
        actionName="ApproveDeploy",
        token=token,
        result={"status": "Approved", "summary": "benchmark"},
    )
    _wait_in_service(sagemaker, "iris-model-production")
    prd = time.perf_counter()
    return {
        "upload to DEV InService, s": dev,
        "approval to PRD InService, s": prd - approved,
        "upload to PRD InService, s": prd - uploaded,
    }


def _scale(url: str, endpoint: str, instances: int) -> None:
    sagemaker = client("sagemaker", url)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredInstanceCount": instances}
        ],
    )
    _wait_in_service(sagemaker, endpoint)


def _wait_in_service(sagemaker: Any, endpoint: str) -> None:
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        known = [e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]]
        if endpoint in known:
            described = sagemaker.describe_endpoint(EndpointName=endpoint)
            if described["EndpointStatus"] == "InService":
                return
        time.sleep(0.02)
    raise TimeoutError(f"{endpoint} is not InService after 60 s")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        content: bytes = answer.read()
        return content


def main() -> None:
    """Run the repeats and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    exit_on_sigterm()
    runs = [one_run() for _ in range(repeats)]
    print(f"{'figure':32} {'median':>8} {'min':>8} {'max':>8}   ({repeats} runs)")
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:32} {statistics.median(values):8.2f} {min(values):8.2f} {max(values):8.2f}")


if __name__ == "__main__":
    main()
