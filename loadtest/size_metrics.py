"""The same day scaled by each metric: invocations per instance, and concurrent requests.

Both rows have the same traffic, capacity and objective. The metric of concurrent requests needs the
time of one answer that waits for no other: an instance of 20 requests/s that answers in 0.1 s has 2
requests at once at its capacity (Little's law).

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-code-define.html
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from loadtest.capacity import LoadStep
from loadtest.errors import LoadTestError
from loadtest.size_types import HOURS_PER_MONTH

INVOCATIONS, CONCURRENT_REQUESTS = "invocations", "concurrent-requests"
# The setting scalingMetric → AWS's name, which the simulator takes.
METRICS = {
    INVOCATIONS: "SageMakerVariantInvocationsPerInstance",
    CONCURRENT_REQUESTS: "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}


@dataclass(frozen=True, slots=True)
class ByMetric:
    """The plan of one metric.

    Attributes:
        metric: a key of METRICS.
        hours: instance hours of a day.
        over_share: share of requests beyond the capacity, 0 to 1.
        settings: the simulator's; None if no settings meet the objective.
        problem: why there are none.
    """

    metric: str
    hours: float = 0.0
    over_share: float = 0.0
    settings: dict[str, Any] | None = None
    problem: str = ""


def latency_of(steps: Sequence[LoadStep]) -> float | None:
    """Return the seconds of an answer that waits for no other; None if it was not measured.

    Args:
        steps: the steps of a measurement, of which one has a single user per instance.
    """
    alone = next((step for step in steps if step.users == 1 and step.rps > 0), None)
    return None if alone is None else 1 / alone.rps


def by_metric(
    plan: Callable[[str], dict[str, Any]], known: Mapping[str, dict[str, Any]], days: float
) -> list[ByMetric]:
    """Return the plan of each metric.

    Args:
        plan: finds the cheapest settings of a metric.
        known: the simulator's results that are there already, by metric.
        days: length of the traffic.
    """
    found = []
    for metric in METRICS:
        try:
            result = known.get(metric) or plan(metric)
        except LoadTestError as error:
            found.append(ByMetric(metric, problem=str(error)))
            continue
        hours = result["instance_hours"] / days
        found.append(ByMetric(metric, hours, result["over_share"], result["settings"]))
    return found


def show_metrics(
    plans: Sequence[ByMetric],
    hourly: float | None,
    capacity_rps: float,
    latency_seconds: float,
    options: str,
    console: Console,
) -> None:
    """Print a row for each metric, and the command that reproduces it.

    Args:
        plans: a plan for each metric.
        hourly: US dollars per instance hour; None if unknown.
        capacity_rps: requests/s that one instance serves.
        latency_seconds: the time of an answer that waits for no other.
        options: the options of the price, the traffic and the objective, as they were given.
        console: where they are printed.
    """
    table = Table(
        Column("metric", no_wrap=True),
        Column("target", no_wrap=True),
        "instances",
        "over the capacity",
        "hours a day",
        "US dollars a month",
        title="The same day by both metrics",
    )
    for plan in plans:
        if plan.settings is None:
            table.add_row(plan.metric, "–", "none", "–", "–", "–")
            continue
        found = plan.settings
        unit = "per min" if plan.metric == INVOCATIONS else "at once"
        monthly = "–" if hourly is None else f"{plan.hours * hourly * HOURS_PER_MONTH / 24:,.0f}"
        table.add_row(
            plan.metric,
            f"{found['target_value']:,.4g} {unit}",
            f"{found['minimum']} to {found['maximum']}",
            f"{plan.over_share:.4%}",
            f"{plan.hours:.1f}",
            monthly,
        )
    console.print(table)
    for plan in plans:
        line = (
            f"python -m loadtest size --capacity {capacity_rps:.6g} "
            f"--latency {1000 * latency_seconds:.6g} --metric {plan.metric} {options}"
        )
        if plan.problem:
            line = f"{plan.metric}: {plan.problem}"
        console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)


def price_options(price: float | None, instance_type: str | None) -> str:
    """Return the options of the price, as they were given or found."""
    if price is not None:
        return shlex.join(["--price", f"{price:g}"])
    return "" if instance_type is None else shlex.join(["--instance-type", instance_type])
