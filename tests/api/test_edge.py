"""The edge: LocalStack's routes, honest refusals, and who may call."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.cloud import REGION, TestCloud

pytestmark = pytest.mark.emulator_only


def test_health_lists_the_services_as_localstack_does(cloud: TestCloud) -> None:
    status, body = cloud.get("/_localstack/health")
    services = json.loads(body)["services"]
    assert status == 200
    assert {"s3", "lambda"} <= set(services)
    assert set(services.values()) <= {"available", "running", "disabled", "error"}
    assert {"edition", "version"} <= set(json.loads(body))


def test_info_says_what_answers(cloud: TestCloud) -> None:
    status, body = cloud.get("/_localstack/info")
    assert status == 200
    assert {"edition", "version"} <= set(json.loads(body))


def test_init_says_that_the_cloud_is_ready(cloud: TestCloud) -> None:
    _, body = cloud.get("/_localstack/init")
    document = json.loads(body)
    assert document["completed"]["READY"] is True
    assert set(document["completed"]) == {"BOOT", "START", "READY", "SHUTDOWN"}
    assert document["scripts"] == []


@pytest.mark.parametrize(
    ("key", "account"), [("test", "000000000000"), ("123456789012", "123456789012")]
)
def test_an_access_key_of_twelve_digits_is_the_account(
    cloud: TestCloud, key: str, account: str
) -> None:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=cloud.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key="test",
        )

    assert client("sts").get_caller_identity()["Account"] == account
    topic = client("sns").create_topic(Name="of-an-account")["TopicArn"]
    assert topic == f"arn:aws:sns:us-east-1:{account}:of-an-account"
    group = client("sagemaker").create_model_package_group(ModelPackageGroupName=f"of-{account}")
    assert group["ModelPackageGroupArn"].split(":")[4] == account
    client("sagemaker").delete_model_package_group(ModelPackageGroupName=f"of-{account}")
    client("sns").delete_topic(TopicArn=topic)


def test_an_operation_that_is_not_there_is_a_501_that_names_it(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("the list of operations is the local cloud's own")
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker").create_compilation_job(
            CompilationJobName="x",
            RoleArn="arn:aws:iam::000000000000:role/x-role-of-compilation",
            OutputConfig={"S3OutputLocation": "s3://b/k", "TargetDevice": "ml_m5"},
            StoppingCondition={},
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "sagemaker:CreateCompilationJob" in str(caught.value)


def test_a_service_that_is_not_there_is_a_501_too(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("the list of services is the local cloud's own")
    with pytest.raises(ClientError) as caught:
        cloud.client("athena").list_work_groups()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.com"}, {"Host": "rebound.example.com"}]
)
def test_a_foreign_web_page_is_turned_away(cloud: TestCloud, headers: dict[str, str]) -> None:
    if not cloud.ours:
        pytest.skip("only the local cloud's own edge is judged")
    request = urllib.request.Request(f"{cloud.url}/_localstack/health", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert caught.value.code == 403
    caught.value.close()


def test_a_request_that_breaks_the_model_gets_awss_own_text(cloud: TestCloud) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker").create_endpoint(
            EndpointName="not_allowed!", EndpointConfigName="c"
        )
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "Value 'not_allowed!' at 'endpointName' failed to satisfy constraint" in error["Message"]
