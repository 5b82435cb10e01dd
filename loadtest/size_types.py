"""Compares instance types: the cheapest settings of each for the same traffic.

A type is given with its speed, as a multiple of the measured instance's capacity. Measure it where
it matters: an instance with twice the processors seldom serves exactly twice as much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtest.errors import LoadTestError, UsageError
from loadtest.price import PriceTable

HOURS_PER_MONTH = 730
MOST_TYPES = 10
_ENTRY = re.compile(r"(ml\.[a-z0-9-]+\.[a-z0-9]+)=(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class OfType:
    """The plan of one instance type.

    Attributes:
        instance_type: such as `ml.c5.large`.
        capacity_rps: requests/s that an instance serves.
        hours: instance hours of a day.
        monthly: US dollars a month.
        settings: the simulator's; None if no settings meet the objective.
        problem: why there are none.
    """

    instance_type: str
    capacity_rps: float
    hours: float = 0.0
    monthly: float = 0.0
    settings: dict[str, Any] | None = None
    problem: str = ""


def parse_types(text: str) -> dict[str, float]:
    """Return the speed of each type of a text such as `ml.c5.large=1.2,ml.m5.xlarge=1.9`.

    Raises:
        UsageError: it has another form, a speed is not above 0, or there are too many types.
    """
    found: dict[str, float] = {}
    for entry in text.split(","):
        match = _ENTRY.fullmatch(entry.strip())
        if match is None or not 0 < float(match[2]) <= 1000:
            raise UsageError(
                f"--compare has '{entry.strip()[:60]}'; write TYPE=SPEED with the speed as a "
                "multiple of the measured instance's, such as ml.c5.large=1.2,ml.m5.xlarge=1.9"
            )
        found[match[1]] = float(match[2])
    if len(found) > MOST_TYPES:
        raise UsageError(f"--compare has {len(found)} types; at most {MOST_TYPES} are allowed")
    return found


def compare(
    types: dict[str, float],
    capacity_rps: float,
    prices: PriceTable,
    days: float,
    simulate: Callable[[float], dict[str, Any]],
) -> list[OfType]:
    """Return the plan of each type, the cheapest first and those without one last.

    Args:
        types: the speed of each type.
        capacity_rps: requests/s that the measured instance serves.
        prices: the price table.
        days: length of the traffic.
        simulate: finds the cheapest settings for a capacity.

    Raises:
        UsageError: the table has no price for a type.
    """
    hourly = {name: prices.price_of(name).hourly for name in types}
    plans = []
    for name, speed in types.items():
        capacity = capacity_rps * speed
        try:
            result = simulate(capacity)
        except LoadTestError as error:
            plans.append(OfType(name, capacity, problem=str(error)))
            continue
        hours = result["instance_hours"] / days
        monthly = hours * hourly[name] * HOURS_PER_MONTH / 24
        plans.append(OfType(name, capacity, hours, monthly, result["settings"]))
    return sorted(plans, key=lambda plan: (plan.settings is None, plan.monthly))


def show(plans: Sequence[OfType], traffic: str, console: Console) -> None:
    """Print the plans, and the command that reproduces each.

    Args:
        plans: the cheapest first.
        traffic: the options of the traffic and the objective, as they were given.
        console: where they are printed.
    """
    table = Table(
        "instance type",
        "requests/s",
        "instances",
        "hours a day",
        "US dollars a month",
        title="The same day on other instance types",
    )
    for plan in plans:
        if plan.settings is None:
            table.add_row(plan.instance_type, f"{plan.capacity_rps:.4g}", "none", "–", "–")
            continue
        limits = f"{plan.settings['minimum']} to {plan.settings['maximum']}"
        cells = (limits, f"{plan.hours:.1f}", f"{plan.monthly:,.0f}")
        table.add_row(plan.instance_type, f"{plan.capacity_rps:.4g}", *cells)
    console.print(table)
    for plan in plans:
        if plan.problem:
            console.print(f"{plan.instance_type}: {plan.problem}", highlight=False, soft_wrap=True)
            continue
        console.print(
            f"python -m loadtest size --capacity {plan.capacity_rps:.6g} "
            f"--instance-type {plan.instance_type} {traffic}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
