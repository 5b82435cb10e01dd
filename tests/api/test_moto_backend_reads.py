"""The moto backend: values that a client reads back, and computed statistics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud
from tests.pipelines import ROLE, prepare

CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest"
LAMBDA = "https://docs.aws.amazon.com/lambda/latest/api"


@pytest.mark.aws_documented(f"{LAMBDA}/API_FunctionConfiguration.html")
def test_a_function_keeps_its_logging_and_tracing(cloud: TestCloud) -> None:
    prepare(cloud)
    functions = cloud.client("lambda")
    name = {"FunctionName": "logging"}

    def kept() -> tuple[Any, Any]:
        found = functions.get_function(**name)["Configuration"]
        assert (
            functions.get_function_configuration(**name)["LoggingConfig"]
            == (found["LoggingConfig"])
        )
        return found["LoggingConfig"], found["TracingConfig"]

    functions.create_function(
        **name,
        Role=ROLE,
        Runtime="python3.12",
        Handler="h.h",
        Code={"ZipFile": zip_of({"h.py": ""})},
    )
    plain = {"LogFormat": "Text", "LogGroup": "/aws/lambda/logging"}
    assert kept() == (plain, {"Mode": "PassThrough"})
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": "/apart"}
    functions.update_function_configuration(
        **name, LoggingConfig=logging, TracingConfig={"Mode": "Active"}
    )
    assert kept() == (logging, {"Mode": "Active"})
    functions.update_function_configuration(**name, Timeout=9)
    assert kept() == (logging, {"Mode": "Active"})
    functions.delete_function(**name)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerFullAccess.html"
)
def test_the_policies_that_aws_manages_are_there(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    arn = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    actions = [
        action
        for statement in version["PolicyVersion"]["Document"]["Statement"]
        for action in [statement["Action"]]
    ]
    assert "sagemaker:" in json.dumps(actions)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html"
)
def test_a_statement_whose_condition_does_not_hold_is_neutral(cloud: TestCloud) -> None:
    s3, bucket = cloud.client("s3"), "neutral"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")

    def deny(condition: dict[str, Any]) -> None:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": condition,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    deny({"StringEquals": {"aws:PrincipalTag/team": "nobody"}})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"
    deny({"Bool": {"aws:SecureTransport": "true"}})
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


class Readings:
    """A hundred values of one metric, 1 to 100, in one hour, and fifty others beside them."""

    def __init__(self, cloud: TestCloud) -> None:
        self.client = cloud.client("cloudwatch")
        # A time of its own, so that a period holds all of them.
        self.at = 1_780_000_200.0
        data = [
            {"MetricName": "Latency", "Value": float(n), "Timestamp": self.at}
            for n in range(1, 101)
        ]
        data += [{"MetricName": "Requests", "Value": 2.0, "Timestamp": self.at}] * 50
        self.client.put_metric_data(Namespace="Readings", MetricData=data)

    def range(self) -> dict[str, float]:
        return {"StartTime": self.at - 600, "EndTime": self.at + 600}

    def query(self, id_: str, metric: str, stat: str, **more: Any) -> dict[str, Any]:
        of = {"Namespace": "Readings", "MetricName": metric}
        return {"Id": id_, "MetricStat": {"Metric": of, "Period": 3600, "Stat": stat}, **more}

    def read(self, *queries: dict[str, Any]) -> dict[str, list[float]]:
        answer = self.client.get_metric_data(MetricDataQueries=list(queries), **self.range())
        return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}


@pytest.fixture(scope="module")
def readings(cloud: TestCloud) -> Readings:
    return Readings(cloud)


@pytest.mark.aws_documented(f"{CLOUDWATCH}/APIReference/API_GetMetricStatistics.html")
def test_percentiles_are_read_as_statistics(readings: Readings) -> None:
    answer = readings.client.get_metric_statistics(
        Namespace="Readings",
        MetricName="Latency",
        Period=3600,
        ExtendedStatistics=["p50", "p99.9"],
        **readings.range(),
    )
    (point,) = answer["Datapoints"]
    assert point["ExtendedStatistics"] == {
        "p50": pytest.approx(50, rel=0.03),
        "p99.9": pytest.approx(100, rel=0.03),
    }
    assert "Sum" not in point
    assert readings.read(readings.query("p", "Latency", "p90")) == {
        "p": [pytest.approx(90, rel=0.03)]
    }


@pytest.mark.aws_documented(f"{CLOUDWATCH}/monitoring/using-metric-math.html")
def test_metric_math_is_computed_from_other_queries(readings: Readings) -> None:
    latency = readings.query("latency", "Latency", "Sum", ReturnData=False)
    requests = readings.query("requests", "Requests", "SampleCount")
    found = readings.read(
        {"Id": "twice", "Expression": "2 * mean"},
        latency,
        requests,
        {"Id": "mean", "Expression": "latency / requests"},
    )
    assert found == {"twice": [202.0], "requests": [50.0], "mean": [101.0]}


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("SUM(METRICS())", "is not supported in metric math here"),
        ("nothing / 2", "there is no metric with the id nothing"),
        ("itself + 1", "depends on itself"),
    ],
)
def test_metric_math_that_cannot_be_computed_is_refused_by_name(
    readings: Readings, expression: str, reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as caught:
        readings.read(
            readings.query("m", "Latency", "Sum"), {"Id": "itself", "Expression": expression}
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
