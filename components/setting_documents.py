"""The settings that are JSON documents: how they are parsed, and what is wrong with them.

Pure. Must not: know the other settings.
"""

import json
import re
import zoneinfo
from collections.abc import Callable
from typing import Any

from components.setting_kinds import Parse, Problem

# UserParameters of a pipeline action end at 1000 characters; about 560 go to the rest.
_HYPERPARAMETERS_LENGTH = 300
# The container's metrics that `minimumMetric` may limit.
HIGHER_IS_BETTER = ("accuracy", "f1_macro", "roc_auc", "average_precision", "r2")
LOWER_IS_BETTER = ("log_loss", "brier_score", "rmse", "mae")
_SCHEDULE = re.compile(r"(at|rate|cron)\([^()]+\)")
_SCHEDULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SCHEDULE_KEYS = {"name", "schedule", "min", "max"}
_SCHEDULE_EXAMPLE = (
    '[{"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min": 4, "max": 10}]'
)


def _json(raw: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def hyperparameters(raw: str) -> tuple[dict[str, str], list[Problem]]:
    """Parse the setting ``hyperparameters``: a JSON object of strings, at most 300 characters."""
    key, fix = "hyperparameters", 'write {"n_estimators": "100"}'
    allowed = "a JSON object of strings, without '#{'"
    parsed = _json(raw)
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        return {}, [Problem(key, raw, allowed, fix)]
    problems = []
    # CodePipeline would read `#{` as one of its variables.
    if "#{" in raw or "" in parsed:
        problems.append(Problem(key, raw, allowed + " and empty names", fix))
    length = len(json.dumps(parsed, separators=(",", ":")))
    if length > _HYPERPARAMETERS_LENGTH:
        problems.append(
            Problem(
                key,
                f"{length} characters",
                f"at most {_HYPERPARAMETERS_LENGTH} characters of compact JSON",
                "leave out those that equal the container's defaults",
            )
        )
    return parsed, problems


def minimum_metric(raw: str) -> tuple[dict[str, float], list[Problem]]:
    """Parse the setting ``minimumMetric``: a JSON object of limits by metric."""
    key, fix = "minimumMetric", 'write {"f1_macro": 0.8}'
    names = ", ".join((*HIGHER_IS_BETTER, *LOWER_IS_BETTER))
    parsed = _json(raw)
    if not isinstance(parsed, dict) or not parsed.keys() <= {*HIGHER_IS_BETTER, *LOWER_IS_BETTER}:
        return {}, [Problem(key, raw, f"a JSON object whose keys are of {names}", fix)]
    problems = [
        Problem(key, f"{name}: {json.dumps(limit)}", "a number (at most 1 for a score)", fix)
        for name, limit in parsed.items()
        if isinstance(limit, bool)
        or not isinstance(limit, int | float)
        or not -1e12 < limit < 1e12
        or (name in HIGHER_IS_BETTER and limit > 1)
    ]
    return ({} if problems else {name: float(limit) for name, limit in parsed.items()}), problems


def resource_ids(key: str, prefix: str, most: int) -> Parse:
    """Return what parses a JSON list of EC2 resource ids, each once.

    Args:
        key: the setting.
        prefix: the kind of the ids, such as ``subnet``.
        most: the largest number of ids.
    """
    one = re.compile(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})")
    allowed = f"a JSON list of at most {most} ids {prefix}-…, each once"
    fix = f'write ["{prefix}-0123456789abcdef0"]'

    def parse(raw: str) -> tuple[tuple[str, ...], list[Problem]]:
        ids = _json(raw)
        if (
            not isinstance(ids, list)
            or not all(isinstance(item, str) and one.fullmatch(item) for item in ids)
            or len(set(ids)) != len(ids)
            or len(ids) > most
        ):
            return (), [Problem(key, raw, allowed, fix)]
        return tuple(ids), []

    return parse


def scheduled_capacities(make: Callable[..., Any]) -> Parse:
    """Return what parses the setting ``scheduledScaling``.

    Args:
        make: takes name, schedule, minimum, maximum and timezone of one change.
    """
    key, fix = "scheduledScaling", f"write {_SCHEDULE_EXAMPLE}"

    def parse(raw: str) -> tuple[tuple[Any, ...], list[Problem]]:
        parsed = _json(raw)
        if not isinstance(parsed, list):
            return (), [Problem(key, raw, "a JSON list of scheduled changes", fix)]
        found, problems = [], []
        for index, item in enumerate(parsed):
            wrong = _schedule_problem(item)
            if wrong is not None:
                allowed = f"in item {index + 1}, {wrong}"
                problems.append(Problem(key, json.dumps(item), allowed, fix))
                continue
            zone = item.get("timezone", "UTC")
            found.append((item["name"], item["schedule"], item["min"], item["max"], zone))
        names = [item[0] for item in found]
        problems += [
            Problem(key, name, "each name once", "give each change a name of its own")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        return tuple(make(*item) for item in found), problems

    return parse


def _schedule_problem(item: Any) -> str | None:
    """Return what an item of ``scheduledScaling`` must be if it is not, or None."""
    if not isinstance(item, dict) or not _SCHEDULE_KEYS <= set(item) <= {
        *_SCHEDULE_KEYS,
        "timezone",
    }:
        return "the keys name, schedule, min, max and, optionally, timezone"
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
