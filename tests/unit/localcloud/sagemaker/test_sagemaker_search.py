"""Matching of documents by a search."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.errors import ValidationError
from localcloud.sagemaker.search import fits, sort_key, values_of

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SearchExpression.html"
)

JOB: dict[str, Any] = {
    "TrainingJobName": "a-job",
    "TrainingJobStatus": "Completed",
    "TrainingTimeInSeconds": 30,
    "EnableManagedSpotTraining": False,
    "CreationTime": datetime(2026, 1, 2, tzinfo=UTC),
    "HyperParameters": {"x": "3", "a.b": "dotted"},
    "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.75}],
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://a/b"}}},
        {"ChannelName": "test", "DataSource": {"S3DataSource": {"S3Uri": "s3://c/d"}}},
    ],
    "Tags": [{"Key": "team", "Value": "blue"}],
}
URI = "InputDataConfig.DataSource.S3DataSource.S3Uri"


def one(name: str, operator: str | None = None, value: str | None = None) -> dict[str, Any]:
    given_ = {"Name": name, "Operator": operator, "Value": value}
    return {"Filters": [{k: v for k, v in given_.items() if v is not None}]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({}, True),
        (one("TrainingJobName", None, "a-job"), True),
        (one("TrainingJobName", "NotEquals", "a-job"), False),
        (one("Missing", "NotEquals", "a-job"), False),
        (one("TrainingJobName", "Contains", "job"), True),
        (one("TrainingJobStatus", "In", "Failed, Completed"), True),
        (one("TrainingTimeInSeconds", "GreaterThan", "29.5"), True),
        (one("TrainingTimeInSeconds", "GreaterThan", "30"), False),
        (one("TrainingTimeInSeconds", "GreaterThanOrEqualTo", "30"), True),
        (one("TrainingTimeInSeconds", "LessThanOrEqualTo", "30"), True),
        (one("CreationTime", "LessThan", "2026-01-02T00:00:01Z"), True),
        (one("CreationTime", "LessThan", "2026-01-02"), False),
        (one("HyperParameters.x", "GreaterThan", "2"), True),
        (one("HyperParameters.a.b", "Equals", "dotted"), True),
        (one("Metrics.validation:accuracy", "LessThan", "0.8"), True),
        (one("EnableManagedSpotTraining", "Equals", "false"), True),
        (one("Tags.team", "Equals", "blue"), True),
        (one("Tags.owner", "Exists"), False),
        (one("Tags.owner", "NotExists"), True),
        (one(URI, "Equals", "s3://c/d"), True),
    ],
)
def test_a_filter_compares_a_property(expression: dict[str, Any], expected: bool) -> None:
    assert expected == fits(JOB, expression)


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.sampled_from(["And", "Or", None]))
def test_expressions_are_combined_by_their_operator(truths: list[bool], operator: str) -> None:
    parts = [
        one("TrainingJobName", "Equals" if truth else "NotEquals", "a-job") for truth in truths
    ]
    expression = {"SubExpressions": parts, **({"Operator": operator} if operator else {})}
    assert (any(truths) if operator == "Or" else all(truths)) == fits(JOB, expression)


@pytest.mark.parametrize(("channel", "expected"), [("train", False), ("test", True)])
def test_nested_filters_are_about_one_member(channel: str, expected: bool) -> None:
    nested = {
        "NestedPropertyName": "InputDataConfig",
        "Filters": [
            *one("InputDataConfig.ChannelName", None, channel)["Filters"],
            *one(URI, None, "s3://c/d")["Filters"],
        ],
    }
    assert expected == fits(JOB, {"NestedFilters": [nested]})


@pytest.mark.parametrize(
    "expression",
    [
        one("TrainingJobName", "Exists", "x"),
        one("TrainingJobName", "Equals"),
        one("TrainingJobName", "GreaterThan", "b"),
        one("TrainingTimeInSeconds", "Contains", "3"),
        one("CreationTime", "LessThan", "yesterday"),
    ],
)
def test_what_makes_no_sense_is_refused(expression: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        fits(JOB, expression)


def test_a_search_that_is_too_deep_is_refused() -> None:
    expression: dict[str, Any] = {}
    for _ in range(60):
        expression = {"SubExpressions": [expression]}
    with pytest.raises(ValidationError, match="deep"):
        fits(JOB, expression)


def test_values_and_keys_come_in_their_own_kind() -> None:
    assert ["s3://a/b", "s3://c/d"] == values_of(JOB, URI)
    assert 30.0 == sort_key(JOB, "TrainingTimeInSeconds")
    assert "2026-01-02T00:00:00.000000+00:00" == sort_key(JOB, "CreationTime")
    assert sort_key(JOB, "Missing") is None
