"""The faults of a game day, drawn from a seed. Pure.

Every kind comes up equally often, in an order that the seed decides. The same seed, kinds, number
and duration give the same schedule on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """A kind of fault."""

    KILL_INSTANCE = "kill-instance"
    KILL_FLEET = "kill-fleet"
    STALL_INSTANCE = "stall-instance"
    FAILING_INSTANCE = "failing-instance"
    GARBLED_INSTANCE = "garbled-instance"
    SLOW_STARTS = "slow-starts"
    KILL_JOB = "kill-job"
    LOST_FUNCTION = "lost-function"
    DISK_FULL = "disk-full"
    THROTTLED_API = "throttled-api"
    FAILING_API = "failing-api"
    CLOCK_JUMP = "clock-jump"
    KILL_CLOUD = "kill-cloud"


DESCRIPTIONS = {
    FaultKind.KILL_INSTANCE: "SIGKILL to one instance of the endpoint",
    FaultKind.KILL_FLEET: "SIGKILL to every instance of the endpoint",
    FaultKind.STALL_INSTANCE: "SIGSTOP to one instance for a while",
    FaultKind.FAILING_INSTANCE: "one instance answers 503 for a while",
    FaultKind.GARBLED_INSTANCE: "one instance answers what is not HTTP for a while",
    FaultKind.SLOW_STARTS: "new processes start late for a while",
    FaultKind.KILL_JOB: "SIGKILL to a running training job or build",
    FaultKind.LOST_FUNCTION: "SIGKILL to the execution environments of functions",
    FaultKind.DISK_FULL: "SQLite answers that the disk is full for a while",
    FaultKind.THROTTLED_API: "half of the calls of a service are throttled for a while",
    FaultKind.FAILING_API: "half of the calls of a service answer 500 or 503 for a while",
    FaultKind.CLOCK_JUMP: "the AWS clock jumps ahead",
    FaultKind.KILL_CLOUD: "SIGKILL to the local cloud, which is started again",
}
# The services whose calls fail: those that the pipeline and the endpoint depend on.
SERVICES = (
    *("s3", "sagemaker", "cloudformation", "codepipeline", "logs", "iam", "ecr", "events", "sns"),
)
_HOLD_SECONDS = (0.5, 3.0)
_JUMP_CLOCK_SECONDS = (60.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        number: 1 for the first one.
        pause_seconds: wall-clock seconds from the recovery of the one before.
        hold_seconds: how long it lasts, in wall-clock seconds; 0 for one that has no duration.
        pick: 0 to 1, chooses one of several things that it can hit.
        service: whose calls fail; empty for the other kinds.
        jump_clock_seconds: how far the clock jumps; 0 for the other kinds.
    """

    number: int
    kind: FaultKind
    pause_seconds: float
    hold_seconds: float
    pick: float
    service: str = ""
    jump_clock_seconds: float = 0.0


_LASTING = frozenset(
    {
        FaultKind.STALL_INSTANCE,
        FaultKind.FAILING_INSTANCE,
        FaultKind.GARBLED_INSTANCE,
        FaultKind.SLOW_STARTS,
        FaultKind.DISK_FULL,
        FaultKind.THROTTLED_API,
        FaultKind.FAILING_API,
    }
)


def schedule(
    seed: int, kinds: Sequence[FaultKind], count: int, duration_seconds: float
) -> list[Fault]:
    """Return the faults of a game day in order.

    Args:
        seed: decides order, pauses and targets.
        kinds: the kinds to choose from; each comes up count / len(kinds) times.
        count: the number of faults, 1 or more.
        duration_seconds: the sum of pauses and holds, unless the faults alone take longer.
    """
    chance = random.Random(seed)  # noqa: S311 - no cryptography
    drawn: list[FaultKind] = []
    while len(drawn) < count:
        drawn += chance.sample(list(kinds), len(kinds))
    holds = [chance.uniform(*_HOLD_SECONDS) if k in _LASTING else 0.0 for k in drawn[:count]]
    weights = [chance.uniform(0.5, 1.5) for _ in range(count)]
    room = max(duration_seconds - sum(holds), 0.0)
    faults = []
    for number, (kind, hold, weight) in enumerate(
        zip(drawn[:count], holds, weights, strict=True), start=1
    ):
        pick, service = chance.random(), chance.choice(SERVICES)
        jump = chance.uniform(*_JUMP_CLOCK_SECONDS)
        faults.append(
            Fault(
                number,
                kind,
                round(room * weight / sum(weights), 3),
                round(hold, 3),
                round(pick, 3),
                service if kind in (FaultKind.THROTTLED_API, FaultKind.FAILING_API) else "",
                round(jump, 0) if kind is FaultKind.CLOCK_JUMP else 0.0,
            )
        )
    return faults
