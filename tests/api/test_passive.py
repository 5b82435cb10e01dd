"""The passive services and the mends that real clients need, one test a mend."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cloud import TestCloud, wait_for

BUCKET = "passive-mends"


@pytest.fixture
def bucket(cloud: TestCloud) -> Iterator[str]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield BUCKET
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"
)
def test_a_tls_only_bucket_policy_lets_objects_be_read(cloud: TestCloud, bucket: str) -> None:
    s3 = cloud.client("s3")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"


@pytest.mark.botocore_modelled
def test_a_bucket_remembers_that_its_events_go_to_eventbridge(
    cloud: TestCloud, bucket: str
) -> None:
    s3 = cloud.client("s3")
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    answer = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert answer["EventBridgeConfiguration"] == {}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html"
)
def test_one_failing_target_does_not_hide_the_others(cloud: TestCloud, bucket: str) -> None:
    s3, events, sqs = (cloud.client(name) for name in ("s3", "events", "sqs"))
    queue = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    events.put_rule(
        Name="uploads",
        EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}),
    )
    missing = "arn:aws:codepipeline:us-east-1:000000000000:no-such-pipeline"
    events.put_targets(
        Rule="uploads",
        Targets=[
            {"Id": "gone", "Arn": missing},
            {"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:uploads"},
        ],
    )
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket=bucket, Key="the-key", Body=b"x")
    messages = wait_for(
        "the event in the queue", lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), 10
    )
    event = json.loads(messages[0]["Body"])
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"]["key"] == "the-key"
    events.remove_targets(Rule="uploads", Ids=["gone", "queue"])
    events.delete_rule(Name="uploads")
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html"
)
def test_a_new_alarm_has_insufficient_data_and_then_follows_its_metric(cloud: TestCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="depth",
        Namespace="Test",
        MetricName="Depth",
        Statistic="Maximum",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=10,
        Period=60,
        EvaluationPeriods=1,
    )

    def state() -> str:
        alarms = cloudwatch.describe_alarms(AlarmNames=["depth"])["MetricAlarms"]
        return str(alarms[0]["StateValue"])

    assert state() == "INSUFFICIENT_DATA"
    now = json.loads(cloud.get("/_localcloud/clock")[1])["now"]
    cloudwatch.put_metric_data(
        Namespace="Test",
        MetricData=[
            {"MetricName": "Depth", "Value": 11, "Timestamp": now + offset}
            for offset in range(0, 240, 30)
        ],
    )
    wait_for("ALARM", lambda: state() == "ALARM", 15)
    cloudwatch.delete_alarms(AlarmNames=["depth"])
