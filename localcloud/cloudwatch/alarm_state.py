"""The state of a metric alarm from its datapoints: M out of N, and missing data. Pure.

`alarm_evaluator.py` calls it every ten clock seconds, and the autoscaling simulator for every
simulated minute.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The evaluation range is longer than the evaluation periods: in the examples of AWS's page an alarm
# with three evaluation periods reads five datapoints.
RANGE_BEYOND_PERIODS = 2

_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True, slots=True)
class MetricAlarm:
    """The settings of a metric alarm that decide its state.

    Attributes:
        comparison: a ComparisonOperator of PutMetricAlarm.
        threshold: in the metric's unit.
        evaluation_periods: the N of "M out of N", 1 or more.
        datapoints_to_alarm: the M, 1 to `evaluation_periods`.
        treat_missing_data: missing, ignore, breaching or notBreaching.
    """

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str = "missing"


def breaches(alarm: MetricAlarm, value: float) -> bool:
    """Return whether a datapoint breaches an alarm's threshold."""
    return _BREACHES[alarm.comparison](value, alarm.threshold)


def evaluate(alarm: MetricAlarm, values: Sequence[float | None]) -> str | None:
    """Return the state of an alarm from its evaluation range, or None to retain the current state.

    Args:
        alarm: the alarm's settings.
        values: the evaluation range: one value per period, oldest first; None for a period without
            data. It is longer than `evaluation_periods`, because real datapoints take precedence
            over filled ones.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarms-and-missing-data
    """
    known = [breaches(alarm, value) for value in values if value is not None]
    known = known[-alarm.evaluation_periods :]
    breaching, missing = sum(known), alarm.evaluation_periods - len(known)
    if missing and alarm.treat_missing_data == "breaching":
        breaching += missing
    elif (
        missing
        and alarm.treat_missing_data != "notBreaching"
        and all(known)
        and breaching < alarm.datapoints_to_alarm
    ):
        if alarm.treat_missing_data == "ignore":
            return None
        # A single breaching datapoint must not raise the alarm too early, but it must not be
        # forgotten either if no other datapoint follows it.
        oldest = next((i for i, value in enumerate(values) if value is not None), len(values))
        premature = len(values) - oldest < alarm.datapoints_to_alarm
        return "INSUFFICIENT_DATA" if premature else "ALARM"
    return "ALARM" if breaching >= alarm.datapoints_to_alarm else "OK"
