"""Tests that are recorded by the tests of the recorder: one that passes, and others that do not."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, TestCloud, wait_for


@pytest.fixture
def left(cloud: TestCloud) -> None:
    """A queue, a topic, a bucket with an object, a rule with a target, a parameter: all left."""
    name = cloud.name("left")
    cloud.client("sqs").create_queue(QueueName=name)
    cloud.client("sns").create_topic(Name=name)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern='{"source": ["x"]}')
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    cloud.client("ssm").put_parameter(Name=name, Value="hush-hush", Type="SecureString")


@pytest.mark.recordable
@pytest.mark.emulator_only
def test_that_passes(cloud: TestCloud) -> None:
    ssm, sqs = cloud.client("ssm"), cloud.client("sqs")
    ssm.put_parameter(Name=cloud.name("p"), Value="hush-hush", Type="SecureString")
    found = ssm.get_parameter(Name=cloud.name("p"), WithDecryption=True)["Parameter"]
    assert (found["Value"], found["ARN"].split(":")[4]) == ("hush-hush", ACCOUNT)
    url = sqs.create_queue(QueueName=cloud.name("q"))["QueueUrl"]
    assert ACCOUNT in url
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello")["MessageId"]

    def received() -> Any:
        return sqs.receive_message(QueueUrl=url).get("Messages")

    (message,) = wait_for("the message", received)
    assert message["MessageId"] == sent
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.recordable
@pytest.mark.emulator_only
def test_that_fails_in_the_middle(cloud: TestCloud, left: None) -> None:
    raise RuntimeError(f"it broke in account {ACCOUNT}")


@pytest.mark.recordable
@pytest.mark.emulator_only
def test_that_is_killed(cloud: TestCloud, left: None) -> None:
    os._exit(9)


@pytest.mark.recordable
@pytest.mark.emulator_only
@pytest.mark.parametrize("missing", ["first", "second"])
def test_of_two(cloud: TestCloud, missing: str) -> None:
    with pytest.raises(ClientError):
        cloud.client("sqs").get_queue_url(QueueName=cloud.name(missing))


@pytest.mark.recordable
@pytest.mark.emulator_only
def test_that_is_interrupted(cloud: TestCloud, left: None) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    wait_for("the interruption", lambda: None, 10)


@pytest.mark.recordable("endpoints")
@pytest.mark.emulator_only
def test_that_is_dear(cloud: TestCloud) -> None:
    cloud.client("sagemaker")


@pytest.mark.recordable
@pytest.mark.emulator_only
def test_that_reaches_for_others(cloud: TestCloud) -> None:
    cloud.client("sqs").delete_queue(QueueUrl=f"https://sqs/{ACCOUNT}/production")


@pytest.mark.emulator_only
def test_that_cannot_be_recorded(cloud: TestCloud) -> None:
    cloud.advance(1)
