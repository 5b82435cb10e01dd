"""The page with a thousand executions, a hundred endpoints and ten thousand events.

    python -m benchmarks.page              what the overview and its stream take
    tests/page/.venv/bin/python -m benchmarks.page --browser    and what a browser sees, in Chromium

It prints the size of the overview and the time to build it, the time from a change to the stream,
and the memory of the local cloud; with a browser the first paint, the first paint with data, and
the time from a change to the pixel. The time from a change includes the request that makes it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.autoscaling.model import Activity
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.core.state_directory import STATE_FILE
from localcloud.core.store import Collection, Database
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    SecondaryTransition,
    TrainingJob,
    TrainingJobStatus,
    Variant,
)
from tests.cloud import TestCloud, local_cloud
from tests.sse import listening

NAME = "bench-pipeline"
ARN = f"arn:aws:codepipeline:us-east-1:000000000000:{NAME}"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
STAGES = ("Source", "Train", "DeployDev", "DeployApproval", "DeployPrd")
ACTIONS = 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = 40


def declaration() -> dict[str, Any]:
    """Return a pipeline of five stages of three actions."""
    kind = {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"}
    stages = [
        {
            "name": stage,
            "actions": [{"name": f"{stage}{n}", "actionTypeId": kind} for n in range(ACTIONS)],
        }
        for stage in STAGES
    ]
    return {"name": NAME, "roleArn": "arn:aws:iam::000000000000:role/p", "stages": stages}


def fill(directory: Path, executions: int, endpoints: int, records: int) -> None:
    """Write a state with many records, as a local cloud would have them after weeks."""
    database = Database(directory / STATE_FILE)
    pipeline = Pipeline(ARN, NAME, declaration(), NOW, NOW)
    Collection(database, "codepipeline", Pipeline).put(ARN, pipeline)
    runs = Collection(database, "codepipeline-execution", Execution)
    jobs = Collection(database, "sagemaker-training-job", TrainingJob)
    for number in range(executions):
        at = NOW + timedelta(minutes=number)
        stages = {
            stage: StageRun(
                stage,
                StageStatus.SUCCEEDED,
                at,
                {
                    f"{stage}{n}": ActionRun(
                        f"{number}-{stage}-{n}", f"{stage}{n}", 1, ActionStatus.SUCCEEDED, at, at
                    )
                    for n in range(ACTIONS)
                },
            )
            for stage in STAGES
        }
        name = f"run-{number:05d}"
        execution = Execution(
            name, ARN, number, 1, pipeline.declaration, "StartPipelineExecution", "bench", at, at
        )
        execution.status, execution.stages = ExecutionStatus.SUCCEEDED, stages
        execution.stage_index = len(STAGES) - 1
        runs.put(name, execution)
        job = TrainingJob(f"{SAGEMAKER}:training-job/{name}", name, {}, at, at)
        job.status = TrainingJobStatus.COMPLETED
        job.transitions = [SecondaryTransition("Completed", at, "")]
        jobs.put(job.arn, job)
    hosted = Collection(database, "sagemaker-endpoint", Endpoint)
    for number in range(endpoints):
        name = f"endpoint-{number:03d}"
        arn = f"{SAGEMAKER}:endpoint/{name}"
        # A failed endpoint is not started again, so that the page alone is measured.
        failed = Endpoint(arn, name, name, NOW, NOW, EndpointStatus.FAILED, [Variant("a", 2, 1.0)])
        hosted.put(arn, failed)
    activities = Collection(database, "autoscaling-activity", Activity)
    for number in range(records):
        key = f"000000000000|us-east-1|sagemaker|endpoint/endpoint-{number % 100:03d}/variant/a|d"
        at = NOW + timedelta(seconds=number)
        found = Activity(f"a{number}", key, "Setting desired count", "an alarm", at, "Successful")
        activities.put(found.id, found)
    database.close()


def memory_mib(pid: int | None) -> float:
    """Return the resident memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kib / 1024


def report(name: str, values: list[float], unit: str = "ms") -> None:
    """Print the median and the extremes of durations."""
    ordered = sorted(values)
    print(
        f"{name:44} median {statistics.median(ordered):8.1f}  p95 "
        f"{ordered[int(len(ordered) * 0.95)]:8.1f}  most {ordered[-1]:8.1f} {unit}"
    )


def toggle(cloud: TestCloud, mark: str) -> None:
    """Change something that the page shows: the reason of a disabled transition."""
    cloud.client("codepipeline").disable_stage_transition(
        pipelineName=NAME, stageName="Train", transitionType="Inbound", reason=mark
    )


def events(cloud: TestCloud, number: int) -> None:
    """Make calls that change something, which are entries of the page."""
    ssm = cloud.client("ssm")
    for count in range(number):
        ssm.put_parameter(Name="bench", Value=str(count), Type="String", Overwrite=True)


def measure_overview(cloud: TestCloud) -> None:
    """Measure the whole document: built again after a change, and unchanged."""
    fresh: list[float] = []
    kept: list[float] = []
    body = b""
    for number in range(CHANGES):
        toggle(cloud, f"overview {number}")
        for times in (fresh, kept):
            began = time.perf_counter()
            with urllib.request.urlopen(f"{cloud.url}/_localcloud/overview") as answer:
                body = answer.read()
            times.append((time.perf_counter() - began) * 1000)
    print(f"{'the overview':44} {len(body) / 1024:8.1f} KiB")
    report("the overview after a change", fresh)
    report("the overview again", kept)


def measure_stream(cloud: TestCloud) -> None:
    """Measure from before the request that changes something to the update in the stream."""
    times = []
    with listening(cloud.url) as stream:
        stream.block()
        for number in range(CHANGES):
            mark = f"stream {number}"
            began = time.perf_counter()
            toggle(cloud, mark)
            while mark not in json.dumps(stream.until_next("pipelines")):
                pass
            times.append((time.perf_counter() - began) * 1000)
    report("a change to the stream", times)


_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_OBSERVE = """
window.firstData = 0;
new MutationObserver(() => {
  if (!window.firstData && document.querySelector('lab-pipeline .stage .card')) {
    requestAnimationFrame(() => { window.firstData = performance.now(); });
  }
}).observe(document, {childList: true, subtree: true});
"""
_SEEN = """
const [mark, done] = arguments;
const look = () => document.querySelector('lab-pipeline')?.textContent.includes(mark);
const tell = () => requestAnimationFrame(() => done(Date.now()));
if (look()) tell(); else {
  const observer = new MutationObserver(() => { if (look()) { observer.disconnect(); tell(); } });
  observer.observe(document, {childList: true, subtree: true, characterData: true});
}
"""


def measure_browser(cloud: TestCloud) -> None:
    """Measure in Chromium: the first paint, the first data, and from a change to the pixel."""
    from tests.page.browser import browsing

    with browsing() as browser:
        browser.size(1280)
        browser.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": _OBSERVE}
        )
        paints, data = [], []
        for _ in range(7):
            browser.driver.get("about:blank")
            browser.driver.get(f"{cloud.url}/_localcloud/")
            data.append(browser.wait("data", lambda: browser.run("return window.firstData")))
            paints.append(browser.wait("the paint", lambda: browser.run(_PAINT)))
        report("first paint", paints)
        report("first paint with data", data)
        times = []
        for number in range(CHANGES):
            mark = f"pixel {number}"
            began: list[float] = []

            def change(mark: str = mark, began: list[float] = began) -> None:
                time.sleep(0.1)
                began.append(time.time() * 1000)
                toggle(cloud, mark)

            thread = threading.Thread(target=change)
            thread.start()
            seen = browser.driver.execute_async_script(_SEEN, mark)
            thread.join()
            times.append(seen - began[0])
        report("a change to the pixel", times)


@contextmanager
def filled(arguments: argparse.Namespace) -> Iterator[TestCloud]:
    """Start a local cloud with many records."""
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory), arguments.executions, arguments.endpoints, arguments.events)
        with local_cloud(speed=1.0, state_dir=Path(directory)) as cloud:
            yield cloud


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=100)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--browser", action="store_true")
    arguments = parser.parse_args()
    with local_cloud(speed=1.0) as cloud:
        time.sleep(5)
        print(f"{'memory of an empty cloud':44} {memory_mib(cloud.pid):8.1f} MiB")
    with filled(arguments) as cloud:
        events(cloud, arguments.events)
        measure_overview(cloud)
        measure_stream(cloud)
        if arguments.browser:
            measure_browser(cloud)


if __name__ == "__main__":
    main()
