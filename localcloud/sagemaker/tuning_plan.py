"""The next step of a tuning job, and its candidates. Pure.

    Random, Bayesian   the n-th candidate is drawn from the job's seed and n
    Grid               the n-th candidate is the n-th combination of the categorical values

A candidate depends on nothing else, so that a restart draws the same ones.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
Differs: Bayesian draws at random; Auto scaling is Linear; nothing is stopped early.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

# The number of attempts to draw a candidate that was not drawn before.
_REDRAWS = 100


@dataclass(frozen=True, slots=True)
class Number:
    """An integer or continuous range.

    Attributes:
        scaling: Linear, Logarithmic or ReverseLogarithmic.
    """

    name: str
    low: float
    high: float
    whole: bool
    scaling: str = "Linear"

    def at(self, share: float) -> str:
        """Return the value at a fraction, 0 to 1, of the scaled range."""
        match self.scaling:
            case "Logarithmic":
                low, high = math.log(self.low), math.log(self.high)
                value = math.exp(low + share * (high - low))
            case "ReverseLogarithmic":
                low, high = math.log(1 - self.high), math.log(1 - self.low)
                value = 1 - math.exp(high + share * (low - high))
            case _:
                value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)
        return str(round(value)) if self.whole else repr(float(value))


@dataclass(frozen=True, slots=True)
class Choice:
    """A categorical range."""

    name: str
    values: tuple[str, ...]


Range = Number | Choice


def ranges_of(config: dict[str, Any]) -> tuple[list[Range], list[str]]:
    """Return the ranges of ParameterRanges, and their problems."""
    found: list[Range] = []
    problems: list[str] = []
    for member, whole in (("IntegerParameterRanges", True), ("ContinuousParameterRanges", False)):
        for given in config.get(member, []):
            name, scaling = given["Name"], given.get("ScalingType", "Auto")
            try:
                kind = int if whole else float
                low, high = float(kind(given["MinValue"])), float(kind(given["MaxValue"]))
            except ValueError:
                noun = "whole numbers" if whole else "numbers"
                problems.append(
                    f"{name}: MinValue '{given['MinValue']}' and MaxValue '{given['MaxValue']}' "
                    f"must be {noun}."
                )
                continue
            problem = _problem_of(low, high, scaling, whole)
            if problem:
                problems.append(f"{name}: {problem}")
                continue
            found.append(Number(name, low, high, whole, "Linear" if scaling == "Auto" else scaling))
    found += [
        Choice(given["Name"], tuple(given["Values"]))
        for given in config.get("CategoricalParameterRanges", [])
    ]
    if config.get("AutoParameters"):
        problems.append("AutoParameters are not supported; specify their ranges.")
    names = [each.name for each in found]
    problems += [
        f"{name} has two ranges." for name in sorted({n for n in names if names.count(n) > 1})
    ]
    return found, problems


def _problem_of(low: float, high: float, scaling: str, whole: bool) -> str:
    if not math.isfinite(low) or not math.isfinite(high) or low > high:
        return f"MinValue {low:g} must not be above MaxValue {high:g}."
    if scaling == "Logarithmic" and low <= 0:
        return f"Logarithmic scaling requires a MinValue above 0; it is {low:g}."
    if scaling == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        return "ReverseLogarithmic scaling requires a continuous range from 0 to below 1."
    return ""


def combinations(ranges: Sequence[Range]) -> int:
    """Return the number of candidates of a grid."""
    return math.prod(len(each.values) for each in ranges if isinstance(each, Choice))


def candidate(
    strategy: str, ranges: Sequence[Range], seed: int, index: int, tried: Sequence[dict[str, str]]
) -> dict[str, str]:
    """Return the hyperparameters of a training job.

    Args:
        strategy: Random, Bayesian or Grid.
        ranges: the ranges of the tuned hyperparameters; for a grid all are categorical.
        seed: the seed of the tuning job.
        index: the index of the training job, from 0.
        tried: the candidates before it, which are not repeated as long as there are others.
    """
    if strategy == "Grid":
        choices = [each for each in ranges if isinstance(each, Choice)]
        values = list(product(*(each.values for each in choices)))[index]
        return {each.name: value for each, value in zip(choices, values, strict=True)}
    draw = random.Random(f"{seed}/{index}")  # noqa: S311 - no cryptography
    found: dict[str, str] = {}
    for _ in range(_REDRAWS):
        found = {
            each.name: draw.choice(each.values)
            if isinstance(each, Choice)
            else each.at(draw.random())
            for each in ranges
        }
        if found not in tried:
            break
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """One training job of a tuning job.

    Attributes:
        value: the value of the objective, or None without one.
    """

    name: str
    running: bool
    value: float | None


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a tuning job, and its completion criteria.

    Attributes:
        target: TargetObjectiveMetricValue.
        patience: MaxNumberOfTrainingJobsNotImproving.
    """

    maximize: bool
    most: int
    parallel: int
    target: float | None = None
    patience: int | None = None

    def better(self, a: float, b: float) -> bool:
        """Return whether the value `a` is better than `b`."""
        return a > b if self.maximize else a < b


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision: the number of training jobs to start, or the end with its FailureReason."""

    start: int = 0
    finished: bool = False
    failure: str = ""


def best_of(goal: Goal, outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the best training job so far, the first of equal ones, or None."""
    best: Outcome | None = None
    for outcome in outcomes:
        if outcome.running or outcome.value is None:
            continue
        if best is None or best.value is None or goal.better(outcome.value, best.value):
            best = outcome
    return best


def not_improving(goal: Goal, outcomes: Sequence[Outcome]) -> int:
    """Return the number of training jobs that ended after the best one."""
    best = best_of(goal, outcomes)
    ended = [outcome for outcome in outcomes if not outcome.running]
    return len(ended) - 1 - ended.index(best) if best is not None else 0


def decide(goal: Goal, outcomes: Sequence[Outcome]) -> Decision:
    """Decide about the next training jobs.

    For example, with at most 5 training jobs and 2 at the same time, 3 that ended and 1 that is
    running, 1 more is started.
    """
    running = sum(outcome.running for outcome in outcomes)
    best = best_of(goal, outcomes)
    if best is not None and best.value is not None:
        reached = goal.target is not None and not goal.better(goal.target, best.value)
        out_of_patience = (
            goal.patience is not None and not_improving(goal, outcomes) >= goal.patience
        )
        if reached or out_of_patience:
            return Decision(finished=True)
    left = goal.most - len(outcomes)
    if left <= 0 and not running:
        if best is not None:
            return Decision(finished=True)
        return Decision(
            finished=True,
            failure=f"No training job succeeded after {len(outcomes)} attempts. Please take a "
            "look at the training job failures to get more details.",
        )
    return Decision(start=max(min(left, goal.parallel - running), 0))
