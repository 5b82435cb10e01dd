"""The provider exists only for an endpoint other than AWS."""

import pytest
from pulumi_aws import ProviderEndpointArgs

from components.provider import SERVICES, access_key, endpoint_url


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "", "LOCALSTACK_HOST": " "}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4567/"}, "http://127.0.0.1:4567"),
        ({"LOCALSTACK_HOST": "localhost"}, "http://localhost:4566"),
        ({"LOCALSTACK_HOST": "cloud:9000"}, "http://cloud:9000"),
        (
            {"AWS_ENDPOINT_URL": "https://cloud.test", "LOCALSTACK_HOST": "localhost"},
            "https://cloud.test",
        ),
    ],
)
def test_the_environment_selects_the_endpoint(
    environ: dict[str, str], expected: str | None
) -> None:
    assert endpoint_url(environ) == expected


def test_each_service_is_an_endpoint_key_of_the_provider() -> None:
    assert [s for s in SERVICES if not hasattr(ProviderEndpointArgs, s)] == []


def test_no_service_has_two_aliases() -> None:
    aliases = [
        {"applicationautoscaling", "appautoscaling"},
        {"events", "cloudwatchevents", "eventbridge"},
        {"logs", "cloudwatchlog", "cloudwatchlogs"},
        {"s3", "s3api"},
    ]
    assert [sorted(a & set(SERVICES)) for a in aliases if len(a & set(SERVICES)) > 1] == []


@pytest.mark.parametrize("key", [None, "", "test", "AKIAIOSFODNN7EXAMPLE", "1" * 11, "1" * 13])
def test_a_key_that_is_no_account_stays_at_home(key: str | None) -> None:
    assert access_key({} if key is None else {"AWS_ACCESS_KEY_ID": key}) == "test"


def test_a_key_of_twelve_digits_selects_the_account() -> None:
    assert access_key({"AWS_ACCESS_KEY_ID": "222222222222"}) == "222222222222"
