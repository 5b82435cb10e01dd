"""Event patterns: what EventBridge refuses, and wildcards."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.eventbridge.event_pattern import EventPatternError, parse, wildcard_matches

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"
)


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"source": ["aws.s3"]},
        {"detail": {"a": [1, "x", None, True, {"exists": False}]}},
        {"detail": {"a": [{"prefix": "x"}, {"suffix": {"equals-ignore-case": "Y"}}]}},
        {"detail": {"a": [{"numeric": [">", 0, "<=", 5.5]}, {"cidr": "10.0.0.0/24"}]}},
        {"detail": {"a": [{"anything-but": ["x", "y"]}, {"anything-but": {"prefix": "us-"}}]}},
        {"detail": {"a": [{"anything-but": {"wildcard": ["*/a", "b*c"]}}]}},
        {"$or": [{"a": ["x"]}, {"detail": {"b": ["y"]}}], "source": ["s"]},
        {"detail": {"path": [{"wildcard": "dir/*\\*\\\\*.png"}]}},
    ],
)
def test_a_pattern_of_the_guide_is_valid(pattern: dict[str, Any]) -> None:
    assert parse(json.dumps(pattern)) == pattern


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Invalid JSON"),
        ("[" * 4000, "Invalid JSON"),
        ("[1]", "Filter is not an object"),
        ('"text"', "Filter is not an object"),
        ('{"source": "aws.s3"}', "'source' must be an object or an array"),
        ('{"source": []}', "Empty arrays are not allowed"),
        ('{"detail": {}}', "Empty objects are not allowed"),
        ('{"source": [["a"]]}', "Match value must be String, number, true, false, or null"),
        ('{"source": [{}]}', "Only one key allowed in match expression"),
        ('{"a": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed in match expression"),
        ('{"a": [{"regex": ".*"}]}', "Unrecognized match type regex"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"equals-ignore-case": [1]}]}', "must be a string"),
        ('{"a": [{"exists": "yes"}]}', "either true or false"),
        ('{"a": [{"numeric": ["<"]}]}', "Value of numeric must be an array"),
        ('{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric range operator: ~"),
        ('{"a": [{"numeric": ["<", "1"]}]}', "Value of < must be numeric"),
        ('{"a": [{"anything-but": {"x": 1}}]}', "Unsupported anything-but pattern"),
        ('{"a": [{"anything-but": {"prefix": []}}]}', "prefix match pattern must be a string"),
        ('{"a": [{"anything-but": []}]}', "Empty arrays are not allowed"),
        ('{"a": [{"anything-but": [null]}]}', "Value of anything-but must be"),
        ('{"a": [{"anything-but": [1, "x"]}]}', "mixed type is not supported"),
        ('{"a": [{"anything-but": {"suffix": ""}}]}', "Null prefix/suffix not allowed"),
        ('{"a": [{"numeric": ["<", 5, ">", 1]}]}', "Bad numeric range operator: >"),
        ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": ["<", 5000000001]}]}', "Value of < must be between"),
        ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
        ('{"a": [{"cidr": "10.0.0.0/33"}]}', "Malformed CIDR, '10.0.0.0/33'"),
        ('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 1"),
        ('{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1"),
        ('{"a": [{"wildcard": "a\\\\"}]}', "Invalid escape character at pos 1"),
        ('{"a":' * 60 + '["x"]' + "}" * 60, "nested more than 50 levels deep"),
        ('{"a": ["' + "x" * 4096 + '"]}', "has 4107 characters; at most 4096 are allowed"),
    ],
)
def test_an_invalid_pattern_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(EventPatternError, match=re.escape(reason)):
        parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["a", "$or", "prefix", "suffix", "numeric", "anything-but", "wildcard", "exists"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_pattern_or_has_a_reason(document: Any) -> None:
    with contextlib.suppress(EventPatternError):
        assert parse(json.dumps(document)) is not None


@given(st.text("ab*", max_size=8).filter(lambda text: "**" not in text), st.text("ab", max_size=9))
def test_a_wildcard_matches_any_characters(pattern: str, value: str) -> None:
    expected = re.fullmatch(pattern.replace("*", ".*"), value) is not None
    assert wildcard_matches(pattern, value) == expected


def test_an_escaped_star_is_a_star() -> None:
    assert wildcard_matches(r"a\*\\*", r"a*\anything")
    assert not wildcard_matches(r"a\*b", "axxb")


def test_a_wildcard_with_many_stars_ends() -> None:
    assert not wildcard_matches("*a" * 1000 + "b", "a" * 100_000)
    assert wildcard_matches("*a" * 1000, "a" * 100_000)
