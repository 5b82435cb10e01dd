"""Pure: a minute-by-minute explanation of why the endpoint did or did not scale.

Target tracking has two alarms. Three minutes above the target ask for more instances; fifteen
minutes below nine tenths of the target ask for fewer. The scaling activities show what AWS then
did. Where the state of the alarm is known from CloudWatch, the explanation includes it.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.alarms import ALARM, HIGH, LOW, state_at
from loadtest.samples import RunRecord, Sample

_HIGH_MINUTES, _LOW_MINUTES, _LOW = 3, 15, 0.9


@dataclass(frozen=True, slots=True)
class MinuteExplanation:
    """The explanation of one minute of the metric.

    Attributes:
        start: start of the minute, in seconds since the load began.
        value: invocations per instance in the minute.
        instances: instances in service at its end; None if unknown.
        text: the scaling activity in the minute, or the reason why there was none.
    """

    start: float
    value: float
    instances: int | None
    text: str


def explain(record: RunRecord, samples: Sequence[Sample]) -> list[MinuteExplanation]:
    """Return an explanation for each minute of the run; an empty list without a target."""
    if record.target_value is None:
        return []
    above = below = 0
    explanations = []
    for point in record.invocations_per_instance:
        end = point.start + point.seconds
        above = above + 1 if point.value > record.target_value else 0
        below = below + 1 if point.value < record.target_value * _LOW else 0
        instances = _instances_at(samples, end)
        started = [a.description for a in record.activities if point.start <= a.start - 1e-6 < end]
        text = started[-1] if started else _reason(record, above, below, instances)
        if above or below:
            text += _alarm_state(record, HIGH if above else LOW, end)
        explanations.append(MinuteExplanation(point.start, point.value, instances, text))
    return explanations


def _reason(record: RunRecord, above: int, below: int, instances: int | None) -> str:
    target = record.target_value or 0.0
    if above:
        if above < _HIGH_MINUTES:
            return f"above {target:g} for {above} of {_HIGH_MINUTES} minutes: not long enough"
        if instances is not None and instances == record.max_instances:
            return f"above {target:g}, but already at the maximum of {instances}"
        return f"above {target:g} for {above} minutes: a cooldown or a change is in progress"
    if below:
        if below < _LOW_MINUTES:
            limit = target * _LOW
            return f"below {limit:g} for {below} of {_LOW_MINUTES} minutes: not long enough"
        if instances is not None and instances == record.min_instances:
            return f"below {target * _LOW:g}, but already at the minimum of {instances}"
        return f"below {target * _LOW:g} for {below} minutes: a cooldown or a change is in progress"
    return f"between {target * _LOW:g} and {target:g}: on target"


def _alarm_state(record: RunRecord, alarm: str, moment: float) -> str:
    state = state_at(record.alarms, alarm, moment)
    if state is None:
        return ""
    since = f" since {state.start:.1f} s" if state.state == ALARM else ""
    return f" ({alarm}: {state.state}{since})"


def _instances_at(samples: Sequence[Sample], moment: float) -> int | None:
    known = [s.current_instances for s in samples if s.t <= moment and s.current_instances]
    return known[-1] if known else None
