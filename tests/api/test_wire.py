"""Responses as sent: times as numbers, and a clear refusal in each protocol."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud
from tests.pipelines import Pipelines, approval_action, prepare


def sent(cloud: TestCloud, service: str, target: str, **body: Any) -> Any:
    """Send a JSON request as a client of AWS does; return what comes back, unread by botocore."""
    request = urllib.request.Request(
        cloud.url,
        data=json.dumps(body).encode(),
        headers={
            "X-Amz-Target": target,
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/"
            "aws4_request, SignedHeaders=host, Signature=0",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.mark.botocore_modelled
def test_times_are_epoch_numbers(cloud: TestCloud) -> None:
    prepare(cloud)
    pipelines = Pipelines(cloud.client("codepipeline"))
    name = pipelines.make([approval_action()])
    cloud.client("codecommit").create_repository(repositoryName="wire")
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName="wire")
    pipeline = "CodePipeline_20150709"
    found = [
        sent(cloud, "codepipeline", f"{pipeline}.GetPipelineState", name=name)["created"],
        sent(cloud, "codepipeline", f"{pipeline}.GetPipeline", name=name)["metadata"]["updated"],
        sent(cloud, "codecommit", "CodeCommit_20150413.GetRepository", repositoryName="wire")[
            "repositoryMetadata"
        ]["creationDate"],
        sent(
            cloud,
            "sagemaker",
            "SageMaker.DescribeModelPackageGroup",
            ModelPackageGroupName="wire",
        )["CreationTime"],
    ]
    assert [type(time) for time in found if 1.6e9 < time < 4e9] == [float] * 4, found
    cloud.client("codecommit").delete_repository(repositoryName="wire")
    cloud.client("sagemaker").delete_model_package_group(ModelPackageGroupName="wire")
    pipelines.client.delete_pipeline(name=name)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("codecommit", lambda c: c.list_pull_requests(repositoryName="x")),
        ("events", lambda c: c.list_event_sources()),
        ("iam", lambda c: c.get_organizations_access_report(JobId="1" * 36)),
        ("cloudwatch", lambda c: c.get_metric_stream(Name="x")),
        ("lambda", lambda c: c.get_runtime_management_config(FunctionName="x")),
        ("sagemaker", lambda c: c.list_domains()),
        ("cloudformation", lambda c: c.list_stack_sets()),
    ],
)
def test_what_is_not_there_is_a_501_in_each_protocol(
    cloud: TestCloud, service: str, call: Callable[[Any], Any]
) -> None:
    if not cloud.ours:
        pytest.skip("the list of operations is the local cloud's own")
    with pytest.raises(ClientError, match=f"does not implement {service}:") as caught:
        call(cloud.client(service))
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
