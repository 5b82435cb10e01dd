"""Fixtures and helpers shared by the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import TestCloud
from tests.functions import Functions, functions_of
from tests.pipelines import Pipelines, pipelines_of, prepare
from tests.stacks import Stacks


@pytest.fixture
def pipelines(cloud: TestCloud) -> Iterator[Pipelines]:
    """A maker of pipelines, which are deleted afterwards."""
    prepare(cloud)
    with pipelines_of(cloud) as made:
        yield made


@pytest.fixture
def functions(cloud: TestCloud) -> Iterator[Functions]:
    """A maker of Lambda functions, which are deleted afterwards."""
    with functions_of(cloud) as made:
        yield made


@pytest.fixture
def stacks(cloud: TestCloud) -> Iterator[Stacks]:
    """A maker of stacks, which are deleted afterwards."""
    made = Stacks(cloud)
    yield made
    made.delete_all()
