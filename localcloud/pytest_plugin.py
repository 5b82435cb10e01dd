"""The pytest plugin: a local cloud for the tests of a project that uses AWS.

    def test_an_upload(localcloud):
        localcloud.client("s3").create_bucket(Bucket="b")
        localcloud.advance(3600)

One local cloud runs for a session, from the first test that asks for it. Each test gets it empty,
with the AWS SDKs' variables set to it. `pytest --localcloud-speed 60` sets the clock's speed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.core.internal_client import get, post


class LocalCloud:
    """A local cloud as a test sees it.

    Attributes:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def client(
        self, service: str, *, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION
    ) -> Any:
        """Return a boto3 client for an account of 12 digits and a region."""
        from localcloud.cli.console import client

        return client(service, self.url, account, region)

    def now(self) -> datetime:
        """Return the cloud's time, in UTC."""
        clock = json.loads(get(f"{self.url}/_localcloud/clock"))
        return datetime.fromtimestamp(clock["now"], UTC)

    def advance(self, seconds: float) -> None:
        """Advance the clock: timeouts, alarms and schedules see the time pass."""
        query = urlencode({"advance_seconds": seconds})
        post(f"{self.url}/_localcloud/clock?{query}", b"", timeout_seconds=600)

    def save(self, name: str) -> None:
        """Save the whole state under a name, for `load` in a later test of the session."""
        self._snapshot("", name)

    def load(self, name: str) -> None:
        """Continue from a state that `save` saved, at its time."""
        self._snapshot("/load", name)

    def _snapshot(self, path: str, name: str) -> None:
        query = urlencode({"name": name})
        post(f"{self.url}/_localcloud/snapshots{path}?{query}", b"", timeout_seconds=600)

    def reset(self) -> None:
        """Delete all state; the clock goes on."""
        post(f"{self.url}/_localcloud/reset", b"")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's option."""
    parser.getgroup("localcloud").addoption(
        "--localcloud-speed",
        type=float,
        default=1.0,
        help="AWS seconds per wall-clock second of the fixture localcloud; default 1.",
    )


@pytest.fixture(scope="session")
def localcloud_of_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCloud]:
    """Yield a local cloud of this session's own, on a free port, with an empty state."""
    from localcloud.cli.own_cloud import start_own_cloud
    from localcloud.core.child_process import base_environment, free_port

    speed = request.config.getoption("--localcloud-speed")
    log = tmp_path_factory.mktemp("localcloud") / "localcloud.log"
    snapshots = ("--snapshot-dir", str(log.parent / "snapshots"))
    cloud = start_own_cloud(
        free_port(), log, "--speed", f"{speed:g}", *snapshots, environment=base_environment()
    )
    try:
        yield LocalCloud(cloud.url)
    finally:
        cloud.stop()


@pytest.fixture
def localcloud(
    localcloud_of_session: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """Yield the session's local cloud, empty, with the AWS SDKs' variables set to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": localcloud_of_session.url,
        "AWS_ACCESS_KEY_ID": DEFAULT_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "localcloud",
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
    }.items():
        monkeypatch.setenv(name, value)
    # Variables that would come before these.
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    yield localcloud_of_session
    localcloud_of_session.reset()
