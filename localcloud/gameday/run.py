"""A game day: the lab in a local cloud of its own, load, work, and one fault after the other.

The next fault waits until the service is whole again, so that each one's cost is known.
Whole means: the production endpoint is InService with as many instances as it wants, and the last
invocations were answered.

Source: https://docs.aws.amazon.com/wellarchitected/latest/reliability-pillar/rel_testing_resiliency_game_days_resiliency.html
"""

from __future__ import annotations

import signal
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.cli.console import CommandError, out
from localcloud.core.internal_client import RequestFailed
from localcloud.deploy.stacks import saved
from localcloud.gameday.acknowledged import losses
from localcloud.gameday.load import Counts, Load
from localcloud.gameday.report import Report, Row
from localcloud.gameday.schedule import DESCRIPTIONS, Fault, FaultKind
from localcloud.gameday.supervisor import Supervisor
from localcloud.gameday.work import Work

_DELIVERY_SECONDS = 180.0
_WHOLE_SECONDS = 90.0
_LOOK_SECONDS = 0.2
_ANSWERS_IN_A_ROW = 10
_END_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a game day.

    Attributes:
        faults: its schedule.
        directory: where state, log and report are written.
        clients: concurrent clients of the endpoint.
        think_seconds: pause of a client between two calls.
        upload_seconds: pause between the end of a delivery and the next upload.
        speed: AWS seconds per wall-clock second.
    """

    seed: int
    faults: list[Fault]
    directory: Path
    clients: int
    think_seconds: float
    upload_seconds: float
    speed: float


class GameDay:
    """Runs one game day.

    Args:
        project: the project's directory, with Pulumi.yaml.
        options: its options.
    """

    def __init__(self, project: Path, options: Options) -> None:
        self._project, self._options = project, options
        self._cloud = Supervisor(project, options.directory, options.speed)
        self._report = Report(options.seed)
        self._endpoint = ""

    def run(self) -> Report:
        """Run it and return its report.

        Raises:
            CommandError: the lab could not be deployed, or the local cloud did not start again.
        """
        self._options.directory.mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)  # so that the local cloud is stopped, too
        self._cloud.start()
        try:
            work, load = self._prepare()
            self._inject_all(load)
            load.stop()
            work.stop(_END_SECONDS)
            self._report.losses = losses(work.acknowledged, work.found())
            self._count(work, load)
        finally:
            self._cloud.stop()
        self._report.orphans = self._cloud.orphans()
        self._report.write(self._options.directory / "gameday.json")
        return self._report

    def _client(self, service: str) -> Any:
        """Return a client that repeats calls as AWS's SDKs do by default."""
        return boto3.client(
            service,
            endpoint_url=self._cloud.url,
            region_name=DEFAULT_REGION,
            aws_access_key_id=DEFAULT_ACCOUNT,
            aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
            config=Config(
                s3={"addressing_style": "path"},
                retries={"mode": "standard", "total_max_attempts": 5},
                connect_timeout=5,
                read_timeout=65,
            ),
        )

    def _prepare(self) -> tuple[Work, Load]:
        """Deploy the lab, deliver a first model to production, and start load and work."""
        out.print(
            f"  The local cloud answers at {self._cloud.url}; its clock runs at "
            f"{self._options.speed:g} times real time.",
            markup=False,
        )
        with out.status("Deploying the lab"):
            for stack in ("prd", "dev"):
                self._cloud.command("localcloud", "up", stack)
            outputs = saved("dev", self._cloud.url, self._project).outputs
            self._endpoint = outputs["productionEndpointName"]
            self._cloud.command(
                *("localcloud", "image", "push", "model"),
                *("--repository", outputs["repositoryName"]),
                *("--release", outputs["imageParameter"]),
            )
            path = self._options.directory.resolve() / "dataset.zip"
            self._cloud.command("model.dataset", "--table", "iris", "--out", str(path))
        work = Work(
            self._client("s3"),
            self._client("codepipeline"),
            outputs,
            path.read_bytes(),
            self._options.upload_seconds,
        )
        with out.status("Delivering a first model to production"):
            if not work.deliver(_DELIVERY_SECONDS):
                raise CommandError("the first model did not reach production; see the log")
        with zipfile.ZipFile(path) as archive:
            row = archive.read("validation.csv").decode().splitlines()[0].partition(",")[2]
        options = self._options
        load = Load(self._cloud.port, self._endpoint, row, options.clients, options.think_seconds)
        out.print(f"  {self._endpoint} serves; {options.clients} clients invoke it.", markup=False)
        load.start()
        work.start()
        return work, load

    def _inject_all(self, load: Load) -> None:
        self._wait_whole(load)
        for fault in self._options.faults:
            time.sleep(fault.pause_seconds)
            load.take()
            began = time.monotonic()
            row = Row(fault, self._inject(fault))
            time.sleep(fault.hold_seconds)
            if self._wait_whole(load):
                row.whole_after_seconds = round(time.monotonic() - began, 2)
            self._take(row, load.take())
            self._report.rows.append(row)
            self._show(row)

    def _inject(self, fault: Fault) -> str:
        if fault.kind is FaultKind.KILL_CLOUD:
            self._cloud.kill()
            self._cloud.start()
            return "the local cloud"
        if fault.kind is FaultKind.CLOCK_JUMP:
            self._cloud.advance(fault.jump_clock_seconds)
            return f"{fault.jump_clock_seconds / 60:.0f} minutes"
        try:
            return self._cloud.inject(
                kind=fault.kind,
                hold_seconds=fault.hold_seconds,
                pick=fault.pick,
                service=fault.service,
            )
        except RequestFailed as error:
            raise CommandError(f"fault {fault.number}, {fault.kind}: {error}") from None

    def _wait_whole(self, load: Load) -> bool:
        """Wait until the service is whole; return False if it is not in time."""
        sagemaker = self._client("sagemaker")
        load.answers_in_a_row = 0
        deadline = time.monotonic() + _WHOLE_SECONDS
        while time.monotonic() < deadline:
            if load.answers_in_a_row >= _ANSWERS_IN_A_ROW and self._is_whole(sagemaker):
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _is_whole(self, sagemaker: Any) -> bool:
        try:
            found = sagemaker.describe_endpoint(EndpointName=self._endpoint)
        except Exception:  # of the client, while the local cloud fails
            return False
        return found["EndpointStatus"] == "InService" and all(
            variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"]
            for variant in found["ProductionVariants"]
        )

    def _take(self, row: Row, counts: Counts) -> None:
        row.answered, row.lost = counts.answered, sum(counts.lost.values())
        row.reasons = dict(counts.lost)
        row.slowest_seconds = round(counts.slowest_seconds, 2)

    def _show(self, row: Row) -> None:
        fault = row.fault
        whole = (
            "not whole" if row.whole_after_seconds is None else f"{row.whole_after_seconds:.1f} s"
        )
        hit = row.hit or "nothing to hit"
        out.print(
            f"  {fault.number:>4}/{len(self._options.faults)}  {fault.kind:<17} {whole:>9}  "
            f"{row.lost:>4} lost of {row.lost + row.answered:<6} [dim]{hit[:40]}[/dim]"
        )

    def _count(self, work: Work, load: Load) -> None:
        noted = work.acknowledged
        self._report.totals = {
            "invocations": load.total.answered + sum(load.total.lost.values()),
            "objects": len(noted.objects),
            "executions": len(noted.executions),
            "approvals": len(noted.approvals),
            "finished steps": len(noted.steps),
            "stages retried": work.retried,
            "starts of the local cloud": self._cloud.starts,
        }


def _end(number: int, frame: object) -> None:
    del frame
    raise SystemExit(128 + number)


def describe(faults: list[Fault]) -> None:
    """Print the schedule."""
    kinds = dict.fromkeys(fault.kind for fault in faults)
    for kind in kinds:
        count = sum(fault.kind is kind for fault in faults)
        out.print(f"  {count:>4} × {kind:<17} [dim]{DESCRIPTIONS[kind]}[/dim]")
