"""Patterns of terms select the lines that AWS's page says."""

from __future__ import annotations

import pytest

from localcloud.cloudwatch.filter_pattern import FilterPatternError, line_filter

PAGE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"
LINES = (
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "[INFO] all good",
)


@pytest.mark.aws_documented(PAGE)
@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("", [0, 1, 2, 3]),
        ("ERROR", [0, 1, 2]),
        ("error", []),
        ("ERROR ARGUMENTS", [2]),
        ('"BAD REQUEST"', [0]),
        ("ERROR -400 -401", [2]),
        ('-"BAD REQUEST" ERROR', [1, 2]),
        ("?ARGUMENTS ?good", [2, 3]),
        ("?ARGUMENTS ?good ERROR", [0, 1, 2]),
        ("%ERROR 4[01]\\d%", [0, 1, 2]),
        ("-%ERROR 40%", [2, 3]),
    ],
)
def test_a_pattern_of_terms_selects_lines(pattern: str, selected: list[int]) -> None:
    matches = line_filter(pattern)
    assert [number for number, line in enumerate(LINES) if matches(line)] == selected


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ('{ $.level = "ERROR" }', "which the local cloud does not evaluate"),
        ("[ip, user, status=4*]", "which the local cloud does not evaluate"),
        ('"open', 'is not valid from "open on'),
        ('a "b"c', 'is not valid from "b"c on'),
        ("%(%", "is not a regular expression"),
    ],
)
def test_another_pattern_is_refused_by_name(pattern: str, said: str) -> None:
    with pytest.raises(FilterPatternError) as caught:
        line_filter(pattern)
    assert said in str(caught.value)
