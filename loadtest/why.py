"""Pure: minute by minute, why the endpoint did or did not scale.

Target tracking has two alarms: three minutes above the target ask for more instances, fifteen
below nine tenths of it for fewer. What AWS then did is in the activities.

Beside it stands what CloudWatch said of the alarm, where that is known.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.alarms import ALARM, HIGH, LOW, state_at
from loadtest.samples import RunRecord, Sample

_HIGH_MINUTES, _LOW_MINUTES, _LOW = 3, 15, 0.9


@dataclass(frozen=True, slots=True)
class Why:
    """One minute of the metric: when, how much, by how many instances, and what follows."""

    start: float
    value: float
    instances: int | None
    text: str


def explain(record: RunRecord, samples: Sequence[Sample]) -> list[Why]:
    """Return a line for each minute of the run; none without a target."""
    if record.target_value is None:
        return []
    above = below = 0
    lines = []
    for point in record.invocations_per_instance:
        end = point.start + point.seconds
        above = above + 1 if point.value > record.target_value else 0
        below = below + 1 if point.value < record.target_value * _LOW else 0
        instances = _instances_at(samples, end)
        began = [a.description for a in record.activities if point.start <= a.start - 1e-6 < end]
        text = began[-1] if began else _state(record, above, below, instances)
        if above or below:
            text += _said(record, HIGH if above else LOW, end)
        lines.append(Why(point.start, point.value, instances, text))
    return lines


def _state(record: RunRecord, above: int, below: int, instances: int | None) -> str:
    target = record.target_value or 0.0
    if above:
        if above < _HIGH_MINUTES:
            return f"above {target:g} for {above} of {_HIGH_MINUTES} minutes: not long enough"
        if instances is not None and instances == record.max_instances:
            return f"above {target:g}, but already at the maximum of {instances}"
        return f"above {target:g} for {above} minutes: a cooldown or a change is under way"
    if below:
        if below < _LOW_MINUTES:
            limit = target * _LOW
            return f"below {limit:g} for {below} of {_LOW_MINUTES} minutes: not long enough"
        if instances is not None and instances == record.min_instances:
            return f"below {target * _LOW:g}, but already at the minimum of {instances}"
        return f"below {target * _LOW:g} for {below} minutes: a cooldown or a change is under way"
    return f"between {target * _LOW:g} and {target:g}: as it should be"


def _said(record: RunRecord, alarm: str, moment: float) -> str:
    state = state_at(record.alarms, alarm, moment)
    if state is None:
        return ""
    since = f" since {state.start:.1f} s" if state.state == ALARM else ""
    return f" ({alarm}: {state.state}{since})"


def _instances_at(samples: Sequence[Sample], moment: float) -> int | None:
    known = [s.current_instances for s in samples if s.t <= moment and s.current_instances]
    return known[-1] if known else None
