"""The shapes of AWS where moto is looser: metrics, alarms, topics, buckets, what is not there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, REGION, TestCloud

CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def minute(cloud: TestCloud) -> float:
    """The start of a minute with two values of different units in it."""
    start = cloud.now() // 60 * 60 - 180
    data = [
        {"MetricName": "mixed", "Value": 1, "Unit": "Seconds", "Timestamp": at(start + 13)},
        {"MetricName": "mixed", "Value": 3, "Unit": "Seconds", "Timestamp": at(start + 50)},
        {"MetricName": "mixed", "Value": 100, "Unit": "Percent", "Timestamp": at(start + 14)},
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace=f"shapes-{start:.0f}", MetricData=data)
    return start


@pytest.mark.aws_documented(f"{CLOUDWATCH}/API_GetMetricStatistics.html")
def test_statistics_begin_at_whole_minutes_and_keep_units_apart(
    cloud: TestCloud, minute: float
) -> None:
    wanted = {"Namespace": f"shapes-{minute:.0f}", "MetricName": "mixed", "Period": 60}
    between = {"StartTime": at(minute - 30), "EndTime": at(minute + 90), "Statistics": ["Average"]}
    client = cloud.client("cloudwatch")
    found = client.get_metric_statistics(**wanted, **between)["Datapoints"]
    shown = sorted((d["Unit"], d["Average"], d["Timestamp"].timestamp()) for d in found)
    assert [("Percent", 100.0, minute), ("Seconds", 2.0, minute)] == shown
    one = client.get_metric_statistics(**wanted, **between, Unit="Seconds")["Datapoints"]
    assert [2.0] == [d["Average"] for d in one]


@pytest.mark.aws_documented(f"{CLOUDWATCH}/API_GetMetricStatistics.html")
def test_at_most_1440_datapoints_are_asked_for(cloud: TestCloud, minute: float) -> None:
    client = cloud.client("cloudwatch")
    wanted = {"Namespace": "shapes", "MetricName": "none", "Period": 60, "Statistics": ["Sum"]}
    end = at(minute)
    client.get_metric_statistics(**wanted, StartTime=at(minute - 86_400), EndTime=end)
    with pytest.raises(
        ClientError, match=r"InvalidParameterCombination.*exceeds the limit of 1,440"
    ):
        client.get_metric_statistics(**wanted, StartTime=at(minute - 86_460), EndTime=end)


@pytest.mark.aws_documented(f"{CLOUDWATCH}/API_MetricDataResult.html")
def test_one_metric_is_labelled_by_its_name(cloud: TestCloud, minute: float) -> None:
    def query(id_: str, stat: str) -> dict[str, Any]:
        metric = {"Namespace": f"shapes-{minute:.0f}", "MetricName": "mixed"}
        return {"Id": id_, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}}

    between = {"StartTime": at(minute - 60), "EndTime": at(minute + 120)}
    client = cloud.client("cloudwatch")
    (one,) = client.get_metric_data(MetricDataQueries=[query("a", "Sum")], **between)[
        "MetricDataResults"
    ]
    assert ("mixed", [minute]) == (one["Label"], [t.timestamp() for t in one["Timestamps"]])
    both = client.get_metric_data(
        MetricDataQueries=[query("a", "Sum"), query("b", "Maximum")], **between
    )["MetricDataResults"]
    assert ["mixed Sum", "mixed Maximum"] == [result["Label"] for result in both]


@pytest.mark.aws_documented(f"{CLOUDWATCH}/API_MetricAlarm.html")
def test_an_alarm_has_its_last_change_and_nothing_that_is_empty(cloud: TestCloud) -> None:
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="shape",
        Namespace="shapes",
        MetricName="m",
        Period=3600,
        Statistic="Sum",
        Threshold=1,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",  # an evaluation in between keeps the state that was set
    )

    def alarm() -> dict[str, Any]:
        (found,) = client.describe_alarms(AlarmNames=["shape"])["MetricAlarms"]
        return dict(found)

    first = alarm()
    assert not {"Metrics", "StateReasonData"} & set(first)
    state = {"AlarmName": "shape", "StateValue": "ALARM", "StateReason": "one"}
    client.set_alarm_state(**state)
    changed = alarm()["StateTransitionedTimestamp"]
    assert changed >= first["StateTransitionedTimestamp"]
    client.set_alarm_state(**{**state, "StateReason": "two"})
    again = alarm()
    assert again["StateTransitionedTimestamp"] == changed
    assert again["AlarmConfigurationUpdatedTimestamp"] <= changed
    client.delete_alarms(AlarmNames=["shape"])


@pytest.mark.aws_documented(f"{CLOUDWATCH}/API_PutDashboard.html")
@pytest.mark.parametrize("name", ["bad name", "ä", "a" * 256, "a/b"])
def test_a_dashboards_name_has_letters_digits_and_dashes(cloud: TestCloud, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        cloud.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody="{}")


@pytest.mark.aws_documented("https://docs.aws.amazon.com/sns/latest/api/API_Publish.html")
def test_topics_refuse_what_cannot_be_sent(cloud: TestCloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="shapes")["TopicArn"]
    with pytest.raises(ClientError, match="Invalid parameter: Empty message"):
        sns.publish(TopicArn=topic, Message="")
    with pytest.raises(ClientError, match="An ARN must have at least 6 elements, not 1"):
        sns.publish(TopicArn="nonsense", Message="m")
    with pytest.raises(ClientError, match="does not support this protocol string: pigeon"):
        sns.subscribe(TopicArn=topic, Protocol="pigeon", Endpoint="x")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"
)
def test_every_bucket_is_encrypted_by_default(cloud: TestCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="shapes-encrypted")

    def algorithm() -> str:
        found = s3.get_bucket_encryption(Bucket="shapes-encrypted")
        (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
        return str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    assert algorithm() == "AES256"
    put = s3.put_object(Bucket="shapes-encrypted", Key="k", Body=b"v")
    assert put["ServerSideEncryption"] == "AES256"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(
        Bucket="shapes-encrypted", ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    assert algorithm() == "aws:kms"
    s3.delete_bucket_encryption(Bucket="shapes-encrypted")
    assert algorithm() == "AES256"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
)
@pytest.mark.parametrize(
    "name", ["BadName", "a..b", "192.168.5.4", "xn--a", "sthree-a", "a-s3alias", "ends-"]
)
def test_a_buckets_name_follows_the_rules(cloud: TestCloud, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidBucketName"):
        cloud.client("s3").create_bucket(Bucket=name)


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("kms", "list_grants", {"KeyId": "nope"}, "NotFoundException"),
        ("kms", "revoke_grant", {"KeyId": "nope", "GrantId": "g"}, "NotFoundException"),
        ("logs", "get_query_results", {"queryId": "nope"}, "ResourceNotFoundException"),
        (
            "logs",
            "tag_resource",
            {
                "resourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:nope",
                "tags": {"a": "b"},
            },
            "ResourceNotFoundException",
        ),
    ],
)
def test_what_is_not_there_is_an_error_of_the_model(
    cloud: TestCloud, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client(service), operation)(**parameters)
    assert code == refused.value.response["Error"]["Code"]
