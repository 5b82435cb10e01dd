"""Helpers of the SageMaker tests: a bucket with models, the container image, waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.archives import tar_of
from tests.cloud import TestCloud, push_container, wait_for

ROLE = "arn:aws:iam::000000000000:role/service-role/sagemaker"


def prepare(cloud: TestCloud, name: str) -> str:
    """Make a bucket with the models `one` and `two`, and push the container; return its image."""
    if not cloud.ours:
        pytest.skip("images are pushed through the local cloud's own route")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    for answer in ("one", "two"):
        body = tar_of({"answer.txt": answer}, mode="w:gz")
        s3.put_object(Bucket=name, Key=f"{answer}/model.tar.gz", Body=body)
    return push_container(cloud, name)


def remove_endpoints(sagemaker: Any) -> None:
    """Delete the endpoints that a test left behind, and wait until they are gone."""
    for entry in sagemaker.list_endpoints()["Endpoints"]:
        if entry["EndpointStatus"] != "Deleting":  # that one may be gone before it is named again
            sagemaker.delete_endpoint(EndpointName=entry["EndpointName"])
    wait_for("no endpoints", lambda: not sagemaker.list_endpoints()["Endpoints"], 60)


def ended(describe: Callable[[], dict[str, Any]], member: str, seconds: float = 60.0) -> Any:
    """Wait until a job is neither in progress nor stopping; return its description."""

    def probe() -> Any:
        job = describe()
        return job if job[member] not in ("InProgress", "Stopping") else None

    return wait_for(f"{member} to be final", probe, seconds)


def training(image: str, bucket: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a request of CreateTrainingJob, without channels unless they are given."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }


@contextmanager
def heard(cloud: TestCloud, name: str, detail_type: str) -> Iterator[Callable[[], list[Any]]]:
    """Listen on EventBridge; what is given returns the details heard so far."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    pattern = json.dumps({"source": ["aws.sagemaker"], "detail-type": [detail_type]})
    events.put_rule(Name=name, EventPattern=pattern)
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    found: list[Any] = []

    def collect() -> list[Any]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        found.extend(json.loads(m["Body"])["detail"] for m in answer.get("Messages", []))
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield collect
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
