"""Pure: what a run was held to, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.errors import UsageError

MAX_FAILURE_SHARE = 0.01

ACCURACY, R2 = "accuracy under load", "R² under load"


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a run must keep; None is not asked for.

    Attributes:
        max_failure_share: of the requests, 0 to 1.
        max_p99_ms: of all requests.
        min_accuracy: of the answers against the dataset's labels, 0 to 1; of a regression, R².
        max_scale_out_seconds: from the beginning of the load to more instances that serve.
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
            problems.append(f"--min-accuracy is {self.min_accuracy:g}; it must be 0 to 1")
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
    """One objective: what was wanted, what was, and whether that holds."""

    name: str
    wanted: str
    actual: str
    held: bool


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
) -> list[Verdict]:
    """Return a verdict for each objective; what was not measured does not hold.

    `score` is accuracy or R², by name.
    """
    wanted = "some" if requests_wanted is None else f"{requests_wanted:,}"
    enough = requests > 0 if requests_wanted is None else requests == requests_wanted
    verdicts = [
        Verdict("requests", wanted, f"{requests:,}", enough),
        Verdict(
            "failures",
            f"at most {objectives.max_failure_share:.2%}",
            f"{failure_share:.2%}",
            failure_share <= objectives.max_failure_share,
        ),
    ]
    if cut_short:
        verdicts.append(Verdict("load", "to its end", cut_short, held=False))
    for name, bound, actual, unit, most in (
        ("p99", objectives.max_p99_ms, p99_ms, "ms", True),
        (score[0], objectives.min_accuracy, score[1], "", False),
        ("first scale-out", objectives.max_scale_out_seconds, scale_out_seconds, "s", True),
    ):
        if bound is None:
            continue
        held = actual is not None and (actual <= bound if most else actual >= bound)
        wanted = f"{'at most' if most else 'at least'} {bound:g} {unit}".rstrip()
        shown = "none" if actual is None else f"{actual:.4g} {unit}".rstrip()
        verdicts.append(Verdict(name, wanted, shown, held))
    return verdicts
