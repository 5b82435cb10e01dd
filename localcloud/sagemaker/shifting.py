"""The steps in which an endpoint's traffic shifts to a new fleet. Pure.

    ALL_AT_ONCE   100 % ─ bake
    CANARY        the canary ─ bake ─► 100 % ─ bake
    LINEAR        a step ─ bake ─► another … ─► 100 % ─ bake
    rolling       as linear, by MaximumBatchSize

An alarm during any baking period rolls all traffic back to the old fleet.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
Differs: a rolling update keeps the whole old fleet until its end, like a blue/green one. A rollback
shifts all traffic at once and ignores RollbackMaximumBatchSize.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the new fleet's share of the traffic, 0 to 1, and the baking period after it."""

    share: float
    bake_clock_seconds: float


@dataclass(frozen=True, slots=True)
class Shifting:
    """The traffic shifting of an update.

    Attributes:
        alarms: the names of the rollback alarms.
        termination_clock_seconds: wait after the last step before the old fleet is stopped.
    """

    steps: tuple[Step, ...] = (Step(1.0, 0.0),)
    alarms: tuple[str, ...] = ()
    termination_clock_seconds: float = 0.0


def shifting_of(config: dict[str, Any] | None, instances: int) -> Shifting:
    """Return the traffic shifting of a DeploymentConfig.

    Args:
        config: the DeploymentConfig; None shifts all traffic at once, without baking.
        instances: the number of instances of the new fleet, for sizes in instances.
    """
    if config is None:
        return Shifting()
    rollback = config.get("AutoRollbackConfiguration") or {}
    alarms = tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms", []))
    rolling = config.get("RollingUpdatePolicy")
    if rolling is not None:
        step = _share(rolling["MaximumBatchSize"], instances)
        return Shifting(_linear(step, rolling["WaitIntervalInSeconds"]), alarms)
    policy = config.get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    bake = float(routing.get("WaitIntervalInSeconds", 0))
    match routing.get("Type", "ALL_AT_ONCE"):
        case "CANARY":
            share = _share(routing.get("CanarySize"), instances)
            steps = tuple(Step(s, bake) for s in dict.fromkeys((share, 1.0)))
        case "LINEAR":
            steps = _linear(_share(routing.get("LinearStepSize"), instances), bake)
        case _:
            steps = (Step(1.0, bake),)
    return Shifting(steps, alarms, float(policy.get("TerminationWaitInSeconds", 0)))


# The smallest and largest size of a step, in percent of the fleet.
_ALLOWED = {
    "CanarySize": (1, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (5, 100),
}
_NEEDED = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def problems_of(config: dict[str, Any] | None) -> list[str]:
    """Return every problem for which AWS refuses a DeploymentConfig.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html
    Differs: a size in instances is not compared with the size of the fleet.
    """
    if config is None:
        return []
    rolling, blue_green = config.get("RollingUpdatePolicy"), config.get("BlueGreenUpdatePolicy")
    found: list[str] = []
    if rolling is not None and blue_green is not None:
        found.append("Give BlueGreenUpdatePolicy or RollingUpdatePolicy, not both.")
    routing = (blue_green or {}).get("TrafficRoutingConfiguration") or {}
    needed = _NEEDED.get(routing.get("Type", ""))
    if needed is not None and needed not in routing:
        found.append(f"Traffic routing of type {routing['Type']} requires a {needed}.")
    for name, size in {**routing, **(rolling or {})}.items():
        low, high = _ALLOWED.get(name, (0, 0))
        if high and size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
            found.append(f"{name} is {size['Value']} %; it must be from {low} to {high} %.")
    return found


def _share(size: dict[str, Any] | None, instances: int) -> float:
    """Return a CapacitySize as a share of the fleet."""
    if size is None:
        return 1.0
    whole = 100 if size["Type"] == "CAPACITY_PERCENT" else max(instances, 1)
    return min(max(float(size["Value"]) / whole, 0.0), 1.0)


def _linear(step: float, bake: float) -> tuple[Step, ...]:
    step = max(step, 0.01)
    steps: list[Step] = []
    while not steps or steps[-1].share < 1.0:
        # Multiplied, then rounded, so that three thirds make a whole, as do ten tenths.
        share = min(round((len(steps) + 1) * step, 9), 1.0)
        steps.append(Step(share, float(bake)))
    return tuple(steps)
