"""The moto backend survives a `kill -9`: after a restart, each confirmed change is there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, TRUST, TestCloud, configured_url, local_cloud, wait_for

pytestmark = pytest.mark.emulator_only

Client = Callable[[str], Any]

_TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:kept"


def _make(client: Client) -> None:
    """Make something in every service of moto."""
    s3 = client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="once", Body=b"unversioned")
    s3.put_object(Bucket="kept", Key="once", Body=b"written over")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket="kept", Key="a key/with+signs", Body=body, Tagging="a=b")
    s3.put_object(Bucket="kept", Key="deleted", Body=b"x")
    s3.delete_object(Bucket="kept", Key="deleted")
    s3.put_object(Bucket="kept", Key="several", Body=b"x")
    s3.delete_objects(Bucket="kept", Delete={"Objects": [{"Key": "several"}]})
    upload = s3.create_multipart_upload(Bucket="kept", Key="in parts")["UploadId"]
    named = {"Bucket": "kept", "Key": "in parts", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(**named, MultipartUpload=parts)
    iam = client("iam")
    iam.create_role(RoleName="kept", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="kept", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    kms = client("kms")
    kms.create_alias(AliasName="alias/kept", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    signing = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/signing", TargetKeyId=signing)
    client("logs").create_log_group(logGroupName="/kept")
    _make_alarm(client, "kept")
    queue = client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    client("sqs").send_message(QueueUrl=queue, MessageBody="kept")
    client("sns").create_topic(Name="kept", Tags=[{"Key": "a", "Value": "b"}])
    client("sns").subscribe(TopicArn=_TOPIC, Protocol="email", Endpoint="a@example.com")
    client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
    client("ssm").put_parameter(Name="/kept", Value="2", Type="String", Overwrite=True)
    client("secretsmanager").create_secret(Name="kept", SecretString="s")
    client("ecr").create_repository(repositoryName="kept")
    client("events").put_rule(Name="kept", ScheduleExpression="rate(1 day)")
    client("events").put_targets(Rule="kept", Targets=[{"Id": "1", "Arn": _TOPIC}])
    client("lambda").create_function(
        FunctionName="kept",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{ACCOUNT}:role/kept",
        Handler="main.handler",
        Code={"ZipFile": zip_of({"main.py": "def handler(event, context):\n    return event\n"})},
    )
    client("codecommit").create_repository(repositoryName="kept")
    client("codebuild").create_project(
        name="kept",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/kept",
    )
    client("budgets").create_budget(
        AccountId=ACCOUNT,
        Budget={
            "BudgetName": "kept",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "10", "Unit": "USD"},
        },
    )


def _make_alarm(client: Client, name: str) -> None:
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="N",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )


def _read(client: Client) -> dict[str, Any]:
    """Return what the services say about it, as a user compares it."""
    s3, events = client("s3"), client("events")
    versions = s3.list_object_versions(Bucket="kept")
    key = {"Bucket": "kept", "Key": "a key/with+signs"}
    bodies = {
        entry["Key"] + entry["VersionId"]: s3.get_object(
            Bucket="kept", Key=entry["Key"], VersionId=entry["VersionId"]
        )["Body"].read()
        for entry in versions["Versions"]
    }
    kms = client("kms")
    queue = client("sqs").get_queue_url(QueueName="kept")["QueueUrl"]
    answers = {
        "versions": (versions["Versions"], versions["DeleteMarkers"]),
        "bodies": bodies,
        "object tags": s3.get_object_tagging(**key)["TagSet"],
        "role": client("iam").get_role(RoleName="kept"),
        "attached": client("iam").list_attached_role_policies(RoleName="kept"),
        "keys": (kms.describe_key(KeyId="alias/kept"), kms.get_public_key(KeyId="alias/signing")),
        "groups": client("logs").describe_log_groups(),
        "alarms": client("cloudwatch").describe_alarms(),
        "queue": client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]),
        "topic": client("sns").get_topic_attributes(TopicArn=_TOPIC),
        "topic's tags": client("sns").list_tags_for_resource(ResourceArn=_TOPIC),
        "subscriptions": client("sns").list_subscriptions(),
        "parameter": client("ssm").get_parameter_history(Name="/kept"),
        "secret": client("secretsmanager").get_secret_value(SecretId="kept"),
        "repositories": client("ecr").describe_repositories(),
        "rules": (events.list_rules(), events.list_targets_by_rule(Rule="kept")),
        "function": client("lambda").get_function(FunctionName="kept"),
        "code": client("codecommit").get_repository(repositoryName="kept"),
        "projects": client("codebuild").batch_get_projects(names=["kept"]),
        "budgets": client("budgets").describe_budgets(AccountId=ACCOUNT),
    }
    return {name: _plain(answer) for name, answer in answers.items()}


def _plain(answer: Any) -> Any:
    """Drop what differs between two calls: the request's metadata, and the port of the cloud."""
    if isinstance(answer, dict):
        own = {k: v for k, v in answer.items() if k not in ("ResponseMetadata", "Location")}
        return {name: _plain(value) for name, value in own.items()}
    if isinstance(answer, list | tuple):
        return [_plain(entry) for entry in answer]
    return answer


def _clients(cloud: TestCloud, account: str = ACCOUNT) -> Client:
    """Return a maker of boto3 clients: localstack-client knows no budgets."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=cloud.url,
            region_name="us-east-1",
            aws_access_key_id=account,
            aws_secret_access_key="test",
        )

    return client


def _kill(cloud: TestCloud) -> None:
    assert cloud.pid is not None
    os.kill(cloud.pid, signal.SIGKILL)


def test_every_service_of_moto_is_as_it_was_after_a_kill(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        _make(_clients(cloud))
        before = _read(_clients(cloud))
        _kill(cloud)
    with local_cloud(state_dir=tmp_path) as cloud:
        after = _read(_clients(cloud))
        for name in before:
            if name != "code":  # its clone URL has the port
                assert after[name] == before[name], name
        # What came back still works, and is still one and the same thing.
        answer = cloud.client("lambda").invoke(FunctionName="kept", Payload=b'{"a": 1}')
        assert json.loads(answer["Payload"].read()) == {"a": 1}
        sqs = cloud.client("sqs")
        queue = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
        assert message["Body"] == "kept"
        with pytest.raises(ClientError, match="BucketAlreadyExists"):
            _clients(cloud, "111111111111")("s3").create_bucket(Bucket="kept")
        policies = cloud.client("iam").get_policy(
            PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
        )
        assert policies["Policy"]["AttachmentCount"] == 1


def test_alarms_come_back_with_their_history(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")

    def history(cloud: TestCloud) -> Any:
        return cloud.client("cloudwatch").describe_alarm_history()["AlarmHistoryItems"]

    with local_cloud(state_dir=tmp_path) as cloud:
        _make_alarm(_clients(cloud), "first")
        before = wait_for("the first item", lambda: history(cloud))
        _make_alarm(_clients(cloud), "second")
        _kill(cloud)
    with local_cloud(state_dir=tmp_path) as cloud:
        alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
        assert [alarm["AlarmName"] for alarm in alarms] == ["first", "second"]
        assert [item for item in history(cloud) if item["AlarmName"] == "first"] == before


def test_what_is_deleted_stays_deleted_after_a_kill(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        s3, logs = cloud.client("s3"), cloud.client("logs")
        for bucket in ("emptied", "removed"):
            s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key="key", Body=b"x")
            s3.delete_object(Bucket=bucket, Key="key")
        s3.delete_bucket(Bucket="removed")
        logs.create_log_group(logGroupName="/removed")
        logs.delete_log_group(logGroupName="/removed")
        _kill(cloud)
    with local_cloud(state_dir=tmp_path) as cloud:
        s3 = cloud.client("s3")
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["emptied"]
        assert "Contents" not in s3.list_objects_v2(Bucket="emptied")
        assert cloud.client("logs").describe_log_groups()["logGroups"] == []


def test_log_lines_and_metric_data_come_back_after_an_orderly_end(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to end")
    group = {"logGroupName": "/kept", "logStreamName": "stream"}
    dimensions = [{"Name": "A", "Value": "B"}]
    for start in (1, 2):
        with local_cloud(state_dir=tmp_path, speed=1.0) as cloud:
            logs, cloudwatch = cloud.client("logs"), cloud.client("cloudwatch")
            if start == 1:
                logs.create_log_group(logGroupName="/kept")
                logs.create_log_stream(**group)
            now = int(time.time() * 1000)
            event = {"timestamp": now, "message": f"start {start}"}
            logs.put_log_events(**group, logEvents=[event])
            cloudwatch.put_metric_data(
                Namespace="N",
                MetricData=[{"MetricName": "M", "Value": 1.0, "Dimensions": dimensions}],
            )
    with local_cloud(state_dir=tmp_path) as cloud:
        lines = cloud.client("logs").get_log_events(**group, startFromHead=True)["events"]
        assert [line["message"] for line in lines] == ["start 1", "start 2"]
        (metric,) = cloud.client("cloudwatch").list_metrics(Namespace="N")["Metrics"]
        assert metric["MetricName"] == "M"


def test_a_state_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "moto.sqlite", isolation_level=None)
    connection.execute("UPDATE about SET value = '4.0.0' WHERE name = 'moto'")
    connection.close()
    command = [sys.executable, "-m", "localcloud", "start", "--port", "0"]
    ended = subprocess.run(
        [*command, "--state-dir", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "was written with moto 4.0.0" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
