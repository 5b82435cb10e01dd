"""One clock: every stamp of the local cloud has its own time, whatever service makes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, TestCloud, have_role, local_cloud, push_container, wait_for
from tests.pipelines import Pipelines, approval_action, prepare
from tests.stamps import AHEAD_SECONDS, walls_times

pytestmark = pytest.mark.emulator_only

ROLE = f"arn:aws:iam::{ACCOUNT}:role/clock"
TEMPLATE = {"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}}
FUNCTION = """
def handler(event, context):
    print("seen")
    return {}
"""


@pytest.fixture(scope="module")
def ahead() -> Iterator[TestCloud]:
    """A cloud whose clock is weeks ahead of the machine's."""
    with local_cloud() as cloud:
        cloud.advance(AHEAD_SECONDS)
        have_role(cloud, ROLE, "sagemaker", "lambda", "cloudformation")
        yield cloud


def ask(cloud: TestCloud, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation; fail if its answer has a time of the machine's clock."""
    answer: dict[str, Any] = getattr(cloud.client(service), operation)(**parameters)
    assert [] == walls_times(answer), f"{service}.{operation}"
    return answer


def test_objects_and_buckets(ahead: TestCloud) -> None:
    ask(ahead, "s3", "create_bucket", Bucket="clock")
    versioning = {"Status": "Enabled"}
    ask(ahead, "s3", "put_bucket_versioning", Bucket="clock", VersioningConfiguration=versioning)
    ask(ahead, "s3", "put_object", Bucket="clock", Key="k", Body=b"v")
    ask(ahead, "s3", "copy_object", Bucket="clock", Key="l", CopySource="clock/k")
    upload = ask(ahead, "s3", "create_multipart_upload", Bucket="clock", Key="m")["UploadId"]
    of = {"Bucket": "clock", "Key": "m", "UploadId": upload}
    ask(ahead, "s3", "upload_part", **of, PartNumber=1, Body=b"p")
    ask(ahead, "s3", "list_parts", **of)
    ask(ahead, "s3", "list_multipart_uploads", Bucket="clock")
    ask(ahead, "s3", "delete_object", Bucket="clock", Key="l")
    for operation in ("list_objects_v2", "list_object_versions"):
        ask(ahead, "s3", operation, Bucket="clock")
    for operation in ("head_object", "get_object"):
        ask(ahead, "s3", operation, Bucket="clock", Key="k")
    ask(ahead, "s3", "list_buckets")


def test_messages(ahead: TestCloud) -> None:
    queue = ask(ahead, "sqs", "create_queue", QueueName="clock")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:clock"
    topic = ask(ahead, "sns", "create_topic", Name="clock")["TopicArn"]
    ask(ahead, "sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
    ask(ahead, "sns", "publish", TopicArn=topic, Message="m")
    ask(ahead, "sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["All"])
    received = ask(
        ahead,
        "sqs",
        "receive_message",
        QueueUrl=queue,
        WaitTimeSeconds=5,
        AttributeNames=["All"],
    )["Messages"][0]
    assert {"SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= set(received["Attributes"])
    notification = json.loads(received["Body"])
    assert "Timestamp" in notification
    assert [] == walls_times(notification)


def test_events(ahead: TestCloud) -> None:
    queue = ask(ahead, "sqs", "create_queue", QueueName="clock-events")["QueueUrl"]
    ask(ahead, "events", "put_rule", Name="clock", EventPattern='{"source": ["clock"]}')
    target = {"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:clock-events"}
    ask(ahead, "events", "put_targets", Rule="clock", Targets=[target])
    entry = {"Source": "clock", "DetailType": "d", "Detail": "{}"}
    ask(ahead, "events", "put_events", Entries=[entry])
    received = ask(ahead, "sqs", "receive_message", QueueUrl=queue, WaitTimeSeconds=5)
    event = json.loads(received["Messages"][0]["Body"])
    assert [] == walls_times(event)


def test_metrics_and_alarms(ahead: TestCloud) -> None:
    datum = {"MetricName": "m", "Value": 1.0}
    ask(ahead, "cloudwatch", "put_metric_data", Namespace="clock", MetricData=[datum])
    now = ahead.now()
    found = ask(
        ahead,
        "cloudwatch",
        "get_metric_statistics",
        Namespace="clock",
        MetricName="m",
        StartTime=now - 7200,
        EndTime=now + 60,
        Period=60,
        Statistics=["Sum"],
    )
    assert 1 == len(found["Datapoints"])
    alarm = {
        "AlarmName": "clock",
        "Namespace": "clock",
        "MetricName": "m",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 0.0,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    ask(ahead, "cloudwatch", "put_metric_alarm", **alarm)
    state = {"StateValue": "ALARM", "StateReason": "r"}
    ask(ahead, "cloudwatch", "set_alarm_state", AlarmName="clock", **state)
    ask(ahead, "cloudwatch", "describe_alarms")
    ask(ahead, "cloudwatch", "describe_alarm_history", AlarmName="clock")


def test_secrets_parameters_keys_and_roles(ahead: TestCloud) -> None:
    secret = ask(ahead, "secretsmanager", "create_secret", Name="clock", SecretString="s")["ARN"]
    ask(ahead, "secretsmanager", "put_secret_value", SecretId=secret, SecretString="t")
    ask(ahead, "secretsmanager", "list_secret_version_ids", SecretId=secret)
    ask(ahead, "secretsmanager", "get_secret_value", SecretId=secret)
    ask(ahead, "secretsmanager", "delete_secret", SecretId=secret)
    ask(ahead, "ssm", "put_parameter", Name="clock", Value="v", Type="String")
    ask(ahead, "ssm", "get_parameter", Name="clock")
    ask(ahead, "ssm", "get_parameter_history", Name="clock")
    key = ask(ahead, "kms", "create_key")["KeyMetadata"]["KeyId"]
    ask(ahead, "kms", "schedule_key_deletion", KeyId=key, PendingWindowInDays=7)
    ask(ahead, "kms", "describe_key", KeyId=key)
    ask(ahead, "iam", "create_user", UserName="clock")
    ask(ahead, "iam", "create_access_key", UserName="clock")
    ask(ahead, "iam", "list_access_keys", UserName="clock")
    ask(ahead, "iam", "get_role", RoleName="clock")
    ask(ahead, "sts", "assume_role", RoleArn=ROLE, RoleSessionName="clock")


def test_functions_and_their_log(ahead: TestCloud) -> None:
    ask(
        ahead,
        "lambda",
        "create_function",
        FunctionName="clock",
        Role=ROLE,
        Runtime="python3.12",
        Handler="handlers.handler",
        Code={"ZipFile": zip_of({"handlers.py": FUNCTION})},
    )
    ask(ahead, "lambda", "get_function", FunctionName="clock")
    ask(ahead, "lambda", "invoke", FunctionName="clock")
    group = "/aws/lambda/clock"

    def ended() -> list[str]:
        try:
            found = ask(ahead, "logs", "filter_log_events", logGroupName=group)["events"]
        except ClientError:  # the group is not there yet
            return []
        messages = [event["message"] for event in found]
        return messages if any("REPORT" in message for message in messages) else []

    assert any("seen" in message for message in wait_for("the function's log", ended))
    ask(ahead, "logs", "describe_log_groups")
    ask(ahead, "logs", "describe_log_streams", logGroupName=group)


@pytest.mark.slow
def test_stacks_pipelines_and_models(ahead: TestCloud) -> None:
    ask(
        ahead,
        "cloudformation",
        "create_stack",
        StackName="clock",
        TemplateBody=json.dumps(TEMPLATE),
    )
    ahead.client("cloudformation").get_waiter("stack_create_complete").wait(StackName="clock")
    for operation in ("describe_stacks", "describe_stack_events", "describe_stack_resources"):
        ask(ahead, "cloudformation", operation, StackName="clock")
    prepare(ahead)
    pipelines = Pipelines(ahead.client("codepipeline"))
    pipeline = pipelines.make([approval_action()])
    pipelines.token(pipeline)
    ask(ahead, "codepipeline", "get_pipeline", name=pipeline)
    ask(ahead, "codepipeline", "get_pipeline_state", name=pipeline)
    ask(ahead, "codepipeline", "list_pipeline_executions", pipelineName=pipeline)
    ask(ahead, "codepipeline", "list_action_executions", pipelineName=pipeline)
    image = push_container(ahead, "clock")
    ask(ahead, "ecr", "describe_repositories")
    ask(ahead, "ecr", "describe_images", repositoryName="clock")
    container = {"Image": image}
    ask(
        ahead,
        "sagemaker",
        "create_model",
        ModelName="clock",
        PrimaryContainer=container,
        ExecutionRoleArn=ROLE,
    )
    ask(ahead, "sagemaker", "describe_model", ModelName="clock")
    ask(ahead, "sagemaker", "list_models")
    ask(ahead, "codecommit", "create_repository", repositoryName="clock")
    ask(ahead, "codecommit", "get_repository", repositoryName="clock")
