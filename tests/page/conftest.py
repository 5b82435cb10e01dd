"""A browser, a local cloud, and pipelines to look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import TestCloud, local_cloud
from tests.page.browser import Browser, browsing
from tests.pipelines import Pipelines, pipelines_of, prepare


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, started once."""
    with browsing() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A window, in which nothing may have gone wrong at the end of the test."""
    chromium.size(1280)
    chromium.errors()
    yield chromium
    assert chromium.errors() == []
    chromium.driver.get("about:blank")


@pytest.fixture(scope="module")
def shown() -> Iterator[TestCloud]:
    """A local cloud for the tests of one file."""
    with local_cloud(speed=60.0) as cloud:
        prepare(cloud)
        yield cloud


@pytest.fixture
def made(shown: TestCloud) -> Iterator[Pipelines]:
    """A maker of pipelines, which are deleted afterwards."""
    with pipelines_of(shown) as found:
        yield found
