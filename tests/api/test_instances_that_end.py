"""Invocations while instances end: what a client would repeat is repeated at the edge."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud import REGION, TestCloud, make_config, wait_for
from tests.sagemaker import prepare, remove_endpoints

pytestmark = pytest.mark.emulator_only
BUCKET = "ending"


class Load:
    """Clients that invoke an endpoint one after the other and never repeat a call."""

    def __init__(self, cloud: TestCloud, clients: int) -> None:
        self._cloud = cloud
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.pids: list[int] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        client = runtime(self._cloud)
        while not self._stopped.is_set():
            try:
                body = client.invoke_endpoint(EndpointName="ending", Body=b"pid")["Body"].read()
                with self._lock:
                    self.pids.append(int(body))
            except Exception as error:
                self.failures.append(repr(error))

    def go_on(self, requests: int = 40) -> None:
        target = len(self.pids) + requests
        wait_for("more answers", lambda: len(self.pids) >= target or self.failures)


def runtime(cloud: TestCloud) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id="000000000000",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=1),
    )


@pytest.fixture
def endpoint(cloud: TestCloud) -> Iterator[TestCloud]:
    sagemaker = cloud.client("sagemaker")
    image = prepare(cloud, BUCKET)
    make_config(sagemaker, "ending", image, f"s3://{BUCKET}/one/model.tar.gz", instances=2)
    sagemaker.create_endpoint(EndpointName="ending", EndpointConfigName="ending")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="ending", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150}
    )
    yield cloud
    remove_endpoints(sagemaker)
    sagemaker.delete_endpoint_config(EndpointConfigName="ending")
    sagemaker.delete_model(ModelName="ending")


def instances(load: Load) -> set[int]:
    wait_for("both instances", lambda: len(set(load.pids[-40:])) == 2 or load.failures)
    return set(load.pids[-40:])


@pytest.mark.parametrize("killed", [1, 2])
def test_no_request_is_lost_when_instances_are_killed(endpoint: TestCloud, killed: int) -> None:
    with Load(endpoint, clients=8) as load:
        for _ in range(3):
            for pid in sorted(instances(load))[:killed]:
                with suppress(ProcessLookupError):  # an earlier round has ended it
                    os.kill(pid, signal.SIGKILL)
            load.go_on()
    assert load.failures == []


def test_a_request_that_ends_its_instance_is_sent_to_two_at_most(endpoint: TestCloud) -> None:
    with Load(endpoint, clients=2) as load:
        instances(load)
    before = set(load.pids[-20:])
    with pytest.raises(ClientError, match="the container did not answer") as caught:
        runtime(endpoint).invoke_endpoint(EndpointName="ending", Body=b"exit")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    with Load(endpoint, clients=2) as load:
        after = instances(load)
    assert load.failures == []
    assert not before & after
