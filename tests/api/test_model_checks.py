"""Valid calls that are broken in one member: what botocore's model forbids is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, TRUST, TestCloud

pytestmark = pytest.mark.botocore_modelled

ROLE = f"arn:aws:iam::{ACCOUNT}:role/checked"
ALARM = {
    "AlarmName": "checked",
    "Namespace": "N",
    "MetricName": "M",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmDescription": "d",
}
# A valid call of each service behind moto, and the code of AWS for a member that is forbidden.
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("cloudwatch", "PutMetricAlarm", ALARM, "ValidationError"),
    (
        "events",
        "PutRule",
        {"Name": "checked", "ScheduleExpression": "rate(5 minutes)", "State": "ENABLED"},
        "ValidationException",
    ),
    (
        "iam",
        "CreateRole",
        {
            "RoleName": "checked",
            "AssumeRolePolicyDocument": TRUST,
            "Path": "/",
            "Description": "d",
            "MaxSessionDuration": 3600,
        },
        "ValidationError",
    ),
    (
        "lambda",
        "CreateFunction",
        {
            "FunctionName": "checked",
            "Runtime": "python3.11",
            "Role": ROLE,
            "Handler": "main.handler",
            "Code": {"ZipFile": zip_of({"main.py": ""})},
            "Timeout": 3,
            "MemorySize": 128,
            "Description": "d",
        },
        "ValidationException InvalidParameterValueException",
    ),
    (
        "codebuild",
        "CreateProject",
        {
            "name": "checked",
            "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "x",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            "serviceRole": ROLE,
            "timeoutInMinutes": 10,
            "queuedTimeoutInMinutes": 10,
        },
        "InvalidInputException",
    ),
    (
        "ssm",
        "PutParameter",
        {"Name": "/checked", "Value": "v", "Type": "String", "Tier": "Standard"},
        "ValidationException",
    ),
    (
        "kms",
        "CreateKey",
        {"Description": "d", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT"},
        "ValidationException",
    ),
    (
        "ecr",
        "CreateRepository",
        {"repositoryName": "checked", "imageTagMutability": "MUTABLE"},
        "InvalidParameterException",
    ),
    (
        "codecommit",
        "CreateRepository",
        {"repositoryName": "checked"},
        "RepositoryNameRequiredException InvalidRepositoryNameException",
    ),
    ("logs", "CreateLogGroup", {"logGroupName": "checked"}, "InvalidParameterException"),
    (
        "secretsmanager",
        "CreateSecret",
        {"Name": "checked", "SecretString": "x", "Description": "d"},
        "ValidationException",
    ),
    ("sns", "CreateTopic", {"Name": "checked"}, "ValidationError"),
    ("sqs", "CreateQueue", {"QueueName": "checked"}, "MissingParameter"),
    (
        "budgets",
        "CreateBudget",
        {
            "AccountId": ACCOUNT,
            "Budget": {
                "BudgetName": "checked",
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": "10", "Unit": "USD"},
            },
        },
        "InvalidParameterException",
    ),
]


# They have no name that a recording could recognise, or are of the whole account.
NOT_RECORDED = ("budgets", "kms")


def client(cloud: TestCloud, service: str) -> Any:
    """Return a client that checks nothing itself."""
    if service != "budgets":
        return cloud.client(service, checked=False)
    # localstack-client does not know the service.
    return boto3.client(
        service,
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="x",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


def named(value: Any, name: str) -> Any:
    """Return a call with a name in place of `checked`."""
    if isinstance(value, dict):
        return {key: named(each, name) for key, each in value.items()}
    return value.replace("checked", name) if isinstance(value, str) else value


def broken(shape: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a name and a call for each way in which one member can be forbidden."""
    for required in shape.required_members:
        yield f"no {required}", {k: v for k, v in value.items() if k != required}
    for name, given in value.items():
        member = shape.members[name]
        if member.type_name == "structure":
            for text, changed in broken(member, given):
                yield f"{name}: {text}", value | {name: changed}
            continue
        for text, bad in forbidden(member):
            yield f"{name} {text}", value | {name: bad}


def forbidden(shape: Any) -> Iterator[tuple[str, Any]]:
    limits = shape.metadata
    if limits.get("enum"):
        yield "not in its enumeration", "NOT-A-VALUE"
    elif shape.type_name == "string":
        if limits.get("min"):
            yield "empty", ""
        if 0 < limits.get("max", 0) <= 1_000_000:
            # A recording takes a secret out of messages, and must not take out the others.
            letter = "s" if limits.get("sensitive") else "a"
            yield "too long", letter * (limits["max"] + 1)
    elif shape.type_name in ("integer", "long", "double"):
        if "min" in limits:
            yield "too small", limits["min"] - 1
        if "max" in limits:
            yield "too large", limits["max"] + 1


@pytest.mark.parametrize(
    ("service", "operation", "valid", "codes"),
    [
        pytest.param(
            *call,
            id=f"{call[0]}:{call[1]}",
            marks=() if call[0] in NOT_RECORDED else pytest.mark.recordable,
        )
        for call in CALLS
    ],
)
def test_what_the_model_forbids_is_refused_in_the_words_of_aws(
    cloud: TestCloud, service: str, operation: str, valid: dict[str, Any], codes: str
) -> None:
    if not cloud.strict:
        pytest.skip("other endpoints check less")
    caller = client(cloud, service)
    valid = named(valid, cloud.name("checked"))
    shape = caller.meta.service_model.operation_model(operation).input_shape
    (method,) = [m for m, o in caller.meta.method_to_api_mapping.items() if o == operation]
    cases = list(broken(shape, valid))
    assert cases
    for text, call in cases:
        with pytest.raises(ClientError) as caught:
            getattr(caller, method)(**call)
        error = caught.value.response["Error"]
        assert error["Code"] in codes.split(), (text, error)
        assert "failed to satisfy constraint" in error["Message"] or service == "sqs", text
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400, text


@pytest.mark.recordable
def test_each_problem_of_a_call_is_named(cloud: TestCloud) -> None:
    if not cloud.strict:
        pytest.skip("other endpoints check less")
    wrong = named(ALARM, cloud.name("checked")) | {"Period": 0, "Statistic": "Most"}
    with pytest.raises(ClientError) as caught:
        cloud.client("cloudwatch", checked=False).put_metric_alarm(**wrong)
    message = caught.value.response["Error"]["Message"]
    assert message.startswith("2 validation errors detected: Value ")
    assert "Value '0' at 'period' failed to satisfy constraint: Member must have value" in message
    assert "Value 'Most' at 'statistic' failed to satisfy constraint: Member must sat" in message


def test_a_path_is_checked_like_a_body(cloud: TestCloud) -> None:
    if not cloud.strict:
        pytest.skip("other endpoints check less")
    with pytest.raises(ClientError, match="at 'functionName' failed to satisfy constraint"):
        cloud.client("lambda", checked=False).get_function(FunctionName="not a name")


def test_several_keys_in_a_query_are_a_list(cloud: TestCloud) -> None:
    lambda_, name = cloud.client("lambda"), "checked-tags"
    valid = next(c[2] for c in CALLS if c[0] == "lambda")
    cloud.client("iam").create_role(RoleName="checked", AssumeRolePolicyDocument=TRUST)
    tags = {"a": "1", "b": "2", "c": "3"}
    arn = lambda_.create_function(**valid | {"FunctionName": name, "Tags": tags})["FunctionArn"]
    lambda_.untag_resource(Resource=arn, TagKeys=["a", "b"])
    assert lambda_.list_tags(Resource=arn)["Tags"] == {"c": "3"}
    lambda_.delete_function(FunctionName=name)
