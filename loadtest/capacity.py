"""Measures one instance's capacity by a stepped load: the highest rate that meets the p99 limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Concurrent users per instance. Each sends its next request as soon as it has a response.
USERS = (1, 2, 4, 8, 16, 32, 64)
# The rate has reached its ceiling when a step raises it by less than this factor.
_GROWTH = 1.05


@dataclass(frozen=True, slots=True)
class LoadStep:
    """The measurement of one step.

    Attributes:
        users: concurrent users per instance.
        rps: requests/s that one instance answered.
        p99_ms: 99th percentile of the latency of all requests; None if none was answered.
        failure_share: share of failed requests, 0 to 1.
    """

    users: int
    rps: float
    p99_ms: float | None
    failure_share: float


def meets_objective(step: LoadStep, p99_limit_ms: float) -> bool:
    """Return True if a step had no failures and its p99 was within the limit."""
    return step.p99_ms is not None and step.p99_ms <= p99_limit_ms and not step.failure_share


def measure_steps(apply_load: Callable[[int], LoadStep], p99_limit_ms: float) -> list[LoadStep]:
    """Return the steps up to the first that misses the objective or no longer raises the rate.

    Args:
        apply_load: loads the endpoint with that many users per instance and measures it.
        p99_limit_ms: the p99 limit.
    """
    steps: list[LoadStep] = []
    for users in USERS:
        step = apply_load(users)
        steps.append(step)
        best = max((s.rps for s in steps[:-1]), default=0.0)
        if not meets_objective(step, p99_limit_ms) or step.rps < best * _GROWTH:
            break
    return steps


def capacity(steps: Sequence[LoadStep], p99_limit_ms: float) -> float | None:
    """Return the highest rate that met the objective; None if no step met it."""
    return max((step.rps for step in steps if meets_objective(step, p99_limit_ms)), default=None)
