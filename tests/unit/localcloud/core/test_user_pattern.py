"""Regular expressions of a request: bounded in time, and refused when they are none."""

from __future__ import annotations

import pytest

from localcloud.core.user_pattern import PatternError, PatternTooSlow, UserPattern


def test_a_pattern_matches_as_usual() -> None:
    assert UserPattern("[a-z]+").matches("abc")
    assert not UserPattern("[a-z]+").matches("abc1")
    found = UserPattern(r"loss=(\S+)").search("at 1: loss=0.5 ")
    assert found is not None
    assert found.group(1) == "0.5"
    assert UserPattern(r"loss=(\S+)").search("none") is None
    assert UserPattern("(a)(b)?").groups == 2


@pytest.mark.parametrize("text", ["(", "(?P<a>x)(?P<a", "a{2,1}", "x" * 5000, "(" * 4000])
def test_a_text_that_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        UserPattern(text)


# Each would take the standard library's engine longer than the age of the universe.
@pytest.mark.parametrize("text", ["(a|a)*c", "(a|b|ab)*c"])
def test_a_match_that_takes_too_long_is_ended(text: str) -> None:
    with pytest.raises(PatternTooSlow, match="takes too long"):
        UserPattern(text).matches("ab" * 100 + "dc" if "ab" in text else "a" * 100 + "dc")


def test_a_search_that_takes_too_long_is_ended_and_not_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = UserPattern("(a|a)*b|(c)")
    assert slow.search("c") is not None
    assert slow.search("a" * 100 + "xb") is None
    assert slow.search("c") is None
    assert [record.message for record in caplog.records] == [
        "matching '(a|a)*b|(c)' takes too long; it is not searched for any more"
    ]
