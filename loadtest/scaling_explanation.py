"""Pure: an explanation, from the metric and the alarms, of why the endpoint did or did not scale.

Target tracking has two alarms. Three minutes above the target set off the high alarm, which asks
for more instances; fifteen minutes below nine tenths of the target set off the low alarm, which
asks for fewer. The scaling activities show what AWS then did. What was not observed is not stated:
where an alarm asked and nothing followed, the text says so, and guesses no cause.

Consecutive minutes with the same explanation are one line.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtest.alarms import ALARM, HIGH, LOW, state_at
from loadtest.samples import RunRecord, Sample, ScalingActivity

_HIGH_MINUTES, _LOW_MINUTES, _LOW = 3, 15, 0.9
_ON_TARGET, _ABOVE, _BELOW, _ACTIVITY = "on target", "above", "below", "activity"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of consecutive minutes of the metric.

    Attributes:
        start, end: in seconds since the load began.
        minutes: number of minutes.
        lowest, highest: invocations per instance in a minute.
        instances: instances in service at the end; None if unknown.
        text: the scaling activity, or the reason why there was none.
    """

    start: float
    end: float
    minutes: int
    lowest: float
    highest: float
    instances: int | None
    text: str


def explain(record: RunRecord, samples: Sequence[Sample]) -> list[Explanation]:
    """Return explanations of the minutes of a run, in order; an empty list without a target."""
    if record.target_value is None:
        return []
    target, low = record.target_value, record.target_value * _LOW
    above = below = 0
    found: list[tuple[tuple[object, ...], Explanation]] = []
    for point in record.invocations_per_instance:
        end = point.start + point.seconds
        above = above + 1 if point.value > target else 0
        below = below + 1 if point.value < low else 0
        instances = _instances_at(samples, end)
        activity = _started(record, point.start, end)
        if activity is not None:
            kind: tuple[object, ...] = (_ACTIVITY, activity.start)
            text = activity.description
        elif above:
            kind, text = _side(record, _ABOVE, above, instances, end)
        elif below:
            kind, text = _side(record, _BELOW, below, instances, end)
        else:
            kind, text = (_ON_TARGET,), f"between {low:g} and {target:g}: on target"
        kind = (*kind, instances)
        line = Explanation(point.start, end, 1, point.value, point.value, instances, text)
        if found and found[-1][0] == kind:
            line = _joined(found.pop()[1], line)
        found.append((kind, line))
    return [line for _, line in found]


def _joined(first: Explanation, last: Explanation) -> Explanation:
    return replace(
        last,
        start=first.start,
        minutes=first.minutes + 1,
        lowest=min(first.lowest, last.lowest),
        highest=max(first.highest, last.highest),
    )


def _side(
    record: RunRecord, side: str, minutes: int, instances: int | None, end: float
) -> tuple[tuple[object, ...], str]:
    """Return what makes two minutes the same, and the text, of a minute off the target."""
    target = record.target_value or 0.0
    if side == _ABOVE:
        limit, needed, alarm = target, _HIGH_MINUTES, HIGH
        bound, name = record.max_instances, "maximum"
    else:
        limit, needed, alarm = target * _LOW, _LOW_MINUTES, LOW
        bound, name = record.min_instances, "minimum"
    begins = f"{side} {limit:g}"
    if instances is not None and instances == bound:
        return (side, "bound"), f"{begins}, but already at the {name} of {instances}"
    state = state_at(record.alarms, alarm, end)
    if state is not None and state.state == ALARM:
        since = f"{alarm} in ALARM since {state.start:.1f} s"
        return (side, ALARM, state.start), f"{begins}; {since}; {_after_alarm(record, end)}"
    known = "" if state is None else f" ({alarm}: {state.state})"
    if minutes < needed:
        return (
            side,
            "short",
        ), f"{begins} for {minutes} of {needed} minutes: not long enough{known}"
    if state is None:
        return (side, "unknown"), f"{begins} for {minutes} minutes; the alarm's state is unknown"
    return (side, state.state), f"{begins} for {minutes} minutes, but the {alarm} is {state.state}"


def _after_alarm(record: RunRecord, moment: float) -> str:
    """Return what the scaling activities before a moment say of an alarm that asks."""
    before = [activity for activity in record.activities if activity.start <= moment]
    if not before:
        return "no scaling activity yet"
    last = before[-1]
    if last.end is None or last.end > moment:
        return f"the activity of {last.start:.1f} s is in progress"
    return f"no activity since the one of {last.start:.1f} s"


def _started(record: RunRecord, start: float, end: float) -> ScalingActivity | None:
    started = [one for one in record.activities if start <= one.start - 1e-6 < end]
    return started[-1] if started else None


def _instances_at(samples: Sequence[Sample], moment: float) -> int | None:
    known = [s.current_instances for s in samples if s.t <= moment and s.current_instances]
    return known[-1] if known else None
