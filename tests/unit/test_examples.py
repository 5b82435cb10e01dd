"""Every property tries the number of examples that the profile says, at night too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import examples

TESTS = Path(examples.__file__).parent
# Names of tests/examples.py: each has its reason there.
EXPENSIVE = {
    name: value
    for name, value in vars(examples).items()
    if isinstance(value, int) and value < examples.DAILY
}
LIMITS = {"max_examples": "examples", "stateful_step_count": "steps"}


def keywords() -> list[tuple[str, ast.keyword]]:
    """Return the limits that tests give to Hypothesis, each with its place."""
    own = [path for path in TESTS.rglob("*.py") if not {".venv", "examples.py"} & {*path.parts}]
    return [
        (f"{path.relative_to(TESTS)}:{keyword.value.lineno}", keyword)
        for path in own
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in LIMITS
    ]


def argument(keyword: ast.keyword) -> ast.expr | None:
    """Return what `examples` or `steps` is given; None for a limit that is given in another way."""
    match keyword.value:
        case ast.Call(func=ast.Name(id=name), args=[given]) if name == LIMITS[str(keyword.arg)]:
            return given
    return None


def test_no_limit_holds_at_night_too() -> None:
    found = keywords()
    assert len(found) > 20
    assert [place for place, keyword in found if argument(keyword) is None] == []


def test_a_small_number_of_examples_has_a_name_and_a_reason() -> None:
    numbers, names = [], set()
    for place, keyword in keywords():
        if keyword.arg != "max_examples":
            continue
        match argument(keyword):
            case ast.Constant(value=int(number)):
                numbers.append((place, number))
            case ast.Name(id=name):
                names.add(name)
    assert [place for place, number in numbers if number < examples.DAILY] == []
    assert names == EXPENSIVE.keys()


@pytest.mark.parametrize(("daily", "nightly"), [(4, 500), (50, 500), (500, 500), (800, 800)])
def test_the_night_tries_five_hundred_examples_at_least(daily: int, nightly: int) -> None:
    assert (daily, nightly) == tuple(examples.examples(daily, p) for p in ("daily", "nightly"))


def test_the_night_runs_state_machines_twice_as_long() -> None:
    assert [15, 30, 15] == [examples.steps(15, p) for p in ("daily", "nightly", "mutants")]
