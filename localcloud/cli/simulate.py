"""`localcloud simulate`: simulates a day's traffic under scaling settings, from JSON to JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from localcloud.autoscaling.decision import CONCURRENT_REQUESTS, INVOCATIONS, TargetTracking
from localcloud.autoscaling.search import candidates, cheapest, trimmed
from localcloud.autoscaling.simulator import Outcome, ScheduledLimits, World, simulate
from localcloud.cli.console import CommandError
from localcloud.core.clock import monotonic


def run(text: str) -> dict[str, Any]:
    """Return the result of a simulation, or of a search for the cheapest settings.

    Args:
        text: a JSON object of `requests_per_minute` (a list), `capacity_rps`, `startup_minutes`,
            `latency_seconds` (for the metric of concurrent requests), and
            either `settings`, the fields of TargetTracking, or `objective`, the largest allowed
            share of requests beyond the capacity, 0 to 1, and the `metric` of the settings to
            try, by default invocations. Beside `settings`, `scheduled` is a list of scheduled
            actions: the fields of ScheduledLimits.

    Raises:
        CommandError: the document is not valid, or no settings meet the objective.
    """
    try:
        document = json.loads(text)
        world = World(
            [float(requests) for requests in document["requests_per_minute"]],
            float(document["capacity_rps"]),
            int(document.get("startup_minutes", 4)),
            float(document.get("latency_seconds", 0)),
        )
        given = document.get("settings")
        metric = (given or document).get("metric", INVOCATIONS)
        if metric not in (INVOCATIONS, CONCURRENT_REQUESTS):
            raise ValueError(
                f"the metric is '{metric}'; it must be {INVOCATIONS} or {CONCURRENT_REQUESTS}"
            )
        settings = [TargetTracking(**given)] if given else list(candidates(world, metric))
        scheduled = [ScheduledLimits(**action) for action in document.get("scheduled", [])]
        if scheduled and not given:
            raise ValueError("scheduled actions go with settings, and not with a search for them")
        objective = 1.0 if given else float(document["objective"])
    except json.JSONDecodeError as error:
        raise CommandError(
            f"standard input must be a JSON object; it is not JSON ({error})"
        ) from None
    except KeyError as error:
        raise CommandError(f"the document to simulate has no member {error}") from None
    except (ValueError, TypeError) as error:
        raise CommandError(f"the document to simulate is wrong: {error}") from None
    began = monotonic()
    try:
        outcomes = [simulate(world, one, scheduled) for one in settings]
    except ValueError as error:
        raise CommandError(f"the document to simulate is wrong: {error}") from None
    seconds = monotonic() - began
    best = cheapest(outcomes, objective)
    if best is None:
        least = min(outcome.over_share for outcome in outcomes)
        raise CommandError(
            f"no settings keep requests beyond the capacity under {objective:.3%}; the best "
            f"of {len(outcomes)} have {least:.3%}. Raise the objective, or shorten the startup"
        )
    if not given:
        best = trimmed(world, best)
    fixed = simulate(world, _fixed(max(minute.instances for minute in best.minutes)))
    return {
        "settings": asdict(best.settings),
        "instance_hours": best.instance_hours,
        "over_share": best.over_share,
        "fixed_instance_hours": fixed.instance_hours,
        "minutes": [asdict(minute) for minute in best.minutes],
        "tried": len(outcomes),
        "holding": sum(outcome.over_share <= objective for outcome in outcomes),
        "all": [_brief(outcome) for outcome in outcomes],
        "simulated_minutes": len(outcomes) * len(world.requests_per_minute),
        "seconds": seconds,
    }


def _fixed(instances: int) -> TargetTracking:
    return TargetTracking(target_value=1e12, minimum=instances, maximum=instances)


def _brief(outcome: Outcome) -> list[float]:
    return [
        outcome.settings.minimum,
        outcome.settings.target_value,
        outcome.instance_hours,
        outcome.over_share,
    ]


def command() -> None:
    """Read standard input, write standard output."""
    sys.stdout.write(json.dumps(run(sys.stdin.read())) + "\n")
