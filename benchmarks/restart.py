"""Restart time after `kill -9`, with a history and without one.

    python -m benchmarks.restart [--executions 1000] [--repeats 3]

It measures the time until the health route answers, and the time until everything answers: the
pipeline's state, from our own services, and a bucket's list, from moto's backend.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.clouds import Api, exit_on_sigterm, local_cloud
from benchmarks.describe import pipeline
from localcloud.cli.console import client
from localcloud.core.internal_client import get


def fill(state: Path, executions: int) -> None:
    """Create a pipeline with a history of executions, and as many objects."""
    with local_cloud(state=state) as (url, pid):
        api, s3 = Api(url), client("s3", url)
        s3.create_bucket(Bucket="history")
        api.call("codepipeline", "CreatePipeline", pipeline=pipeline("history"))
        for number in range(executions):
            api.call("codepipeline", "StartPipelineExecution", name="history")
            s3.put_object(Bucket="history", Key=f"{number}.zip", Body=b"x" * 10_000)
        time.sleep(2)
        os.kill(pid, signal.SIGKILL)


def restart(state: Path) -> tuple[float, float]:
    """Return the seconds until the health route answers, and until everything answers."""
    started = time.perf_counter()
    with local_cloud(state=state) as (url, pid):
        get(f"{url}/_localstack/health")
        healthy = time.perf_counter() - started
        Api(url).call("codepipeline", "GetPipelineState", name="history")
        client("s3", url).list_objects_v2(Bucket="history")
        answered = time.perf_counter() - started
        os.kill(pid, signal.SIGKILL)
    return healthy, answered


def main() -> None:
    """Restart both states, interleaved, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    exit_on_sigterm()
    found: dict[int, list[tuple[float, float]]] = {0: [], options.executions: []}
    with tempfile.TemporaryDirectory() as directory:
        for executions in found:
            fill(Path(directory) / str(executions), executions)
        for _ in range(options.repeats):
            for executions, runs in found.items():
                runs.append(restart(Path(directory) / str(executions)))
    for executions, runs in found.items():
        healthy, answered = (statistics.median(run[i] for run in runs) for i in (0, 1))
        print(
            f"{executions:6} executions and objects: healthy after {healthy:.2f} s, "
            f"everything answers after {answered:.2f} s (medians of {options.repeats})"
        )


if __name__ == "__main__":
    main()
