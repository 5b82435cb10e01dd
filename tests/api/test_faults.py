"""The seams at which a game day injects faults, and that they are closed otherwise."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, configured_url, local_cloud, wait_for

pytestmark = pytest.mark.emulator_only


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    if configured_url() is not None:
        pytest.skip("another endpoint injects no faults")
    with local_cloud(state_dir=tmp_path_factory.mktemp("state"), faults=True) as cloud:
        yield cloud


def inject(cloud: TestCloud, **fault: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{cloud.url}/_localcloud/faults", json.dumps(fault).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_an_ordinary_local_cloud_injects_nothing(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("another endpoint has no such route")
    status, document = inject(cloud, kind="disk-full", hold_seconds=1)
    assert (status, document["message"]) == (
        404,
        "start the local cloud with --faults to inject faults",
    )


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "flood"},
        {"kind": "disk-full", "hold_seconds": -1},
        {"kind": "disk-full", "hold_seconds": "long"},
        {"kind": "disk-full", "hold_seconds": 1e9},
        {"kind": "kill-instance", "pick": 2},
        {"kind": "kill-cloud"},
        {"kind": "throttled-api", "service": "no-such-service"},
    ],
)
def test_a_fault_that_does_not_exist_is_refused(faulty: TestCloud, fault: dict[str, Any]) -> None:
    status, document = inject(faulty, **fault)
    assert status == 400
    assert document["message"].startswith("the fault cannot be injected: ")


def test_there_may_be_nothing_to_hit(faulty: TestCloud) -> None:
    for kind in ("kill-instance", "kill-fleet", "stall-instance", "kill-job", "lost-function"):
        assert inject(faulty, kind=kind)[1]["hit"] == ""


def test_on_a_full_disk_a_change_is_refused_undone_and_possible_again(faulty: TestCloud) -> None:
    s3, ssm = faulty.client("s3"), faulty.client("ssm")
    s3.create_bucket(Bucket="full")
    assert inject(faulty, kind="disk-full", hold_seconds=3)[0] == 200
    big = b"x" * 200_000
    with pytest.raises(ClientError, match="could not be stored") as caught:
        s3.put_object(Bucket="full", Key="refused", Body=big)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "Contents" not in s3.list_objects_v2(Bucket="full")
    # Small changes may still fit into the file.
    stored_parameters = set(filter(None, (put(ssm, f"/full/{n}") for n in range(50))))
    assert len(stored_parameters) < 50
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/full")
    assert stored_parameters == {p["Name"] for page in pages for p in page["Parameters"]}

    def stored() -> bool:
        try:
            s3.put_object(Bucket="full", Key="stored", Body=big)
        except ClientError:
            return False
        return True

    wait_for("room on the disk", stored, 20)
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="full")["Contents"]] == ["stored"]


def put(ssm: Any, name: str) -> str | None:
    """Put a parameter; return its name, or None if it was refused."""
    try:
        ssm.put_parameter(Name=name, Value="y" * 4000, Type="String")
    except ClientError:
        return None
    return name


@pytest.mark.parametrize(
    ("kind", "service", "code"),
    [
        ("throttled-api", "sagemaker", "ThrottlingException"),
        ("throttled-api", "iam", "Throttling"),
        ("throttled-api", "s3", "SlowDown"),
        ("failing-api", "codepipeline", "InternalFailure"),
        ("failing-api", "s3", "InternalError"),
    ],
)
def test_half_of_the_calls_of_a_service_fail_and_those_of_others_do_not(
    faulty: TestCloud, kind: str, service: str, code: str
) -> None:
    operation = {
        "sagemaker": "list_models",
        "iam": "list_roles",
        "s3": "list_buckets",
        "codepipeline": "list_pipelines",
    }
    assert inject(faulty, kind=kind, service=service, hold_seconds=2)[1]["hit"] == service
    client, codes = faulty.client(service), set()
    for _ in range(60):
        try:
            getattr(client, operation[service])()
            codes.add("")
        except ClientError as error:
            codes.add(error.response["Error"]["Code"])
        faulty.client("sns").list_topics()
        if len(codes) == 2:
            break
    assert codes == {"", code}
    wait_for("the end of the fault", lambda: _all_answer(client, operation[service]), 20)


def _all_answer(client: Any, operation: str) -> bool:
    try:
        for _ in range(12):
            getattr(client, operation)()
    except ClientError:
        return False
    return True
