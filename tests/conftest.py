"""Fixtures of every tier. The API and end-to-end tiers run against any LocalStack-like endpoint.

With `AWS_ENDPOINT_URL` or `LOCALSTACK_HOST` set they use that endpoint, and a test of an operation
that it does not serve (501) is skipped with the operation's name. Else they start a local cloud of
their own, and there a 501 is a failure.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.cloud
from tests.cloud import RECORDED, TestCloud, configured_url, is_localcloud, local_cloud
from tests.examples import load_profile

load_profile()


@pytest.fixture(scope="session")
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestCloud]:
    """The recording's cloud, the configured endpoint, or a local one whose minute is a second."""
    recorded = request.config.stash.get(RECORDED, None)
    if recorded is not None:
        yield recorded
        return
    url = configured_url()
    if url is not None:
        yield TestCloud(url, is_localcloud(url))
        return
    log: Path = tmp_path_factory.mktemp("cloud") / "localcloud.log"
    with local_cloud(speed=60.0, log=log) as started:
        yield started
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


@pytest.fixture(scope="session")
def fast_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    """A local cloud whose minute is a quarter of a second, for what takes AWS many minutes."""
    if configured_url() is not None:
        pytest.skip("the speed of another endpoint's clock cannot be set")
    log: Path = tmp_path_factory.mktemp("fast-cloud") / "localcloud.log"
    with local_cloud(speed=240.0, log=log) as started:
        yield started
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


@pytest.fixture(scope="session")
def slow_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    """A local cloud in wall-clock time, which a test advances, with a state directory."""
    if configured_url() is not None:
        pytest.skip("another endpoint's clock is not ours")
    with local_cloud(speed=1.0, state_dir=tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a test with the mark `recordable` call only what a recording may call on AWS."""
    tests.cloud.recordable = item.get_closest_marker("recordable") is not None
    try:
        return (yield)
    finally:
        tests.cloud.recordable = False


PROVENANCE = {"aws_documented", "botocore_modelled", "emulator_only"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test of emulated behaviour that does not say where the behaviour is from."""
    for item in items:
        marks = [mark.name for mark in item.iter_markers() if mark.name in PROVENANCE]
        if len(marks) != 1 and item.path.parent.name in ("api", "e2e"):
            raise pytest.UsageError(
                f"{item.nodeid} carries {marks or 'no mark'}; it must carry exactly one of "
                f"{', '.join(sorted(PROVENANCE))}"
            )
