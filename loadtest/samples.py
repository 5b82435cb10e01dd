"""Pure: what is recorded of a run, and its JSON lines.

samples.jsonl  one Sample about every half second
run.json       one RunRecord: the settings, the totals and what the services said
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
        users: locust users now.
        requests: answered so far, failures included.
        failures: failed so far.
        rps: requests a second over the last two seconds.
        p50_ms, p95_ms, p99_ms: latency over the last two seconds, None without requests.
        current_instances, desired_instances: of the variant, None if unknown.
        endpoint_status: as DescribeEndpoint says, None if unknown.
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
    """One scaling activity, its moments in seconds since the load began."""

    start: float
    end: float | None
    status: str
    description: str
    cause: str


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """The sum of a metric over a period that began at `start`, in seconds since the load began."""

    start: float
    seconds: float
    value: float


@dataclass(frozen=True, slots=True)
class AlarmState:
    """A state of an alarm from `start` on, in seconds since the load began, and its reason."""

    start: float
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScalingAlarm:
    """An alarm of a scaling policy: its name, when it goes off, its states, the first at 0."""

    name: str
    condition: str
    states: list[AlarmState]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A whole run, without its samples.

    Attributes:
        endpoint, region, url, shape, users, duration_seconds, dataset: what was asked for.
        started: UTC, ISO 8601.
        clock_speed: cloud seconds a wall second.
        requests, failures, answers, correct: totals; `correct` of `answers` had the right label.
        squared_error: of a regression's answers, summed.
        label_variance: of the values that a regression should answer; None for classes.
        load_seconds: from the first request to the end of the load.
        p50_ms, p95_ms, p99_ms, max_ms: of all requests.
        errors: how often each failure was seen.
        target_value: of the target-tracking policy, invocations per instance and minute.
        min_instances, max_instances: of the scalable target.
        notes: what could not be read, and why.
        objectives: what the run is held to, as Objectives has it.
        requests_wanted: how many were to end the load; None is without end.
        workers: processes that sent it.
        cut_short: why the load ended before its end; empty if it did not.
        alarms: those of the scaling policies; empty in runs of before they were recorded.
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
    cut_short: str = ""
    alarms: list[ScalingAlarm] = field(default_factory=list)
    squared_error: float = 0.0
    label_variance: float | None = None

    def to_json(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record of a JSON text; keys of a later version are left out.

        Raises:
            ValueError: it is not such a record.
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
    """Return the JSON line of a sample."""
    return json.dumps(asdict(sample), separators=(",", ":")) + "\n"


def read_samples(lines: Iterable[str]) -> list[Sample]:
    """Return the samples of JSON lines; a line cut off by a kill is left out.

    Raises:
        ValueError: a line is JSON but no sample.
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
        raise ValueError(f"a JSON object is expected for {kind.__name__}")
    names = {item.name for item in fields(kind)}
    return {key: value for key, value in document.items() if key in names}
