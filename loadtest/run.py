"""A run: starts the generator, watches the endpoint and writes the files.

generator (child process) ──JSON lines──┐
StateWatcher (thread)     ──latest──────┴→ Sample → terminal, samples.jsonl
at the end: activities, policy, alarms, metric → run.json → report
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from loadtest.address import Address
from loadtest.cloud_clock import CloudClock, read_clock
from loadtest.errors import GeneratorError
from loadtest.objectives import Objectives
from loadtest.observer import EndpointState, Observer, StateWatcher
from loadtest.payloads import Payload, label_variance, read_payloads
from loadtest.provenance import machine, version
from loadtest.replay import Replay, write
from loadtest.samples import RunRecord, Sample, sample_to_line
from loadtest.shapes import Load
from loadtest.signing import find_credentials
from loadtest.terminal_display import Display, create_display

SAMPLES_FILE = "samples.jsonl"
RECORD_FILE = "run.json"
_GENERATOR_LOG = "generator.log"
_REPLAY_FILE = "replay.jsonl"
_WATCH_STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        endpoint: the endpoint's name.
        dataset: the dataset zip whose validation rows are sent, or what the captured requests of
            a replay are called.
        load: the users over time.
        region: the AWS region.
        endpoint_url: URL of a local cloud; None for AWS.
        think_seconds: a user's pause between a response and its next request.
        watch_seconds: time to watch the endpoint after the load, to see it scale in.
        out: the output directory.
        objectives: the limits that the run must meet.
        command: the command of the run, for the report.
        replay: captured requests that are sent instead of rows.
        master: where workers of other machines connect; None to send from this machine.
        max_wait_seconds: how long to wait for them.
    """

    endpoint: str
    dataset: Path
    load: Load
    region: str
    endpoint_url: str | None
    think_seconds: float
    watch_seconds: float
    out: Path
    objectives: Objectives = field(default_factory=Objectives)
    command: str = ""
    replay: Replay | None = None
    master: Address | None = None
    max_wait_seconds: float = 0.0

    @property
    def url(self) -> str:
        """Return the base URL of the runtime service."""
        return self.endpoint_url or f"https://runtime.sagemaker.{self.region}.amazonaws.com"


def run(settings: RunSettings, console: Console) -> RunRecord:
    """Run a load test and write its files; Ctrl-C ends the load early but the files are written.

    Args:
        settings: the settings of the run.
        console: shows the progress.

    Raises:
        UsageError: there are no credentials, the endpoint does not exist, or the dataset cannot be
            read.
        GeneratorError: the load generator failed.
    """
    find_credentials()
    payloads: tuple[Payload, ...] = ()
    if settings.replay is None:
        payloads = read_payloads(settings.dataset.read_bytes(), settings.dataset.name)
    observer = Observer(settings.endpoint, settings.region)
    observer.check()
    settings.out.mkdir(parents=True, exist_ok=True)
    console.print(_described(settings, len(payloads)), highlight=False, soft_wrap=True)
    if settings.master is not None and not settings.master.loopback:
        console.print(
            f"locust's channel has no password: whoever reaches {settings.master} can join this "
            "test or disturb it, so let only your own machines reach it",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if settings.replay is not None:
        write(settings.replay, settings.out / _REPLAY_FILE)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        StateWatcher(observer) as watcher,
        (settings.out / SAMPLES_FILE).open("w", encoding="utf-8") as samples,
        create_display(console, f"load test of {settings.endpoint}") as display,
    ):
        recording = _Recording(watcher, samples, display)
        with _generator(settings) as child:
            clock, final = _follow(child, settings, recording, console)
        if final is None:
            raise GeneratorError(_failure_reason(child, settings.out / _GENERATOR_LOG))
        recording.watch(settings.watch_seconds)
    if final["cut_short"]:
        console.print(
            f"the load was cut short: {final['cut_short']}", highlight=False, soft_wrap=True
        )
    facts = observer.scaling()
    notes = final.pop("notes")
    record = RunRecord(
        endpoint=settings.endpoint,
        region=settings.region,
        url=settings.url,
        shape=settings.load.shape,
        users=settings.load.users,
        duration_seconds=settings.load.duration_seconds,
        dataset=settings.dataset.name if settings.replay is None else str(settings.dataset),
        started=started,
        clock_speed=clock.speed,
        target_value=facts.target_value,
        min_instances=facts.min_instances,
        max_instances=facts.max_instances,
        activities=observer.activities(clock),
        invocations_per_instance=observer.invocations_per_instance(clock, recording.seconds),
        objectives=asdict(settings.objectives),
        requests_wanted=settings.load.requests,
        workers=settings.load.workers,
        rate=settings.load.rate,
        label_variance=label_variance(payloads),
        instance_type=observer.instance_type(),
        command=settings.command,
        version=version(),
        machine=machine(),
        alarms=observer.alarms(facts.alarm_names, clock, recording.seconds),
        **final,
    )
    record = replace(record, notes=[*notes, *observer.notes])
    (settings.out / RECORD_FILE).write_text(record.to_json(), "utf-8")
    return record


def _described(settings: RunSettings, rows: int) -> str:
    start = f"{settings.load.shape} load on {settings.endpoint} at {settings.url}: "
    if settings.replay is None:
        return f"{start}{settings.load.description}, {rows} rows of {settings.dataset.name}"
    replay = settings.replay
    left = f", {replay.left_out} lines left out" if replay.left_out else ""
    return (
        f"replay on {settings.endpoint} at {settings.url}: {len(replay.requests):,} captured "
        f"requests in {replay.seconds:,.0f} s, at most {settings.load.users} in flight{left}"
    )


class _Recording:
    """Combines the generator's statistics with the endpoint's state, for file and terminal."""

    def __init__(self, watcher: StateWatcher, samples: IO[str], display: Display) -> None:
        self._watcher = watcher
        self._samples = samples
        self._display = display
        self._last = Sample(0.0, 0, 0, 0, 0.0)

    @property
    def seconds(self) -> float:
        """Return the time of the last sample, in seconds since the load began."""
        return self._last.t

    def begin(self) -> None:
        """Record the state before the first request."""
        self._add(self._last)

    def stats(self, line: dict[str, Any]) -> None:
        """Record a stats line of the generator."""
        self._add(Sample(**line))

    def watch(self, seconds: float) -> None:
        """Record samples without a load for some seconds; Ctrl-C ends this early."""
        started, offset = time.monotonic(), self._last.t
        idle = replace(self._last, users=0, rps=0.0, p50_ms=None, p95_ms=None, p99_ms=None)
        try:
            while (elapsed := time.monotonic() - started) < seconds:
                time.sleep(min(_WATCH_STEP_SECONDS, seconds - elapsed))
                self._add(replace(idle, t=round(offset + time.monotonic() - started, 3)))
        except KeyboardInterrupt:
            return

    def _add(self, sample: Sample) -> None:
        state: EndpointState = self._watcher.latest
        sample = replace(
            sample,
            current_instances=state.current_instances,
            desired_instances=state.desired_instances,
            endpoint_status=state.status,
        )
        self._last = sample
        self._samples.write(sample_to_line(sample))
        self._samples.flush()
        self._display.show(sample)


def send(settings: RunSettings) -> dict[str, Any]:
    """Send a load without watching an endpoint or writing a report; return the totals.

    Raises:
        GeneratorError: the load generator failed.
    """
    with _generator(settings) as child:
        for line in child.stdout or ():
            message: dict[str, Any] = json.loads(line)
            if message.pop("kind") == "final":
                return message
    raise GeneratorError(_failure_reason(child, settings.out / _GENERATOR_LOG))


@contextmanager
def _generator(settings: RunSettings) -> Iterator[subprocess.Popen[str]]:
    """Start the generator, and make sure that it ends."""
    document = {
        "endpoint": settings.endpoint,
        "url": settings.url,
        "region": settings.region,
        "dataset": str(settings.dataset.resolve()),
        "think_seconds": settings.think_seconds,
        "load": asdict(settings.load),
        "replay": str((settings.out / _REPLAY_FILE).resolve()) if settings.replay else None,
        "local": settings.endpoint_url is not None,
        "master": None,
    }
    if settings.master is not None:
        waited = {"wait_seconds": settings.max_wait_seconds}
        document["master"] = {**asdict(settings.master), **waited}
    # The child must find the package, whatever directory this command was started in.
    root = str(Path(__file__).resolve().parent.parent)
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with (settings.out / _GENERATOR_LOG).open("w", encoding="utf-8") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "loadtest.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": search},
        )
    try:
        assert child.stdin is not None  # noqa: S101 - a pipe was requested above
        with child.stdin as stdin:
            stdin.write(json.dumps(document) + "\n")
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _follow(
    child: subprocess.Popen[str],
    settings: RunSettings,
    recording: _Recording,
    console: Console,
) -> tuple[CloudClock, dict[str, Any] | None]:
    """Record the generator's lines until it ends; return the clock and the final line.

    The final line is None if the generator failed.
    """
    clock = CloudClock(time.time())
    while True:
        try:
            line = child.stdout.readline() if child.stdout is not None else ""
            if not line:
                return clock, None
            message: dict[str, Any] = json.loads(line)
            kind = message.pop("kind")
            if kind == "waiting":
                console.print(message["text"], highlight=False, markup=False, soft_wrap=True)
            elif kind == "started":
                clock = read_clock(settings.endpoint_url)
                recording.begin()
            elif kind == "stats":
                recording.stats(message)
            else:
                return clock, message
        except KeyboardInterrupt:
            child.send_signal(signal.SIGTERM)


def _failure_reason(child: subprocess.Popen[str], log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    message = lines[-1].strip() if lines else "without a message"
    return f"the load generator exited with status {child.returncode}: {message} (see {log})"
