"""The keys of the configuration that shape an endpoint: what each may hold, and together.

Pure. Owns the limits of endpoint settings. Must not: read ``pulumi.Config``.
"""

import json
import re
import zoneinfo
from typing import Any, TypedDict

from components.settings import (
    AlarmSettings,
    EndpointSettings,
    ScalingSettings,
    ScheduledCapacity,
    TrafficShifting,
    UpdateSettings,
)
from components.settings_reader import SettingsReader


class _Text(TypedDict):
    pattern: re.Pattern[str]
    allowed: str
    example: str


INSTANCE_TYPE = _Text(
    pattern=re.compile(r"ml\.[a-z]+\d[a-z0-9-]*\.(medium|large|xlarge|\d{1,3}xlarge)"),
    allowed="a SageMaker instance type, ml.FAMILY.SIZE",
    example="ml.m5.large",
)
# SageMaker's longest update (MaximumExecutionTimeoutInSeconds), less half an hour for the fleet.
LONGEST_BAKE_SECONDS = 28_800 - 1_800
_LIMITS = {TrafficShifting.CANARY: (1, 50), TrafficShifting.LINEAR: (10, 50)}
_SCHEDULE = re.compile(r"(at|rate|cron)\([^()]+\)")
_SCHEDULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SCHEDULE_KEYS = {"name", "schedule", "min", "max"}
_SCHEDULE_EXAMPLE = (
    '[{"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min": 4, "max": 10}]'
)


def endpoint(reader: SettingsReader) -> EndpointSettings:
    """Read an endpoint's settings; problems stay with the reader."""
    instance_type = reader.text("instanceType", **INSTANCE_TYPE)
    initial = reader.whole_number("initialInstanceCount", default=1, low=1, high=100)
    scaling = _scaling(reader, instance_type, initial)
    return EndpointSettings(
        instance_type,
        initial,
        scaling,
        update=_update(reader),
        alarms=AlarmSettings(
            latency_p99_milliseconds=reader.whole_number(
                "latencyP99Milliseconds", default=500, low=1, high=60_000
            ),
            # CloudWatch looks back a day at most.
            no_invocations_minutes=reader.whole_number(
                "noInvocationsMinutes", default=0, low=0, high=1_440
            ),
        ),
        data_capture_percent=reader.whole_number("dataCapturePercent", default=0, low=0, high=100),
    )


def _update(reader: SettingsReader) -> UpdateSettings:
    update = UpdateSettings(
        traffic_shifting=reader.choice(
            "trafficShifting",
            TrafficShifting,
            default=TrafficShifting.ALL_AT_ONCE,
            example="CANARY",
        ),
        step_percent=reader.whole_number("trafficStepPercent", default=10, low=1, high=50),
        bake_seconds=reader.whole_number("bakeSeconds", default=0, low=0, high=3_600),
    )
    low, high = _LIMITS.get(update.traffic_shifting, (1, 50))
    if not low <= update.step_percent <= high:
        reader.problem(
            "trafficStepPercent",
            update.step_percent,
            f"{low} to {high} where trafficShifting is {update.traffic_shifting}",
            f"set it to {low}",
        )
    elif update.steps * update.bake_seconds > LONGEST_BAKE_SECONDS:
        reader.problem(
            "bakeSeconds",
            update.bake_seconds,
            f"at most {LONGEST_BAKE_SECONDS // update.steps} with {update.steps} steps of traffic",
            "bake shorter, or raise trafficStepPercent",
        )
    return update


def _scaling(reader: SettingsReader, instance_type: str, initial: int) -> ScalingSettings | None:
    enabled = reader.boolean("scaling", default=False)
    low = reader.whole_number("minInstanceCount", default=2, low=1, high=100)
    high = reader.whole_number("maxInstanceCount", default=10, low=1, high=100)
    scaling = ScalingSettings(
        min_instance_count=low,
        max_instance_count=high,
        max_requests_per_second=reader.number(
            "maxRequestsPerSecond", default=4.0, low=0.01, high=100_000
        ),
        safety_factor=reader.number("safetyFactor", default=0.5, low=0.1, high=1),
        scale_in_cooldown_seconds=reader.whole_number(
            "scaleInCooldownSeconds", default=300, low=0, high=86_400
        ),
        scale_out_cooldown_seconds=reader.whole_number(
            "scaleOutCooldownSeconds", default=60, low=0, high=86_400
        ),
        schedule=_schedule(reader),
    )
    if not enabled:
        return None
    if low > high:
        reader.problem(
            "minInstanceCount", low, f"at most maxInstanceCount ({high})", "lower it, or raise that"
        )
    elif not low <= initial <= high:
        reader.problem(
            "initialInstanceCount",
            initial,
            f"{low} to {high} while scaling is on",
            f"set it to {low}",
        )
    if instance_type.startswith(("ml.t2.", "ml.t3.")):
        reader.problem(
            "instanceType",
            instance_type,
            "a type that SageMaker can scale; burstable ones it cannot",
            "use ml.m5.large, or set scaling to false",
        )
    return scaling


def _schedule(reader: SettingsReader) -> tuple[ScheduledCapacity, ...]:
    key = "scheduledScaling"
    raw = reader.raw(key) or "[]"
    fix = f"write {_SCHEDULE_EXAMPLE}"
    try:
        parsed = json.loads(raw)
    except ValueError:
        parsed = None
    if not isinstance(parsed, list):
        reader.problem(key, raw, "a JSON list of scheduled changes", fix)
        return ()
    found = []
    for index, item in enumerate(parsed):
        wrong = _schedule_problem(item)
        if wrong is not None:
            reader.problem(key, json.dumps(item), f"in item {index + 1}, {wrong}", fix)
            continue
        found.append(
            ScheduledCapacity(
                item["name"],
                item["schedule"],
                item["min"],
                item["max"],
                item.get("timezone", "UTC"),
            )
        )
    names = [item.name for item in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reader.problem(key, name, "each name once", "give each change a name of its own")
    return tuple(found)


def _schedule_problem(item: Any) -> str | None:
    """Return what an item of scheduledScaling must be where it is not, or None."""
    if not isinstance(item, dict) or not _SCHEDULE_KEYS <= set(item) <= {
        *_SCHEDULE_KEYS,
        "timezone",
    }:
        return "the keys name, schedule, min, max and, if wanted, timezone"
    if not isinstance(item["name"], str) or not _SCHEDULE_NAME.fullmatch(item["name"]):
        return "a name of 1 to 64 letters, digits, '_' and '-'"
    if not isinstance(item["schedule"], str) or not _SCHEDULE.fullmatch(item["schedule"]):
        return "a schedule at(…), rate(…) or cron(…)"
    counts = (item["min"], item["max"])
    if not all(type(n) is int for n in counts) or not 1 <= counts[0] <= counts[1] <= 100:
        return "whole numbers 1 ≤ min ≤ max ≤ 100"
    if item.get("timezone", "UTC") not in zoneinfo.available_timezones():
        return "a timezone of the IANA database, for example Europe/Berlin"
    return None
