"""Pure: the records of a run, and their JSON files.

samples.jsonl  one Sample about every half second
run.json       one RunRecord: the settings, the totals, and the data read from AWS
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a run.

    Attributes:
        t: seconds since the load began.
        users: locust users that are running.
        requests: requests answered so far, including failures.
        failures: requests failed so far.
        rps: requests per second over the last two seconds.
        p50_ms, p95_ms, p99_ms: latency over the last two seconds; None without requests.
        current_instances, desired_instances: the variant's instance counts; None if unknown.
        endpoint_status: EndpointStatus of DescribeEndpoint; None if unknown.
    """

    t: float
    users: int
    requests: int
    failures: int
    rps: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    current_instances: int | None = None
    desired_instances: int | None = None
    endpoint_status: str | None = None


@dataclass(frozen=True, slots=True)
class ScalingActivity:
    """One scaling activity; start and end in seconds since the load began."""

    start: float
    end: float | None
    status: str
    description: str
    cause: str


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """The sum of a metric over one period; its start in seconds since the load began."""

    start: float
    seconds: float
    value: float


@dataclass(frozen=True, slots=True)
class AlarmState:
    """A state of an alarm, the reason, and its start in seconds since the load began."""

    start: float
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScalingAlarm:
    """An alarm of a scaling policy: its name, its condition, and its states, the first at 0."""

    name: str
    condition: str
    states: list[AlarmState]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A whole run, without its samples.

    Attributes:
        endpoint, region, url, shape, users, duration_seconds, dataset: the run's settings.
        started: time of the start, UTC, ISO 8601.
        clock_speed: cloud seconds per second of real time.
        requests, failures, answers, correct: totals; `correct` of the `answers` had the right
            label.
        squared_error: sum of the squared errors of a regression's predictions.
        label_variance: variance of the values that a regression should predict; None for classes.
        load_seconds: seconds from the first request to the end of the load.
        p50_ms, p95_ms, p99_ms, max_ms: latency of all requests.
        errors: number of failures by error message.
        target_value: target of the target-tracking policy, invocations per instance and minute.
        min_instances, max_instances: limits of the scalable target.
        notes: operations that failed, with their errors, and warnings.
        objectives: the fields of Objectives.
        requests_wanted: number of requests that the load had to send; None for no limit.
        workers: number of processes that sent the load.
        hosts: names of the other machines that sent the load, one for each worker; empty if this
            machine sent it.
        cut_short: the reason why the load ended early; empty if it did not.
        alarms: alarms of the scaling policies; empty in records of earlier versions.
        rate: requests/s at the peak of an open load; None for a closed one.
        due: requests of an open load's schedule until its end; None for a closed one.
        lateness_p99_ms: how late the generator sent them; None for a closed load.
        delay_p99_ms: how long an answer waited in the generator, which its latency includes; None
            in records of earlier versions.
        instance_type: the variant's instance type; None if it could not be read.
        command, version, machine: how to repeat the run; empty in records of earlier versions.
    """

    endpoint: str
    region: str
    url: str
    shape: str
    users: int
    duration_seconds: float
    dataset: str
    started: str
    clock_speed: float = 1.0
    requests: int = 0
    failures: int = 0
    answers: int = 0
    correct: int = 0
    load_seconds: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    errors: dict[str, int] = field(default_factory=dict)
    target_value: float | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    activities: list[ScalingActivity] = field(default_factory=list)
    invocations_per_instance: list[MetricPoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    objectives: dict[str, float | None] = field(default_factory=dict)
    requests_wanted: int | None = None
    workers: int = 1
    hosts: list[str] = field(default_factory=list)
    cut_short: str = ""
    alarms: list[ScalingAlarm] = field(default_factory=list)
    squared_error: float = 0.0
    label_variance: float | None = None
    rate: float | None = None
    due: int | None = None
    lateness_p99_ms: float | None = None
    delay_p99_ms: float | None = None
    instance_type: str | None = None
    command: str = ""
    version: str = ""
    machine: str = ""

    def to_json(self) -> str:
        """Return the content of run.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record in the content of run.json; unknown keys of later versions are ignored.

        Raises:
            ValueError: the text is not a record.
        """
        document = _known(cls, json.loads(text))
        try:
            document["activities"] = [
                ScalingActivity(**item) for item in document.get("activities", [])
            ]
            document["invocations_per_instance"] = [
                MetricPoint(**item) for item in document.get("invocations_per_instance", [])
            ]
            document["alarms"] = [_alarm(item) for item in document.get("alarms", [])]
            return cls(**document)
        except TypeError as error:
            raise ValueError(str(error)) from None


def _alarm(document: dict[str, Any]) -> ScalingAlarm:
    states = [AlarmState(**state) for state in document.pop("states", [])]
    return ScalingAlarm(**document, states=states)


def sample_to_line(sample: Sample) -> str:
    """Return a sample as a line of samples.jsonl."""
    return json.dumps(asdict(sample), separators=(",", ":")) + "\n"


def read_samples(lines: Iterable[str]) -> list[Sample]:
    """Return the samples of the lines of samples.jsonl; an incomplete last line is ignored.

    Raises:
        ValueError: a line is not a sample.
    """
    samples = []
    for line in lines:
        if not line.endswith("\n"):
            break
        try:
            samples.append(Sample(**_known(Sample, json.loads(line))))
        except TypeError as error:
            raise ValueError(str(error)) from None
    return samples


def _known(kind: type, document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"{kind.__name__} must be a JSON object")
    names = {item.name for item in fields(kind)}
    return {key: value for key, value in document.items() if key in names}
