"""Sampling of a tuning job, and the conditions on which it stops."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.tuning_plan import (
    Choice,
    Decision,
    Goal,
    Number,
    Outcome,
    Range,
    best_of,
    candidate,
    combinations,
    decide,
    not_improving,
    ranges_of,
)

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html"
)

values = st.one_of(st.none(), st.integers(-5, 5).map(float))
outcomes = st.lists(st.tuples(st.booleans(), values).map(lambda pair: pair), max_size=12).map(
    lambda pairs: [
        Outcome(str(n), running, None if running else value)
        for n, (running, value) in enumerate(pairs)
    ]
)
goals = st.builds(
    Goal,
    maximize=st.booleans(),
    most=st.integers(1, 12),
    parallel=st.integers(1, 5),
    target=st.one_of(st.none(), st.integers(-5, 5).map(float)),
    patience=st.one_of(st.none(), st.integers(3, 6)),
)


@st.composite
def numbers(draw: st.DrawFn) -> Number:
    scaling = draw(st.sampled_from(["Linear", "Logarithmic", "ReverseLogarithmic"]))
    whole = scaling != "ReverseLogarithmic" and draw(st.booleans())
    low, high = {
        "Linear": (-1e6, 1e6),
        "Logarithmic": (1.0, 1e6),
        "ReverseLogarithmic": (0.0, 0.999),
    }[scaling]
    ends = sorted(draw(st.lists(st.floats(low, high), min_size=2, max_size=2)))
    if whole:
        ends = [float(round(end)) for end in ends]
    return Number("x", ends[0], ends[1], whole, scaling)


@given(numbers(), st.floats(0, 1), st.floats(0, 1))
def test_a_number_lies_in_its_range_and_grows_with_its_share(
    number: Number, a: float, b: float
) -> None:
    low, high = (float(number.at(share)) for share in sorted((a, b)))
    assert number.low <= low <= high <= number.high
    assert not number.whole or low == int(low)


@pytest.mark.parametrize(
    ("number", "share", "expected"),
    [
        (Number("x", 2, 10, False), 0.25, 4.0),
        (Number("x", -3, 5, True), 0.5, 1),
        (Number("x", 10, 1000, False, "Logarithmic"), 0.5, 100),
        (Number("x", 8, 512, True, "Logarithmic"), 1 / 6, 16),
        (Number("x", 0.9, 0.999, False, "ReverseLogarithmic"), 0.5, 0.99),
        (Number("x", 0.5, 0.95, False, "ReverseLogarithmic"), 0.0, 0.5),
        (Number("x", 0.5, 0.95, False, "ReverseLogarithmic"), 1.0, 0.95),
    ],
)
def test_a_share_is_taken_of_the_scaled_range(
    number: Number, share: float, expected: float
) -> None:
    assert float(number.at(share)) == pytest.approx(expected)


def test_scaling_spreads_the_magnitudes() -> None:
    assert "10.0" == repr(round(float(Number("x", 1, 100, False, "Logarithmic").at(0.5)), 9))
    assert "0.9" == repr(round(float(Number("x", 0, 0.99, False, "ReverseLogarithmic").at(0.5)), 9))
    assert "50" == Number("x", 0, 100, True).at(0.5)


@given(st.integers(0, 2**31), st.integers(0, 20))
def test_a_candidate_is_drawn_by_its_seed_and_number_alone(seed: int, index: int) -> None:
    ranges: list[Range] = [Number("x", 0, 1, False), Choice("c", ("a", "b"))]
    first = candidate("Random", ranges, seed, index, [])
    assert first == candidate("Random", ranges, seed, index, [])
    assert first != candidate("Random", ranges, seed, index + 1, [])


@given(st.integers(0, 2**31))
def test_no_candidate_is_repeated_while_there_are_others(seed: int) -> None:
    tried: list[dict[str, str]] = []
    for index in range(3):
        tried.append(candidate("Random", [Choice("c", ("a", "b", "c"))], seed, index, tried))
    assert {"a", "b", "c"} == {each["c"] for each in tried}
    assert candidate("Random", [Choice("c", ("a", "b", "c"))], seed, 3, tried) in tried


def test_a_grid_holds_every_combination_once() -> None:
    ranges = [Choice("a", ("1", "2")), Choice("b", ("x", "y", "z"))]
    found = [candidate("Grid", ranges, 0, index, []) for index in range(combinations(ranges))]
    assert 6 == len({tuple(each.items()) for each in found})


@given(goals, outcomes)
def test_a_decision_never_goes_beyond_the_limits(goal: Goal, found: list[Outcome]) -> None:
    decision = decide(goal, found)
    running = sum(outcome.running for outcome in found)
    assert 0 <= decision.start
    if decision.start:
        assert len(found) + decision.start <= goal.most
        assert running + decision.start <= goal.parallel
        assert not decision.finished
    if not decision.finished:
        assert running or decision.start


@given(goals, outcomes)
def test_nothing_ended_is_better_than_the_best(goal: Goal, found: list[Outcome]) -> None:
    best = best_of(goal, found)
    ended = [o.value for o in found if not o.running and o.value is not None]
    if best is None:
        assert [] == ended
    else:
        assert best.value == (max(ended) if goal.maximize else min(ended))
        assert 0 <= not_improving(goal, found) < len(found)


def done(*found: float | None) -> list[Outcome]:
    return [Outcome(str(n), False, value) for n, value in enumerate(found)]


@pytest.mark.parametrize(
    ("goal", "found", "expected"),
    [
        (Goal(True, 5, 2), [*done(1, 2, 3), Outcome("r", True, None)], Decision(start=1)),
        (Goal(True, 5, 2), [], Decision(start=2)),
        (Goal(True, 3, 2), done(1, None, 3), Decision(finished=True)),
        (Goal(True, 5, 2, target=0.9), done(0.5, 0.9), Decision(finished=True)),
        (Goal(False, 5, 2, target=0.1), done(0.5, 0.05), Decision(finished=True)),
        (Goal(False, 5, 2, target=0.1), done(0.5, 0.2), Decision(start=2)),
        (Goal(True, 9, 1, patience=3), done(5, 1, 2, None), Decision(finished=True)),
        (Goal(True, 9, 1, patience=3), done(1, 1, 5, 2), Decision(start=1)),
        (Goal(True, 3, 2), done(1, 2), Decision(start=1)),
        (Goal(True, 2, 2), [*done(1), Outcome("r", True, None)], Decision(start=0)),
        (Goal(True, 9, 1, patience=3), done(5, 5, 5, 5), Decision(finished=True)),
        (Goal(False, 9, 1, patience=3), done(5, 5, 5, 5), Decision(finished=True)),
        (Goal(False, 9, 1, patience=3), done(5, 5, 4, 5), Decision(start=1)),
        (Goal(False, 9, 2, target=5.0), done(5), Decision(finished=True)),
        (Goal(True, 9, 2, target=5.0), done(5), Decision(finished=True)),
    ],
)
def test_what_is_next(goal: Goal, found: list[Outcome], expected: Decision) -> None:
    assert expected == decide(goal, found)


def test_a_job_without_any_success_is_failed() -> None:
    assert decide(Goal(True, 2, 2), done(None, None)) == Decision(
        finished=True,
        failure="No training job succeeded after 2 attempts. Please take a look at the training "
        "job failures to get more details.",
    )


def test_before_any_success_nothing_has_failed_to_improve() -> None:
    assert 0 == not_improving(Goal(True, 9, 1), done(None, None, None))
    assert Decision(start=1) == decide(Goal(True, 9, 1, patience=3), done(None, None, None))


@given(goals, outcomes)
def test_of_equals_the_first_is_the_best(goal: Goal, found: list[Outcome]) -> None:
    best = best_of(goal, found)
    if best is not None:
        equals = [o for o in found if not o.running and o.value == best.value]
        assert best is equals[0]


WHOLE, CONTINUOUS = "IntegerParameterRanges", "ContinuousParameterRanges"
REVERSE = "x: ReverseLogarithmic scaling requires a continuous range from 0 to below 1."


def configured(config: dict[str, list[tuple[str, str, str | None]]]) -> dict[str, Any]:
    """Return ParameterRanges of (MinValue, MaxValue, ScalingType or None), all named x."""
    return {
        member: [
            {"Name": "x", "MinValue": low, "MaxValue": high}
            | ({"ScalingType": scaling} if scaling else {})
            for low, high, scaling in ranges
        ]
        for member, ranges in config.items()
    }


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {WHOLE: [("1.5", "2", "Auto")]},
            "x: MinValue '1.5' and MaxValue '2' must be whole numbers.",
        ),
        ({CONTINUOUS: [("a", "2", "Auto")]}, "x: MinValue 'a' and MaxValue '2' must be numbers."),
        ({CONTINUOUS: [("3", "2", "Auto")]}, "x: MinValue 3 must not be above MaxValue 2."),
        ({CONTINUOUS: [("nan", "2", "Auto")]}, "x: MinValue nan must not be above MaxValue 2."),
        ({CONTINUOUS: [("1", "inf", "Auto")]}, "x: MinValue 1 must not be above MaxValue inf."),
        (
            {CONTINUOUS: [("0", "2", "Logarithmic")]},
            "x: Logarithmic scaling requires a MinValue above 0; it is 0.",
        ),
        ({CONTINUOUS: [("0", "1", "ReverseLogarithmic")]}, REVERSE),
        ({CONTINUOUS: [("-0.1", "0.5", "ReverseLogarithmic")]}, REVERSE),
        ({WHOLE: [("0", "0", "ReverseLogarithmic")]}, REVERSE),
    ],
)
def test_every_problem_of_the_ranges_is_reported(config: dict[str, Any], problem: str) -> None:
    found, problems = ranges_of(configured(config))
    assert ([], [problem]) == (found, problems)


def test_a_wrong_range_hides_neither_another_one_nor_what_is_right() -> None:
    config = configured(
        {
            WHOLE: [("a", "2", "Auto"), ("1", "2", "Linear"), ("3", "2", "Auto"), ("4", "5", None)],
            CONTINUOUS: [("0", "1", "Logarithmic"), ("0.5", "1.5", "Logarithmic")],
        }
    )
    found, problems = ranges_of(config)
    assert found == [
        Number("x", 1.0, 2.0, True, "Linear"),
        Number("x", 4.0, 5.0, True, "Linear"),
        Number("x", 0.5, 1.5, False, "Logarithmic"),
    ]
    assert [problem.partition(" ")[0] for problem in problems] == ["x:", "x:", "x:", "x"]
    assert problems[-1] == "x has two ranges."


def test_ranges_are_read_as_they_are_given() -> None:
    found, problems = ranges_of(
        {
            WHOLE: [{"Name": "depth", "MinValue": "2", "MaxValue": "2"}],
            CONTINUOUS: [
                {
                    "Name": "rate",
                    "MinValue": "0",
                    "MaxValue": "0.9",
                    "ScalingType": "ReverseLogarithmic",
                }
            ],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
        }
    )
    assert [] == problems
    assert found == [
        Number("depth", 2.0, 2.0, True, "Linear"),
        Number("rate", 0.0, 0.9, False, "ReverseLogarithmic"),
        Choice("kind", ("a", "b")),
    ]
    assert 2 == combinations(found)


def test_ranges_of_one_name_and_parameters_that_are_chosen_by_aws_are_refused() -> None:
    choices = [{"Name": name, "Values": ["1"]} for name in ("b", "a", "b", "a", "c")]
    found, problems = ranges_of({"CategoricalParameterRanges": choices, "AutoParameters": [{}]})
    assert 5 == len(found)
    assert problems == [
        "AutoParameters are not supported; specify their ranges.",
        "a has two ranges.",
        "b has two ranges.",
    ]
