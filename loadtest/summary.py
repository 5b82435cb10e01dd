"""Pure: a record and its samples to the figures that people read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.samples import RunRecord, Sample

# More failures than this, and the run has failed.
MAX_FAILURE_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run; None where there is nothing to say."""

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
    instances_first: int | None
    instances_min: int | None
    instances_max: int | None
    first_scale_out_seconds: float | None
    scaling_activities: int

    @property
    def passed(self) -> bool:
        """Return whether something was sent and at most one request in a hundred failed."""
        return self.requests > 0 and self.failure_share <= MAX_FAILURE_SHARE

    def as_json(self) -> dict[str, Any]:
        """Return the figures and the verdict."""
        return asdict(self) | {"passed": self.passed}


def summarise(record: RunRecord, samples: Sequence[Sample]) -> Summary:
    """Return the figures of a run."""
    instances = [s.current_instances for s in samples if s.current_instances is not None]
    return Summary(
        endpoint=record.endpoint,
        started=record.started,
        seconds=record.load_seconds,
        requests=record.requests,
        failures=record.failures,
        failure_share=record.failures / record.requests if record.requests else 0.0,
        rps=round(record.requests / record.load_seconds, 1) if record.load_seconds else 0.0,
        peak_rps=max((sample.rps for sample in samples), default=0.0),
        p50_ms=record.p50_ms,
        p95_ms=record.p95_ms,
        p99_ms=record.p99_ms,
        max_ms=record.max_ms,
        accuracy=record.correct / record.answers if record.answers else None,
        instances_first=instances[0] if instances else None,
        instances_min=min(instances, default=None),
        instances_max=max(instances, default=None),
        first_scale_out_seconds=first_scale_out(samples),
        scaling_activities=len(record.activities),
    )


def first_scale_out(samples: Sequence[Sample]) -> float | None:
    """Return when more instances served than in the sample before; None if that never was."""
    before: int | None = None
    for sample in samples:
        now = sample.current_instances
        if now is not None:
            if before is not None and now > before:
                return sample.t
            before = now
    return None


def instances_text(sample: Sample) -> str:
    """Return the instances in words: `2`, or `2 → 5` while the count is changing."""
    current, desired = sample.current_instances, sample.desired_instances
    if current is None:
        return "?"
    return str(current) if desired in (None, current) else f"{current} → {desired}"


def milliseconds(value: float | None) -> str:
    """Return a latency in words."""
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"
