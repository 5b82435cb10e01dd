"""The load of the demo's stress test, chosen for the machine so that production scales.

    requests/s that this machine answers ─┐
    target, instances, speed of the clock ┴─► users, and the speed of the clock during the test

Target tracking adds instances after three minutes above the target. A fast clock makes these
minutes short, and the requests that count in each of them few: at 60 times real time, two instances
with a target of 120 need over 240 requests/s. A machine that answers fewer gets a slower clock.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from localcloud.autoscaling.decision import INVOCATIONS, metric_of
from localcloud.cli.console import client
from localcloud.core.clock import monotonic

# Each user pauses, so that the ramp of users is a ramp of requests/s, and scaling can be seen.
THINK_SECONDS = 0.02
_PROBE_SECONDS, _PROBE_CLIENTS = 1.5, 8
# The peak of the ramp, in requests/s at which scaling begins: where a machine can, and at least.
_WANTED, _LEAST = 2.5, 1.5
# Slower, three minutes above the target would not fit into the test.
_SLOWEST = 20.0
_MOST_USERS = 64


@dataclass(frozen=True, slots=True)
class DemoLoad:
    """The load, and whether production should scale under it.

    Attributes:
        users: at the end of the ramp.
        speed: the clock's during the test, in AWS seconds per wall-clock second.
        capacity: requests/s that the machine answers.
        needed: requests/s above which production scales, at that speed.
        scales: whether the load is enough.
    """

    users: int
    speed: float
    capacity: float
    needed: float
    scales: bool

    def __str__(self) -> str:
        """Return the choice in a sentence."""
        text = (
            f"This machine answers {self.capacity:.0f} requests/s, and production scales above "
            f"{self.needed:.0f} at {self.speed:g} times real time"
        )
        return f"{text}: {self.users} users" if self.scales else f"{text}: it will not scale here"


def choose(capacity: float, target: float, instances: int, speed: float) -> DemoLoad:
    """Return the load for a machine. Pure.

    Args:
        capacity: requests/s that the machine answers.
        target: invocations per instance and minute that target tracking aims at.
        instances: instances in service.
        speed: the clock's speed.
    """

    def needed(at: float) -> float:
        return target * instances * at / 60

    chosen = speed
    if capacity < _LEAST * needed(speed):
        # Down to a multiple of five, so that a person can read it.
        possible = capacity / _LEAST * 60 / (target * instances)
        chosen = min(speed, max(_SLOWEST, math.floor(possible / 5) * 5.0))
    peak = min(capacity, _WANTED * needed(chosen))
    answer_seconds = _PROBE_CLIENTS / max(capacity, 1.0)
    # A few more, because a saturated machine answers later than it did in the probe.
    users = math.ceil(1.2 * peak * (THINK_SECONDS + answer_seconds))
    return DemoLoad(
        max(4, min(_MOST_USERS, users)),
        chosen,
        capacity,
        needed(chosen),
        capacity >= _LEAST * needed(chosen),
    )


def load_for(url: str, endpoint: str, rows: Sequence[str], speed: float) -> DemoLoad | None:
    """Measure the machine and return the load; None if the endpoint has no target tracking."""
    target = _target(url, endpoint)
    if target is None:
        return None
    described = client("sagemaker", url).describe_endpoint(EndpointName=endpoint)
    instances = sum(v["CurrentInstanceCount"] for v in described["ProductionVariants"])
    return choose(measure(url, endpoint, rows), target, instances, speed)


def measure(url: str, endpoint: str, rows: Sequence[str]) -> float:
    """Return the requests/s that an endpoint answers, by some clients without a pause."""
    counts = [0] * _PROBE_CLIENTS
    end = monotonic() + _PROBE_SECONDS

    def ask(number: int) -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
        try:
            while monotonic() < end:
                body = rows[counts[number] % len(rows)]
                path = f"/endpoints/{endpoint}/invocations"
                connection.request("POST", path, body, {"Content-Type": "text/csv"})
                answer = connection.getresponse()
                answer.read()
                counts[number] += answer.status == 200
        except (OSError, HTTPException):
            # What it counted so far is what this machine could do.
            return
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(_PROBE_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / _PROBE_SECONDS


def outcome(summary: dict[str, Any], load: DemoLoad | None) -> str:
    """Return whether production scaled, and if not, why, for the demo's summary."""
    first, most = summary.get("instances_first"), summary.get("instances_max")
    seconds = summary.get("first_scale_out_seconds")
    if seconds is not None:
        return f"from {first} to {most} instances, the first after {seconds:.0f} s of load"
    if load is None:
        return "no: the endpoint has no target tracking"
    peak = summary.get("peak_rps", 0.0)
    if peak <= load.needed:
        return (
            f"no: the load reached {peak:.0f} requests/s, and scaling begins above "
            f"{load.needed:.0f}; try a longer --duration, more --users or a lower --speed"
        )
    return (
        f"no: the load was above {load.needed:.0f} requests/s for less than three minutes of the "
        "clock; try a longer --duration"
    )


def _target(url: str, endpoint: str) -> float | None:
    scaling = client("application-autoscaling", url)
    for policy in scaling.describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]:
        tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
        by_invocations = metric_of(tracking or {}) == INVOCATIONS
        if policy["ResourceId"].startswith(f"endpoint/{endpoint}/") and by_invocations:
            return float(tracking["TargetValue"])
    return None
