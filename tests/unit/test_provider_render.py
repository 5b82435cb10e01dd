"""Conversion of a program's values to Terraform, for the tests with the real provider."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloud import ACCOUNT, REGION
from tests.provider.render import _text, camel, singulars, snake, type_of


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("aws:s3/bucket:Bucket", "aws_s3_bucket"),
        ("aws:s3/bucketObjectv2:BucketObjectv2", "aws_s3_object"),
        ("aws:cloudwatch/logGroup:LogGroup", "aws_cloudwatch_log_group"),
        ("aws:codepipeline/pipeline:Pipeline", "aws_codepipeline"),
    ],
)
def test_a_token_is_a_type_of_the_provider(token: str, expected: str) -> None:
    assert expected == type_of(token)


@pytest.mark.parametrize("name", ["kms_master_key_id", "name", "noncurrent_days"])
def test_a_name_survives_both_cases(name: str) -> None:
    assert name == snake(camel(name))


@pytest.mark.parametrize(
    ("plural", "one"),
    [("stages", "stage"), ("policies", "policy"), ("metric_queries", "metric_query")],
)
def test_a_plural_is_found_as_one(plural: str, one: str) -> None:
    assert one in singulars(plural)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${aws:username} %{if}", "$${aws:username} %%{if}"),
        ("@@aws_kms_key.dev_key.key_id@@", "${aws_kms_key.dev_key.key_id}"),
        (f"@@arn:aws:-:{REGION}:{ACCOUNT}:aws_iam_role.r.arn@@/x", "${aws_iam_role.r.arn}/x"),
        ([{"a": 30.0, "b": 0.5}], [{"a": 30, "b": 0.5}]),
    ],
)
def test_only_marks_are_references(value: Any, expected: Any) -> None:
    assert expected == _text(value)
