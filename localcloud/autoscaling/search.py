"""The search for the cheapest target tracking settings of a day. Pure.

`simulator.py` simulates each candidate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from localcloud.autoscaling.decision import CONCURRENT_REQUESTS, INVOCATIONS, TargetTracking
from localcloud.autoscaling.simulator import Outcome, World, simulate

# The settings that a search tries. AWS suggests a safety factor of 0.5 as a starting point.
_SAFETY_FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_OUT_COOLDOWNS = (60, 300)
_IN_COOLDOWNS = (60, 300, 900)
_MOST_MINIMA = 12


def candidates(world: World, metric: str = INVOCATIONS) -> Iterator[TargetTracking]:
    """Yield the settings for a search to try.

    Args:
        world: the traffic and the instances.
        metric: the predefined metric that they hold.

    Raises:
        ValueError: the metric is that of concurrent requests, and an instance at its capacity has
            less than one at once, or an unknown number.
    """
    full = world.capacity_rps * 60
    if metric == CONCURRENT_REQUESTS:
        full = world.at_once
        if full < 1:
            raise ValueError(
                f"an instance at its capacity has {full:.2g} requests at once; the metric of "
                "concurrent requests counts whole ones, so it needs 1 or more"
            )
    peak = max(world.requests_per_minute) / 60
    most = max(math.ceil(peak / world.capacity_rps), 1)
    minima = sorted({*range(1, min(most, _MOST_MINIMA) + 1), most})
    for minimum, factor, out, back in product(
        minima, _SAFETY_FACTORS, _OUT_COOLDOWNS, _IN_COOLDOWNS
    ):
        yield TargetTracking(
            target_value=full * factor,
            minimum=minimum,
            # Leave room for the instances that the safety factor requires at the peak.
            maximum=max(math.ceil(most / factor), minimum),
            scale_out_cooldown_seconds=out,
            scale_in_cooldown_seconds=back,
            metric=metric,
        )


def cheapest(outcomes: Iterable[Outcome], objective: float) -> Outcome | None:
    """Return the outcome with the fewest instance hours that meets the objective, or None.

    Args:
        outcomes: the candidates.
        objective: the largest allowed share of requests beyond the capacity, 0 to 1.
    """
    holding = [outcome for outcome in outcomes if outcome.over_share <= objective]
    # Of two with equal cost, prefer the one with more capacity in reserve.
    return min(
        holding, key=lambda o: (round(o.instance_hours, 6), o.settings.target_value), default=None
    )


def trimmed(world: World, outcome: Outcome) -> Outcome:
    """Return the outcome with its maximum lowered to the day's largest number plus one."""
    used = max(minute.instances for minute in outcome.minutes)
    settings = replace(outcome.settings, maximum=min(used + 1, outcome.settings.maximum))
    return simulate(world, settings)
