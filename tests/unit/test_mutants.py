"""The mutation scores: what counts as noticed, as equivalent, and as a mistake in the list."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.mutants.run import Mutant, Result, difference, judge, without_properties

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = ROOT / "tests" / "mutants"
ONE, TWO, THREE = (Mutant("f", "return a", f"return {name}") for name in "bcd")


def listed(mutant: Mutant, reason: str = "a is always b") -> dict[str, str]:
    return {
        "function": mutant.function,
        "before": mutant.before,
        "after": mutant.after,
        "reason": reason,
    }


def test_the_score_is_the_share_of_mutants_that_are_noticed() -> None:
    result = judge([(ONE, True), (TWO, True), (THREE, False)], [])
    assert result == Result(3, 0, (THREE,), ())
    assert result.percent == pytest.approx(200 / 3)


def test_an_equivalent_mutant_does_not_count() -> None:
    result = judge([(ONE, True), (TWO, True), (THREE, False)], [listed(THREE)])
    assert result == Result(3, 1, (), ())
    assert result.percent == 100
    assert judge([], []).percent == 100


@pytest.mark.parametrize(
    ("found", "entry", "problem"),
    [
        ([(ONE, True)], listed(TWO), "no such mutant"),
        ([(ONE, True)], listed(ONE), "a test notices it"),
        ([(ONE, False)], listed(ONE, " "), "no reason"),
    ],
)
def test_an_entry_that_is_not_true_is_a_problem(
    found: list[tuple[Mutant, bool]], entry: dict[str, str], problem: str
) -> None:
    (said,) = judge(found, [entry]).problems
    assert said.startswith(f"{problem}: ")


def test_a_survivor_is_printed_as_an_entry_of_the_list() -> None:
    mutant = Mutant("C.f", "a = 'x'", 'a = "y\'"\nb')
    (entry,) = tomllib.loads(mutant.entry("m.py"))["m.py"]
    assert entry == listed(mutant, "")


def test_a_mutant_is_known_by_its_lines_however_they_are_laid_out() -> None:
    original = (
        "def orig(a):\n    if a:\n        return g(\n            a,\n            1,\n        )\n"
    )
    mutant = "def mutant_1(a):\n    if a:\n        return g(a, 2)\n"
    assert difference(original, mutant) == ("return g(a, 1)", "return g(a, 2)")


def test_properties_become_functions_that_are_still_read_as_properties() -> None:
    source = (
        "class C:\n    x = 1\n\n    @property\n    def two(self):\n        '''Two.'''\n"
        "        return self.x + 1\n\n    @property\n    def three(self):\n"
        "        return self.two + 1\n\n    @staticmethod\n    def four():\n        return 4\n"
    )
    changed = without_properties(source)
    assert "@property" not in changed
    namespace: dict[str, type] = {}
    exec(changed, namespace)  # noqa: S102 - written above
    found = namespace["C"]()
    assert [getattr(found, "two"), getattr(found, "three"), found.four()] == [2, 3, 4]  # noqa: B009


def test_each_module_and_each_of_its_tests_is_there() -> None:
    modules: dict[str, list[str]] = tomllib.loads((MUTANTS / "modules.toml").read_text())
    paths = [path for module, tests in modules.items() for path in (module, *tests)]
    assert len(modules) >= 17
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_each_equivalent_mutant_is_of_a_module_that_is_mutated_and_has_a_reason() -> None:
    modules = tomllib.loads((MUTANTS / "modules.toml").read_text())
    entries = tomllib.loads((MUTANTS / "equivalent.toml").read_text())
    assert entries.keys() <= modules.keys()
    for module, found in entries.items():
        for entry in found:
            assert entry.keys() == {"function", "before", "after", "reason"}, module
            assert entry["reason"].strip(), (module, entry)
