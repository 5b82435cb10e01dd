"""Pure: summarizes a run's record and samples as the figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import sqrt
from typing import Any

from loadtest.objectives import ACCURACY, R2, Objectives, Verdict, judge
from loadtest.samples import RunRecord, Sample


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run; None for values that could not be measured.

    Attributes:
        seconds: duration of the load.
        rps: mean requests per second over the load.
        peak_rps: largest rate over two seconds.
        accuracy: share of correct labels, 0 to 1; None for a regression.
        r2: share of the labels' variance that a regression's predictions explain.
        rmse: root of a regression's mean squared error.
        first_scale_out_seconds: time until the first additional instance was in service.
        verdicts: one for each objective.
    """

    endpoint: str
    started: str
    seconds: float
    requests: int
    failures: int
    failure_share: float
    rps: float
    peak_rps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    accuracy: float | None
    r2: float | None
    rmse: float | None
    instances_first: int | None
    instances_min: int | None
    instances_max: int | None
    first_scale_out_seconds: float | None
    scaling_activities: int
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        """Return True if every objective was met."""
        return all(verdict.met for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Return the content of summary.json."""
        verdicts = [verdict.as_json() for verdict in self.verdicts]
        return asdict(self) | {"verdicts": verdicts, "passed": self.passed}


def summarize(record: RunRecord, samples: Sequence[Sample]) -> Summary:
    """Return the figures of a run."""
    instances = [s.current_instances for s in samples if s.current_instances is not None]
    failure_share = record.failures / record.requests if record.requests else 0.0
    accuracy, r2, rmse = _prediction_quality(record)
    scaled = first_scale_out(samples)
    verdicts = judge(
        Objectives(**_known(record.objectives)),
        requests=record.requests,
        requests_wanted=record.requests_wanted,
        cut_short=record.cut_short,
        failure_share=failure_share,
        p99_ms=record.p99_ms,
        score=(ACCURACY, accuracy) if record.label_variance is None else (R2, r2),
        scale_out_seconds=scaled,
        due=record.due,
        lateness_ms=record.lateness_p99_ms,
    )
    rps = round(record.requests / record.load_seconds, 1) if record.load_seconds else 0.0
    return Summary(
        endpoint=record.endpoint,
        started=record.started,
        seconds=record.load_seconds,
        requests=record.requests,
        failures=record.failures,
        failure_share=failure_share,
        rps=rps,
        # A sample's rate covers two seconds, which may be longer than a short load.
        peak_rps=max([rps, *(sample.rps for sample in samples)]),
        p50_ms=record.p50_ms,
        p95_ms=record.p95_ms,
        p99_ms=record.p99_ms,
        max_ms=record.max_ms,
        accuracy=accuracy,
        r2=r2,
        rmse=rmse,
        instances_first=instances[0] if instances else None,
        instances_min=min(instances, default=None),
        instances_max=max(instances, default=None),
        first_scale_out_seconds=scaled,
        scaling_activities=len(record.activities),
        verdicts=verdicts,
    )


def _prediction_quality(record: RunRecord) -> tuple[float | None, float | None, float | None]:
    """Return accuracy, R² and RMSE.

    All rows are sent about equally often, so R² uses the variance of the dataset's labels.
    """
    if not record.answers:
        return None, None, None
    if record.label_variance is None:
        return record.correct / record.answers, None, None
    mean = record.squared_error / record.answers
    return None, 1 - mean / record.label_variance if record.label_variance else 0.0, sqrt(mean)


def _known(objectives: dict[str, float | None]) -> dict[str, Any]:
    """Return the objectives that this version knows; a record may come from a later version."""
    names = {field.name for field in fields(Objectives)}
    return {name: value for name, value in objectives.items() if name in names}


def first_scale_out(samples: Sequence[Sample]) -> float | None:
    """Return the time of the first sample with more instances than the one before it.

    It is in seconds since the load began; None if there was no such sample.
    """
    before: int | None = None
    for sample in samples:
        now = sample.current_instances
        if now is not None:
            if before is not None and now > before:
                return sample.t
            before = now
    return None


def instances_text(sample: Sample) -> str:
    """Return the instance count for display: `2`, or `2 → 5` while it is changing."""
    current, desired = sample.current_instances, sample.desired_instances
    if current is None:
        return "?"
    return str(current) if desired in (None, current) else f"{current} → {desired}"


def milliseconds(value: float | None) -> str:
    """Return a latency for display."""
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"
