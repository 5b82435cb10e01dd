"""An endpoint with a monitor, as the commands use it: send traffic, wait for runs, read alarms.

Only AWS's public APIs, and the clock of the local cloud. Must not: know how traffic is changed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.cli.console import CommandError, client
from localcloud.core.internal_client import get, post
from localcloud.core.schedule_expression import next_due

_HANDLER = "lambda_src.run_monitor.handler"
_SENDERS = 8
_RUN_SECONDS, _CAPTURE_SECONDS = 120.0, 15.0
_POLL_SECONDS = 0.1
# What a capture is written after, in seconds of the cloud's clock.
_FLUSH_CLOCK_SECONDS = 15
# As many captures as give three times the rows that a verdict needs.
_TIMES_MINIMUM = 3
MOST_REQUESTS = 50_000


@dataclass(frozen=True, slots=True)
class MonitorRun:
    """A run of the monitor that has ended.

    Attributes:
        name: the run's name, which is its directory below `monitor/runs/`.
        report: its report, which `monitor.json` holds.
        time: when the schedule started it, by the cloud's clock.
    """

    name: str
    report: dict[str, Any]
    time: datetime


class MonitoredEndpoint:
    """An endpoint of the local cloud whose captures are monitored.

    Args:
        url: the local cloud's.
        endpoint: the endpoint's name; None for the only one that is monitored, or production's.

    Raises:
        CommandError: there is none.
    """

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        self._url = url
        self._s3, self._sagemaker = client("s3", url), client("sagemaker", url)
        self._cloudwatch = client("cloudwatch", url)
        function = self._function(endpoint)
        variables = function["Environment"]["Variables"]
        self.name: str = variables["ENDPOINT_NAME"]
        self.bucket: str = variables["BUCKET"]
        self.minimum_rows = int(variables["MONITOR_MINIMUM_ROWS"])
        self.psi_drift = float(variables["MONITOR_PSI_DRIFT"])
        self._captures = f"{variables['CAPTURE_PREFIX']}/{self.name}/{variables['VARIANT_NAME']}/"
        self.schedule = self._schedule(function["FunctionArn"])
        described = self._sagemaker.describe_endpoint(EndpointName=self.name)
        self.percent = int(described["DataCaptureConfig"]["CurrentSamplingPercentage"])
        self._seen = {name for name, _ in self._runs()}

    def _function(self, endpoint: str | None) -> dict[str, Any]:
        pages = client("lambda", self._url).get_paginator("list_functions").paginate()
        found = {
            f["Environment"]["Variables"]["ENDPOINT_NAME"]: f
            for page in pages
            for f in page["Functions"]
            if f.get("Handler") == _HANDLER
        }
        if endpoint is None:
            chosen = [name for name in found if name.endswith("-production")] or list(found)
            endpoint = chosen[0] if len(chosen) == 1 else None
        if endpoint not in found:
            known = ", ".join(sorted(found)) or "none; set dataCapturePercent and monitorSchedule"
            raise CommandError(
                f"no monitored endpoint {endpoint or 'was named'}; those with a monitor: {known}"
            )
        return dict(found[endpoint])

    def _schedule(self, function_arn: str) -> str:
        events = client("events", self._url)
        for name in events.list_rule_names_by_target(TargetArn=function_arn)["RuleNames"]:
            expression = events.describe_rule(Name=name).get("ScheduleExpression")
            if expression:
                return str(expression)
        raise CommandError(f"the monitor of {self.name} has no schedule")

    @property
    def requests_for_a_verdict(self) -> int:
        """The number of requests of which enough are captured, three times over."""
        wanted = _TIMES_MINIMUM * self.minimum_rows * 100 / self.percent
        return min(MOST_REQUESTS, math.ceil(wanted))

    def now(self) -> datetime:
        """Return the time of the cloud's clock."""
        document = json.loads(get(f"{self._url}/_localcloud/clock"))
        return datetime.fromtimestamp(document["now"], UTC)

    def advance(self, seconds: float) -> None:
        """Advance the cloud's clock."""
        post(f"{self._url}/_localcloud/clock?advance_seconds={seconds}", b"")

    def send(
        self, rows: Sequence[str], ids: Sequence[str], shown: Callable[[int], None] | None = None
    ) -> int:
        """Ask for a prediction of each row, and wait until what was sampled is in S3.

        Args:
            rows: CSV lines.
            ids: an inference id for each.
            shown: gets the number of the requests that were answered, from time to time.

        Returns: the number of captures that were written.
        """
        before, asked = self._captured(), 0
        with ThreadPoolExecutor(_SENDERS) as pool:
            runtimes = [client("sagemaker-runtime", self._url) for _ in range(_SENDERS)]

            def ask(at: int) -> None:
                runtimes[at % _SENDERS].invoke_endpoint(
                    EndpointName=self.name,
                    ContentType="text/csv",
                    Body=rows[at].encode(),
                    InferenceId=ids[at],
                )

            for _ in pool.map(ask, range(len(rows))):
                asked += 1
                if shown is not None and asked % 100 == 0:
                    shown(asked)
        self.advance(_FLUSH_CLOCK_SECONDS)
        return self._settled() - before

    def _captured(self) -> int:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._captures
        )
        return sum(len(page.get("Contents", [])) for page in pages)

    def _settled(self) -> int:
        """Return the number of capture files once no more are written."""
        deadline, known = time.monotonic() + _CAPTURE_SECONDS, -1
        while time.monotonic() < deadline:
            found = self._captured()
            if found == known:
                break
            known = found
            time.sleep(3 * _POLL_SECONDS)
        return known

    def add_labels(self, name: str, ids: Sequence[str], labels: Sequence[str]) -> None:
        """Write labels that came later, a CSV file below `ground-truth/`."""
        pairs = zip(ids, labels, strict=True)
        text = "".join(f"{key},{label}\n" for key, label in pairs)
        self._s3.put_object(Bucket=self.bucket, Key=f"ground-truth/{name}.csv", Body=text.encode())

    def forget_runs(self) -> None:
        """Leave the runs until now out of `next_runs`."""
        self._seen |= {name for name, _ in self._runs()}

    def next_runs(self) -> list[MonitorRun]:
        """Return the runs that have ended since the last call, the oldest first.

        Without any, the clock is advanced to the schedule's next time, and that run is awaited.

        Raises:
            CommandError: a run failed, or none ended in two minutes.
        """
        found = self._ended()
        if found:
            return found
        now = self.now()
        due = next_due(self.schedule, "UTC", now, now)
        if due is None:
            raise CommandError(f"{self.schedule} is never due again")
        self.advance((due - now).total_seconds() + 1)
        deadline = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < deadline:
            found = self._ended()
            if found:
                return found
            time.sleep(_POLL_SECONDS)
        raise CommandError(f"no run of the monitor ended within {_RUN_SECONDS:g} s")

    def _ended(self) -> list[MonitorRun]:
        found = []
        for name, status in reversed(self._runs()):
            if name in self._seen or status in ("InProgress", "Stopping"):
                continue
            self._seen.add(name)
            if status != "Completed":
                described = self._sagemaker.describe_processing_job(ProcessingJobName=name)
                reason = described.get("ExitMessage", described.get("FailureReason", status))
                raise CommandError(f"the monitor's run {name} failed: {reason}")
            # The partials of several instances are merged by another job.
            if not name.endswith("-shards"):
                found.append(self._run(name))
        return found

    def _runs(self) -> list[tuple[str, str]]:
        jobs = self._sagemaker.list_processing_jobs(
            NameContains=f"{self.name}-monitor", SortBy="CreationTime", SortOrder="Descending"
        )["ProcessingJobSummaries"]
        return [(job["ProcessingJobName"], job["ProcessingJobStatus"]) for job in jobs]

    def _run(self, job: str) -> MonitorRun:
        name = job.removesuffix("-merge")
        body = self._s3.get_object(Bucket=self.bucket, Key=f"monitor/runs/{name}/monitor.json")[
            "Body"
        ]
        stamp = "-".join(name.rsplit("-", 2)[1:])
        began = datetime.strptime(stamp, "%Y%m%d-%H%M").replace(tzinfo=UTC)
        return MonitorRun(name, json.loads(body.read()), began)

    def report_file(self, run: MonitorRun, name: str) -> bytes:
        """Return a file of a run's report, such as `trend.html`."""
        key = f"monitor/runs/{run.name}/{name}"
        content: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def alarm(self, purpose: str = "drift") -> str:
        """Return the state of one of the monitor's alarms; empty without that alarm."""
        found = self._cloudwatch.describe_alarms(AlarmNames=[f"{self.name}-{purpose}"])
        return str(found["MetricAlarms"][0]["StateValue"]) if found["MetricAlarms"] else ""

    def wait_for_alarm(self, state: str, purpose: str = "drift", seconds: float = 15.0) -> bool:
        """Return whether an alarm gets into a state in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.alarm(purpose) == state:
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def version(self) -> dict[str, Any]:
        """Return the version of the registry that the endpoint serves."""
        sagemaker = self._sagemaker
        endpoint = sagemaker.describe_endpoint(EndpointName=self.name)
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
        tags = sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"]
        arn = next(tag["Value"] for tag in tags if tag["Key"] == "ModelPackageArn")
        return dict(sagemaker.describe_model_package(ModelPackageName=arn))

    def model(self) -> bytes:
        """Return the model.tar.gz that the endpoint serves."""
        (container,) = self.version()["InferenceSpecification"]["Containers"]
        return self.object_of(container["ModelDataUrl"])

    def object_of(self, uri: str) -> bytes:
        """Return an object of S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content
