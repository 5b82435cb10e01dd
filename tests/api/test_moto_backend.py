"""The moto backend, with one test for each patch that real clients need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.deploy.stacks import aws_at
from tests.cloud import TestCloud, wait_for

BUCKET = "passive-mends"
KEYS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}


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
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html"
)
def test_a_suspended_bucket_keeps_the_other_versions_of_an_object(
    cloud: TestCloud, bucket: str
) -> None:
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [
        s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2")
    ]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_object(Bucket=bucket, Key="k", VersionId=versions[1])
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    left = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in left["Versions"]] == versions[:1]
    assert "DeleteMarkers" not in left
    s3.delete_object(Bucket=bucket, Key="k", VersionId=versions[0])
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html"
)
def test_a_bucket_logs_to_one_whose_policy_lists_what_it_lets_the_service_write(
    cloud: TestCloud, bucket: str
) -> None:
    s3 = cloud.client("s3")
    logging = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "a/"}}
    with pytest.raises(ClientError, match="InvalidTargetBucketForLogging"):
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=logging)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["logging.s3.amazonaws.com"]},
        "Action": ["s3:PutObject"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=logging)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetBucket"] == bucket
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})


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
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html"
)
def test_a_scheduled_rule_fires_again_and_again_until_it_is_disabled(cloud: TestCloud) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="scheduled")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    rule = events.put_rule(Name="minutely", ScheduleExpression="rate(1 minute)")["RuleArn"]
    events.put_targets(Rule="minutely", Targets=[{"Id": "q", "Arn": arn["QueueArn"]}])
    told: list[dict[str, Any]] = []

    def twice() -> bool:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            told.append(json.loads(message["Body"]))
        return len(told) >= 2

    wait_for("two events", twice, 30)
    assert told[0]["detail-type"] == "Scheduled Event"
    assert told[0]["source"] == "aws.events"
    assert told[0]["resources"] == [rule]
    assert told[0]["id"] != told[1]["id"]
    events.disable_rule(Name="minutely")
    events.remove_targets(Rule="minutely", Ids=["q"])
    events.delete_rule(Name="minutely")


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
    now = cloud.now()
    cloudwatch.put_metric_data(
        Namespace="Test",
        MetricData=[
            {"MetricName": "Depth", "Value": 11, "Timestamp": now + offset}
            for offset in range(0, 240, 30)
        ],
    )
    wait_for("ALARM", lambda: state() == "ALARM", 15)
    cloudwatch.delete_alarms(AlarmNames=["depth"])


@pytest.mark.botocore_modelled
def test_a_composite_alarm_is_distinguished_from_a_metric_alarm(cloud: TestCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_composite_alarm(
        AlarmName="either",
        AlarmRule="ALARM(one) OR ALARM(two)",
        AlarmActions=["arn:aws:sns:us-east-1:000000000000:topic"],
        ActionsSuppressor="maintenance",
        ActionsSuppressorWaitPeriod=60,
        ActionsSuppressorExtensionPeriod=30,
    )
    answer = cloudwatch.describe_alarms(
        AlarmNames=["either"], AlarmTypes=["CompositeAlarm", "MetricAlarm"]
    )
    assert answer["MetricAlarms"] == []
    (alarm,) = answer["CompositeAlarms"]
    assert alarm["AlarmRule"] == "ALARM(one) OR ALARM(two)"
    # It is evaluated at once, and is OK when none of its alarms exists.
    assert alarm["StateValue"] in ("INSUFFICIENT_DATA", "OK")
    assert alarm["ActionsSuppressor"] == "maintenance"
    assert alarm["ActionsSuppressorWaitPeriod"] == 60
    cloudwatch.delete_alarms(AlarmNames=["either"])


@pytest.mark.botocore_modelled
def test_a_log_group_takes_and_loses_a_key(cloud: TestCloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/keyed")

    def key() -> str | None:
        (group,) = logs.describe_log_groups(logGroupNamePrefix="/keyed")["logGroups"]
        found: str | None = group.get("kmsKeyId")
        return found

    logs.associate_kms_key(
        logGroupName="/keyed", kmsKeyId="arn:aws:kms:us-east-1:000000000000:key/one"
    )
    assert key() == "arn:aws:kms:us-east-1:000000000000:key/one"
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/keyed"
    logs.disassociate_kms_key(resourceIdentifier=arn)
    assert key() is None
    logs.delete_log_group(logGroupName="/keyed")


@pytest.mark.botocore_modelled
def test_a_git_repository_has_real_timestamps_a_description_and_tags(cloud: TestCloud) -> None:
    codecommit = cloud.client("codecommit")
    made = codecommit.create_repository(repositoryName="git", tags={"a": "1"})
    arn = made["repositoryMetadata"]["Arn"]
    codecommit.update_repository_description(repositoryName="git", repositoryDescription="New")
    kept = codecommit.get_repository(repositoryName="git")["repositoryMetadata"]
    assert isinstance(kept["creationDate"], datetime)
    assert kept["repositoryDescription"] == "New"
    codecommit.tag_resource(resourceArn=arn, tags={"b": "2"})
    codecommit.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert codecommit.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    names = [r["repositoryName"] for r in codecommit.list_repositories()["repositories"]]
    assert names == ["git"]
    codecommit.delete_repository(repositoryName="git")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectSource.html"
)
def test_a_pipelines_build_project_has_no_location_and_can_be_updated(cloud: TestCloud) -> None:
    codebuild = cloud.client("codebuild")
    project = codebuild.create_project(
        name="build",
        source={"type": "CODEPIPELINE"},
        artifacts={"type": "CODEPIPELINE"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole="arn:aws:iam::000000000000:role/build",
    )["project"]
    assert "location" not in project["source"]
    assert (project["timeoutInMinutes"], project["queuedTimeoutInMinutes"]) == (60, 480)
    codebuild.update_project(name="build", timeoutInMinutes=5)
    (kept,) = codebuild.batch_get_projects(names=["build"])["projects"]
    assert (kept["timeoutInMinutes"], kept["source"]) == (5, {"type": "CODEPIPELINE"})
    codebuild.delete_project(name=project["arn"])
    assert codebuild.list_projects()["projects"] == []


@pytest.mark.botocore_modelled
def test_a_budget_is_updated_tagged_and_names_its_subscribers(cloud: TestCloud) -> None:
    # localstack-client does not know this service.
    budgets = aws_at(cloud.url, "us-east-1").client("budgets")
    account = "000000000000"
    budget = {
        "BudgetName": "month",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "10", "Unit": "USD"},
    }
    notification = {
        "NotificationType": "FORECASTED",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": 90.0,
    }
    subscriber = {"SubscriptionType": "EMAIL", "Address": "a@example.com"}
    budgets.create_budget(
        AccountId=account,
        Budget=budget,
        NotificationsWithSubscribers=[{"Notification": notification, "Subscribers": [subscriber]}],
        ResourceTags=[{"Key": "a", "Value": "1"}],
    )
    of = {"AccountId": account, "BudgetName": "month"}
    began = budgets.describe_budget(**of)["Budget"]["TimePeriod"]["Start"]
    limit = {"Amount": "20", "Unit": "USD"}
    budgets.update_budget(AccountId=account, NewBudget={**budget, "BudgetLimit": limit})
    kept = budgets.describe_budget(**of)["Budget"]
    assert (kept["BudgetLimit"], kept["TimePeriod"]["Start"]) == (limit, began)
    answer = budgets.describe_subscribers_for_notification(**of, Notification=notification)
    assert answer["Subscribers"] == [subscriber]
    arn = f"arn:aws:budgets::{account}:budget/month"
    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "b", "Value": "2"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["a"])
    tags = budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"]
    assert tags == [{"Key": "b", "Value": "2"}]
    budgets.delete_notification(**of, Notification={**notification, "ThresholdType": "PERCENTAGE"})
    assert budgets.describe_notifications_for_budget(**of)["Notifications"] == []
    budgets.delete_budget(**of)


@pytest.mark.emulator_only
def test_a_command_to_instances_finds_none(cloud: TestCloud) -> None:
    targets = [{"Key": "tag:a", "Values": ["b"]}]
    sent = cloud.client("ssm").send_command(DocumentName="AWS-RunShellScript", Targets=targets)
    assert sent["Command"]["InstanceIds"] == []


@pytest.mark.emulator_only
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_url_of_a_queue_leads_to_the_local_cloud(cloud: TestCloud, host: str) -> None:
    """A client that sends to the queue's URL, and not to its own address, must not reach AWS."""
    at = cloud.url.replace("127.0.0.1", host)
    name = f"url-of-{host.replace('.', '-')}"
    sqs = boto3.client("sqs", endpoint_url=at, **KEYS)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert f"{at}/000000000000/{name}" == url
    assert url == sqs.get_queue_url(QueueName=name)["QueueUrl"]
    assert [url] == sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]
    by_url = boto3.client("sqs", endpoint_url=url, **KEYS)
    by_url.send_message(QueueUrl=url, MessageBody="there")
    (found,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert found["Body"] == "there"
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def group(cloud: TestCloud) -> Iterator[str]:
    logs, name = cloud.client("logs"), "/queried/group"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    now = int(cloud.now() * 1000)
    events = [{"timestamp": now + n, "message": f"line {n}"} for n in range(3)]
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)
    yield name
    logs.delete_log_group(logGroupName=name)


QUERY = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html"


@pytest.mark.aws_documented(QUERY)
@pytest.mark.parametrize(
    "groups",
    [
        {"logGroupName": "/queried/group"},
        {"logGroupNames": ["/queried/group"]},
        {"logGroupIdentifiers": ["/queried/group"]},
        {
            "logGroupIdentifiers": [
                "arn:aws:logs:us-east-1:000000000000:log-group:/queried/group",
            ]
        },
    ],
)
def test_a_query_of_logs_takes_names_and_arns_and_keeps_to_its_limit(
    cloud: TestCloud, group: str, groups: dict[str, Any]
) -> None:
    logs, now = cloud.client("logs"), int(cloud.now())
    query = {"startTime": now - 3600, "endTime": now + 3600, "queryString": "fields @message"}
    for limit, count in ((None, 3), (2, 2)):
        more = {} if limit is None else {"limit": limit}
        started = logs.start_query(**groups, **query, **more)
        found = logs.get_query_results(queryId=started["queryId"])
        assert (found["status"], len(found["results"])) == ("Complete", count), group


@pytest.mark.aws_documented(QUERY)
@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "none of them"),
        ({"logGroupName": "a", "logGroupNames": ["b"]}, "logGroupName and logGroupNames"),
        ({"logGroupName": "/queried/group", "queryLanguage": "SQL"}, "queryLanguage SQL"),
    ],
)
def test_a_query_of_logs_names_what_it_cannot_do(
    cloud: TestCloud, group: str, more: dict[str, Any], text: str
) -> None:
    logs = cloud.client("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException, match=text):
        logs.start_query(startTime=0, endTime=1, queryString="fields @message", **more)
    missing = {"logGroupIdentifiers": [f"{group}/missing"], "queryString": "fields @message"}
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.start_query(startTime=0, endTime=1, **missing)


@pytest.mark.emulator_only
def test_a_function_gets_no_url_that_leads_to_aws(cloud: TestCloud) -> None:
    with pytest.raises(ClientError, match="does not implement lambda:CreateFunctionUrlConfig"):
        cloud.client("lambda").create_function_url_config(FunctionName="any", AuthType="NONE")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html"
)
def test_a_keys_policy_is_read_and_written_without_its_name(cloud: TestCloud) -> None:
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Id"] = "changed"
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    found = kms.get_key_policy(KeyId=key)
    assert found["PolicyName"] == "default"
    assert json.loads(found["Policy"]) == policy
    with pytest.raises(ClientError, match="NotFoundException"):
        kms.get_key_policy(KeyId=key, PolicyName="another")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"
)
def test_events_are_retained_for_the_days_that_cloudwatch_has(cloud: TestCloud) -> None:
    logs, name = cloud.client("logs"), "/retained"
    logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=365)
    with pytest.raises(ClientError, match=r"retentionInDays 31 is not one of 1, 3, 5, .*3653\. "):
        logs.put_retention_policy(logGroupName=name, retentionInDays=31)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 365
    logs.delete_log_group(logGroupName=name)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"
)
def test_events_are_filtered_by_the_beginning_of_their_streams_name(cloud: TestCloud) -> None:
    logs, name = cloud.client("logs"), "/filtered"
    logs.create_log_group(logGroupName=name)
    for stream in ("one/a", "one/b", "two/a"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        event = {"timestamp": int(cloud.now() * 1000), "message": stream}
        logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=[event])
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{name}"
    for group in ({"logGroupName": name}, {"logGroupIdentifier": arn}):
        for prefix, expected in (("one/", ["one/a", "one/b"]), ("two/a", ["two/a"]), ("x", [])):
            found = logs.filter_log_events(**group, logStreamNamePrefix=prefix)["events"]
            assert sorted(event["message"] for event in found) == expected
    found = logs.filter_log_events(logGroupName=name, filterPattern="-one ?two")["events"]
    assert [event["message"] for event in found] == ["two/a"]
    with pytest.raises(ClientError, match="which the local cloud does not evaluate"):
        logs.filter_log_events(logGroupName=name, filterPattern="{ $.a = 1 }")
    with pytest.raises(ClientError, match="cannot both be given"):
        logs.filter_log_events(
            logGroupName=name, logStreamNamePrefix="one/", logStreamNames=["two/a"]
        )
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.filter_log_events(logGroupName="/none", logStreamNamePrefix="one/")
    logs.delete_log_group(logGroupName=name)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html"
)
def test_a_scan_completes_without_made_up_findings(cloud: TestCloud) -> None:
    ecr = cloud.client("ecr")
    image = {"repositoryName": "scanned", "imageId": {"imageTag": "one"}}
    ecr.create_repository(repositoryName="scanned")
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": []})
    ecr.put_image(repositoryName="scanned", imageManifest=manifest, imageTag="one")
    with pytest.raises(ClientError, match="ScanNotFoundException"):
        ecr.describe_image_scan_findings(**image)
    ecr.put_image_scanning_configuration(
        repositoryName="scanned", imageScanningConfiguration={"scanOnPush": True}
    )
    ecr.get_waiter("image_scan_complete").wait(**image)
    found = ecr.describe_image_scan_findings(**image)
    assert found["imageScanStatus"]["status"] == "COMPLETE"
    assert "no database of vulnerabilities" in found["imageScanStatus"]["description"]
    assert found["imageScanFindings"]["findings"] == []
    assert found["imageScanFindings"]["findingSeverityCounts"] == {}
    ecr.delete_repository(repositoryName="scanned", force=True)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html"
)
def test_a_key_encrypts_unless_it_is_for_something_else(cloud: TestCloud) -> None:
    kms = cloud.client("kms")
    assert kms.create_key()["KeyMetadata"]["KeyUsage"] == "ENCRYPT_DECRYPT"
    signing = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]
    assert signing["KeyUsage"] == "SIGN_VERIFY"
