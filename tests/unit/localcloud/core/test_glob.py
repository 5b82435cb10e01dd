"""Patterns with stars: they agree with a simple model, and a hard one ends."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.glob import Glob


def glob(pattern: str) -> Glob:
    return Glob([[None if c == "?" else c for c in part] for part in pattern.split("*")])


def model(pattern: str, text: str) -> bool:
    wild = {"*": ".*", "?": "."}
    return bool(
        re.fullmatch("".join(wild.get(c, re.escape(c)) for c in pattern), text, flags=re.DOTALL)
    )


@given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=10))
def test_a_pattern_matches_as_a_regular_expression_does(pattern: str, text: str) -> None:
    assert glob(pattern).matches(text) == model(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("a*a", "a", False),  # the two ends must not overlap
        ("a*a", "aa", True),
        ("*ab*ab", "ab", False),
        ("*ab*", "aab", True),
        ("?*?", "a", False),
        ("a?c*?e", "abcde", True),
    ],
)
def test_the_ends_of_a_text_are_matched(pattern: str, text: str, expected: bool) -> None:
    assert glob(pattern).matches(text) is expected


# Each takes a backtracking matcher longer than a person would wait.
@pytest.mark.parametrize("part", ["*a", "*?a", "*a?", "**a", "*ab*a"])
def test_a_hard_pattern_does_not_match_and_ends(part: str) -> None:
    assert not glob(part * 1000 + "*b").matches("a" * 20_000)
    assert not glob(part * 1000 + "c").matches("ab" * 20_000)
