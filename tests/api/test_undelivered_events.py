"""Events that a kill or a failing target keeps from being delivered."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ACCOUNT, REGION, TestCloud, configured_url, local_cloud, wait_for

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html"
)
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:undelivered"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:undelivered"


def prepare(cloud: TestCloud, target: str) -> str:
    """Make a rule whose target is a queue, or a topic that a queue subscribes; return its URL."""
    url: str = cloud.client("sqs").create_queue(QueueName="undelivered")["QueueUrl"]
    cloud.client("sns").create_topic(Name="undelivered")
    cloud.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    events = cloud.client("events")
    events.put_rule(Name="undelivered", EventPattern=json.dumps({"source": ["mine"]}))
    events.put_targets(Rule="undelivered", Targets=[{"Id": "1", "Arn": target}])
    return url


def send(cloud: TestCloud) -> None:
    entry = {"Source": "mine", "DetailType": "Done", "Detail": '{"n": 1}'}
    cloud.client("events").put_events(Entries=[entry])


def received(cloud: TestCloud, url: str) -> list[dict[str, Any]]:
    found = cloud.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def stored(state: Path) -> int:
    with closing(sqlite3.connect(state / "moto.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM undelivered").fetchone()[0])


def test_an_event_that_a_kill_kept_from_its_target_is_delivered_at_the_next_start(
    tmp_path: Path,
) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path, faults=True, speed=1.0) as cloud:
        url = prepare(cloud, TOPIC)
        # The topic fails, so that the event waits for its second attempt.
        inject(cloud, kind="failing-api", service="sns", hold_seconds=30)
        deadline = time.monotonic() + 20
        while not stored(tmp_path) and time.monotonic() < deadline:
            send(cloud)
        assert stored(tmp_path)
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as cloud:
        wait_for("the event", lambda: received(cloud, url), 20)
        wait_for("nothing to be left", lambda: stored(tmp_path) == 0, 20)


def test_a_target_that_fails_gets_the_event_again(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint injects no faults")
    with local_cloud(state_dir=tmp_path, faults=True) as cloud:
        url = prepare(cloud, TOPIC)
        inject(cloud, kind="throttled-api", service="sns", hold_seconds=2)
        for _ in range(8):
            send(cloud)
        seen: list[dict[str, Any]] = []

        def all_of_them() -> bool:
            seen.extend(received(cloud, url))
            return len({json.loads(body["Message"])["id"] for body in seen}) == 8

        wait_for("every event", all_of_them, 30)
        wait_for("nothing to be left", lambda: stored(tmp_path) == 0, 20)


def inject(cloud: TestCloud, **fault: Any) -> None:
    request = urllib.request.Request(
        f"{cloud.url}/_localcloud/faults", json.dumps(fault).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=10):
        pass
