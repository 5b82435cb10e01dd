"""One instance's capacity by stepped load: the highest rate at which its p99 holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Users at once an instance, each asking again as soon as it has its answer.
USERS = (1, 2, 4, 8, 16, 32, 64)
# A rate that grows by less than this has reached its ceiling.
_GROWTH = 1.05


@dataclass(frozen=True, slots=True)
class Step:
    """What one load was like.

    Attributes:
        users: at once, for each instance.
        rps: requests/s that one instance answered.
        p99_ms: of all its requests; None when none was answered.
        failure_share: 0 to 1.
    """

    users: int
    rps: float
    p99_ms: float | None
    failure_share: float


def holds(step: Step, p99_objective_ms: float) -> bool:
    """Return whether a load was within the objective."""
    return step.p99_ms is not None and step.p99_ms <= p99_objective_ms and not step.failure_share


def measure(load: Callable[[int], Step], p99_objective_ms: float) -> list[Step]:
    """Return the steps up to the first that does not hold, or brings nothing more.

    Args:
        load: applies so many users an instance and says what happened.
        p99_objective_ms: the greatest p99 that is well.
    """
    steps: list[Step] = []
    for users in USERS:
        step = load(users)
        steps.append(step)
        best = max((s.rps for s in steps[:-1]), default=0.0)
        if not holds(step, p99_objective_ms) or step.rps < best * _GROWTH:
            break
    return steps


def capacity(steps: Sequence[Step], p99_objective_ms: float) -> float | None:
    """Return the highest rate that held the objective; None when not even one user's did."""
    return max((step.rps for step in steps if holds(step, p99_objective_ms)), default=None)
