"""Pure: the objectives of a run, and the verdict on each of them."""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.errors import UsageError

MAX_FAILURE_SHARE = 0.01
# A generator that sends later than this measures itself.
MAX_LATENESS_MS = 50.0

ACCURACY, R2 = "accuracy under load", "R² under load"


@dataclass(frozen=True, slots=True)
class Objectives:
    """The limits that a run must meet; None is no limit.

    Attributes:
        max_failure_share: largest share of failed requests, 0 to below 1.
        max_p99_ms: largest 99th percentile of the latency of all requests.
        min_accuracy: smallest share of correct labels, 0 to 1; for a regression, smallest R².
        max_scale_out_seconds: longest time from the beginning of the load to the first additional
            instance in service.
    """

    max_failure_share: float = MAX_FAILURE_SHARE
    max_p99_ms: float | None = None
    min_accuracy: float | None = None
    max_scale_out_seconds: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.max_failure_share < 1:
            share = self.max_failure_share
            problems.append(f"--max-failures is {share:g}; it must be from 0 to below 1")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            problems.append(f"--min-accuracy is {self.min_accuracy:g}; it must be from 0 to 1")
        for name, value in (
            ("--max-p99", self.max_p99_ms),
            ("--max-scale-out", self.max_scale_out_seconds),
        ):
            if value is not None and not value > 0:
                problems.append(f"{name} is {value:g}; it must be over 0")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one objective.

    Attributes:
        name: the objective.
        target: the limit, for display.
        actual: the measured value, for display.
        met: the measured value is within the limit.
    """

    name: str
    target: str
    actual: str
    met: bool

    def as_json(self) -> dict[str, str | bool]:
        """Return the verdict under the keys of summary.json, which other programs read."""
        return {"name": self.name, "wanted": self.target, "actual": self.actual, "held": self.met}


def judge(
    objectives: Objectives,
    *,
    requests: int,
    requests_wanted: int | None = None,
    cut_short: str = "",
    failure_share: float,
    p99_ms: float | None,
    score: tuple[str, float | None],
    scale_out_seconds: float | None,
    due: int | None = None,
    lateness_ms: float | None = None,
) -> list[Verdict]:
    """Return a verdict for each objective; one that could not be measured is not met.

    Args:
        objectives: the limits.
        requests: requests that were answered.
        requests_wanted: requests that the load had to send; None if its duration ended it.
        cut_short: the reason why the load ended early; empty if it did not.
        failure_share: share of failed requests, 0 to 1.
        p99_ms: 99th percentile of the latency; None if no request was answered.
        score: `accuracy under load` or `R² under load`, and its value.
        scale_out_seconds: time of the first scale-out; None if there was none.
        due: requests of an open load's schedule; None for a closed load.
        lateness_ms: 99th percentile of how late the generator sent them.
    """
    target = "at least 1" if requests_wanted is None else f"{requests_wanted:,}"
    enough = requests > 0 if requests_wanted is None else requests == requests_wanted
    verdicts = [
        Verdict("requests", target, f"{requests:,}", enough),
        Verdict(
            "failures",
            f"at most {objectives.max_failure_share:.2%}",
            f"{failure_share:.2%}",
            failure_share <= objectives.max_failure_share,
        ),
    ]
    if due is not None:
        verdicts += [
            Verdict("requests due", f"{due:,} sent", f"{requests:,}", requests >= due),
            Verdict(
                "generator's lateness",
                f"at most {MAX_LATENESS_MS:g} ms (p99)",
                "none" if lateness_ms is None else f"{lateness_ms:.3g} ms",
                lateness_ms is not None and lateness_ms <= MAX_LATENESS_MS,
            ),
        ]
    if cut_short:
        verdicts.append(Verdict("load", "completed", cut_short, met=False))
    for name, limit, actual, unit, upper in (
        ("p99", objectives.max_p99_ms, p99_ms, "ms", True),
        (score[0], objectives.min_accuracy, score[1], "", False),
        ("first scale-out", objectives.max_scale_out_seconds, scale_out_seconds, "s", True),
    ):
        if limit is None:
            continue
        met = actual is not None and (actual <= limit if upper else actual >= limit)
        target = f"{'at most' if upper else 'at least'} {limit:g} {unit}".rstrip()
        shown = "none" if actual is None else f"{actual:.4g} {unit}".rstrip()
        verdicts.append(Verdict(name, target, shown, met))
    return verdicts
