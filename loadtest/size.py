"""The capacity planner: finds the cheapest scaling settings for a day's traffic, and their cost.

one instance ──stepped load──► capacity ─┐
a day's requests per minute ─────────────┴─► localcloud simulate (child) ─► settings, plot, cost

`localcloud simulate` is the autoscaling simulator.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtest.capacity import LoadStep, capacity, measure_steps
from loadtest.errors import LoadTestError, UsageError
from loadtest.price import Price, read_table
from loadtest.shapes import MAX_USERS, Load
from loadtest.size_metrics import (
    CONCURRENT_REQUESTS,
    INVOCATIONS,
    METRICS,
    by_metric,
    show_metrics,
)
from loadtest.size_types import HOURS_PER_MONTH, compare, show

_STEP_SECONDS = 6.0
_FILE = "size.json"
_PLOT = "size.png"
_SIMULATE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class SizeSettings:
    """The settings of a capacity plan.

    Attributes:
        requests_per_minute: the traffic, one number per minute.
        p99_ms: p99 latency objective.
        objective: largest share of requests that may exceed the instances' capacity, 0 to 1.
        startup_minutes: minutes until a new instance is in service.
        capacity_rps: requests/s that one instance serves; None to measure it.
        price: price of an instance hour; None if it is unknown.
        out: the output directory.
        types: instance types to compare, with the speed of each as a multiple of this one's.
        traffic: the options of the traffic and the objective, as they were given.
        latency_seconds: time of an answer that waits for no other; None if it is unknown.
        metric: the metric of the settings, a key of `size_metrics.METRICS`.
        price_options: the options of the price, as they were given.
    """

    requests_per_minute: list[float]
    p99_ms: float
    objective: float
    startup_minutes: int
    capacity_rps: float | None
    price: Price | None
    out: Path
    types: dict[str, float] = field(default_factory=dict)
    traffic: str = ""
    latency_seconds: float | None = None
    metric: str = INVOCATIONS
    price_options: str = ""


def measure_capacity(
    base: Any, p99_ms: float, console: Console, workers: int = 1
) -> tuple[float, list[LoadStep]]:
    """Measure one instance's capacity by loading an endpoint step by step.

    Returns the capacity in requests/s, and the steps.

    Args:
        base: RunSettings of the endpoint; its load is replaced.
        p99_ms: p99 latency objective.
        console: shows a line for each step.
        workers: number of processes that send requests.

    Raises:
        LoadTestError: even a single user's p99 was over the objective, or the capacity is too near
            to what the load generator itself can send.
    """
    from loadtest.calibration import USABLE_SHARE, calibrate
    from loadtest.observer import Observer
    from loadtest.run import run

    own = calibrate(base, workers)
    console.print(
        f"The load generator ({_processes(workers)}) can send {own.rps:,.0f} requests/s on this "
        f"machine, with a p99 of {own.p99_ms or 0:.1f} ms; it measures up to "
        f"{own.usable_rps:,.0f} requests/s",
        highlight=False,
        soft_wrap=True,
    )
    serving = Observer(base.endpoint, base.region).state().current_instances or 1
    quiet = Console(quiet=True)

    def apply_load(users: int) -> LoadStep:
        # `users` for each instance: with fewer users than instances, some would be idle.
        total_users = min(users * serving, MAX_USERS)
        load = Load(
            "constant",
            total_users,
            float(total_users),
            _STEP_SECONDS,
            workers=min(workers, total_users),
        )
        record = run(replace(base, load=load, out=base.out / f"{users}-users"), quiet)
        instances = mean_instances(base.out / f"{users}-users" / "samples.jsonl")
        rate = record.requests / record.load_seconds if record.load_seconds else 0.0
        share = record.failures / record.requests if record.requests else 1.0
        step = LoadStep(users, rate / instances, record.p99_ms, share)
        console.print(
            f"  {users:3} users per instance: {step.rps:8.1f} requests/s, p99 "
            f"{step.p99_ms or 0:.1f} ms, {share:.1%} failed",
            highlight=False,
        )
        return step

    console.print(
        f"Measuring the capacity of one instance of {base.endpoint} (in service: {serving}) with a "
        f"p99 of at most {p99_ms:g} ms",
        highlight=False,
        soft_wrap=True,
    )
    if serving > 1 and base.endpoint_url:
        console.print(
            "  In a local cloud the instances share this machine, so each of them serves less than "
            "it could alone; measure an endpoint with a single instance instead",
            soft_wrap=True,
        )
    steps = measure_steps(apply_load, p99_ms)
    found = capacity(steps, p99_ms)
    if found is None:
        raise LoadTestError(
            f"even a single user has a p99 of {steps[0].p99_ms or 0:.1f} ms, over the objective of "
            f"{p99_ms:g} ms: allow more with --p99, or choose a larger instance type"
        )
    if found * serving > own.usable_rps:
        raise LoadTestError(
            f"the capacity was not measured: {found * serving:,.0f} requests/s are over "
            f"{USABLE_SHARE:.0%} of what the load generator itself can send "
            f"({own.rps:,.0f} requests/s from {_processes(workers)}), so the endpoint may do more. "
            "Use more --workers, a larger machine for them, or a known --capacity"
        )
    return found, steps


def _processes(workers: int) -> str:
    return "one process" if workers == 1 else f"{workers} processes"


def endpoint_price(endpoint: str, region: str, console: Console) -> Price | None:
    """Return the price of an endpoint's instances; None if it is unknown.

    Args:
        endpoint: the endpoint's name.
        region: the AWS region.
        console: shows the reason if the table does not have the instance type.
    """
    from loadtest.observer import Observer

    instance_type = Observer(endpoint, region).instance_type()
    try:
        price = read_table().price_of(instance_type) if instance_type is not None else None
    except UsageError as error:
        console.print(f"no cost: {error}", highlight=False, soft_wrap=True)
        return None
    return price


def mean_instances(samples: Path) -> float:
    """Return the mean number of instances in service during a run, from its samples.jsonl."""
    counts = [
        count
        for line in samples.read_text("utf-8").splitlines()
        if (count := json.loads(line).get("current_instances"))
    ]
    return sum(counts) / len(counts) if counts else 1.0


def size(settings: SizeSettings, steps: list[LoadStep], console: Console) -> dict[str, Any]:
    """Find the cheapest settings, print them and write the files; return the content of size.json.

    Args:
        settings: the settings of the plan, with a capacity.
        steps: the measurements of the capacity; empty if it was given.
        console: shows the result.

    Raises:
        LoadTestError: no settings meet the objective.
    """

    def cheapest(capacity_rps: float | None, metric: str = settings.metric) -> dict[str, Any]:
        return simulate(
            {
                "requests_per_minute": settings.requests_per_minute,
                "capacity_rps": capacity_rps,
                "startup_minutes": settings.startup_minutes,
                "objective": settings.objective,
                "latency_seconds": settings.latency_seconds or 0.0,
                "metric": METRICS[metric],
            }
        )

    result = cheapest(settings.capacity_rps)
    days = len(settings.requests_per_minute) / 1440
    plans = []
    if settings.types:
        capacity_rps = settings.capacity_rps or 0.0
        plans = compare(settings.types, capacity_rps, read_table(), days, cheapest)
    metrics = []
    if settings.latency_seconds is not None:
        known = {settings.metric: result}
        metrics = by_metric(lambda metric: cheapest(settings.capacity_rps, metric), known, days)
    result["types"] = [asdict(plan) for plan in plans]
    result["metrics"] = [asdict(plan) for plan in metrics]
    result["latency_seconds"] = settings.latency_seconds
    result["capacity_rps"] = settings.capacity_rps
    result["price"] = None if settings.price is None else asdict(settings.price)
    result["steps"] = [asdict(step) for step in steps]
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / _FILE).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    from loadtest.size_plot import draw

    hourly = settings.price.hourly if settings.price is not None else None
    draw(result, settings.out / _PLOT, settings.objective, hourly)
    _print(settings, result, console)
    if metrics and settings.latency_seconds is not None:
        options = f"{settings.price_options} {settings.traffic}".strip()
        capacity_rps = settings.capacity_rps or 0.0
        show_metrics(metrics, hourly, capacity_rps, settings.latency_seconds, options, console)
    if plans:
        by = ""
        if settings.metric != INVOCATIONS and settings.latency_seconds is not None:
            by = f"--latency {1000 * settings.latency_seconds:.6g} --metric {settings.metric} "
        show(plans, by + settings.traffic, console)
    return result


def simulate(document: dict[str, Any]) -> dict[str, Any]:
    """Run the autoscaling simulator, `localcloud simulate`, and return its result.

    Args:
        document: the simulator's input.

    Raises:
        LoadTestError: the simulator failed; the message is its error.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "localcloud", "simulate"],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=_SIMULATE_SECONDS,
        check=False,
    )
    if answer.returncode != 0:
        message = " ".join(answer.stderr.split()).removeprefix("error: ")
        raise LoadTestError(message.removeprefix("the document to simulate is wrong: "))
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def _print(settings: SizeSettings, result: dict[str, Any], console: Console) -> None:
    found = result["settings"]
    days = len(settings.requests_per_minute) / 1440
    table = Table("", "autoscaled", "fixed at the peak", title="A day of this traffic")
    hours = (result["instance_hours"] / days, result["fixed_instance_hours"] / days)
    table.add_row("instance hours per day", *(f"{h:.1f}" for h in hours))
    if settings.price is not None:
        monthly = [h * settings.price.hourly * HOURS_PER_MONTH / 24 for h in hours]
        table.add_row("US dollars per month", *(f"{m:,.0f}" for m in monthly))
    table.add_row("requests over the capacity", f"{result['over_share']:.4%}", "0.0000%")
    console.print(table)
    if settings.price is not None:
        console.print(f"cost: {settings.price.source}", highlight=False, soft_wrap=True)
    speed = result["simulated_minutes"] / max(result["seconds"], 1e-9)
    console.print(
        f"{result['holding']} of {result['tried']} settings meet the objective; "
        f"{speed:,.0f} simulated minutes per second",
        highlight=False,
    )
    console.print("\nFor Pulumi.prd.yaml:\n", highlight=False)
    for line in pulumi_lines(settings.capacity_rps or 0.0, found, settings.latency_seconds):
        console.print(f"  {line}", highlight=False)
    console.print(f"\nplot: {settings.out / _PLOT}", highlight=False, soft_wrap=True)


def pulumi_lines(
    capacity_rps: float, found: dict[str, Any], latency_seconds: float | None = None
) -> list[str]:
    """Return the settings as lines of the stack's configuration file.

    Args:
        capacity_rps: requests/s that one instance serves.
        found: the simulator's settings.
        latency_seconds: the time of an answer, which the metric of concurrent requests needs.
    """
    values = {
        "scaling": "true",
        "minInstanceCount": found["minimum"],
        "maxInstanceCount": found["maximum"],
    }
    if found.get("metric") == METRICS[CONCURRENT_REQUESTS]:
        full = capacity_rps * (latency_seconds or 0.0)
        values["scalingMetric"] = CONCURRENT_REQUESTS
        values["maxConcurrentRequests"] = f'"{full:.4g}"'
    else:
        full = 60 * capacity_rps
        values["maxRequestsPerSecond"] = f'"{capacity_rps:.4g}"'
    factor = found["target_value"] / full
    values |= {
        "safetyFactor": f'"{factor:.2g}"',
        "scaleInCooldownSeconds": f"{found['scale_in_cooldown_seconds']:g}",
        "scaleOutCooldownSeconds": f"{found['scale_out_cooldown_seconds']:g}",
    }
    return [f"mlops-lab:{key}: {value}" for key, value in values.items()]


def check_options(
    p99_ms: float, objective: float, startup_minutes: int, latency_ms: float | None = None
) -> None:
    """Check the options --p99, --objective, --startup-minutes and --latency.

    Raises:
        UsageError: one or more are out of range; the message lists all of them.
    """
    problems = []
    if not 0 < p99_ms <= 60_000:
        problems.append(f"--p99 is {p99_ms:g}; it must be over 0 and at most 60000 ms")
    if not 0 <= objective < 1:
        problems.append(
            f"--objective is {objective:g}; it must be a share from 0 to below 1, such as 0.001"
        )
    if not 0 <= startup_minutes <= 60:
        problems.append(f"--startup-minutes is {startup_minutes}; it must be from 0 to 60")
    if latency_ms is not None and not 0 < latency_ms <= 60_000:
        problems.append(f"--latency is {latency_ms:g}; it must be over 0 and at most 60000 ms")
    if problems:
        raise UsageError("; ".join(problems))
