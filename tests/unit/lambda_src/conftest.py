"""A fixture that installs the fake AWS in boto3's default session for one test."""

from collections.abc import Iterator

import boto3
import pytest

from tests.unit.lambda_src.fake_aws import FakeAws


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    fake = FakeAws()
    fake.install()
    yield fake
    boto3.DEFAULT_SESSION = None
