"""Batch transform: real servers, every object, the answers in S3."""

from __future__ import annotations

import gzip
import json
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for
from tests.sagemaker import ROLE, ended, heard, prepare

TRANSFORM = "https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html"
CREATE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html"
FILTERS = "https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html"
BUCKET = "transform-tests"
LINES = {"SplitType": "Line"}
CONTENT = {"ContentType": "text/csv"}

_numbers = count(1)


@pytest.fixture(scope="module")
def sagemaker(cloud: TestCloud) -> Any:
    """A client of a cloud with the model `batch`."""
    image = prepare(cloud, BUCKET)
    client = cloud.client("sagemaker")
    client.create_model(
        ModelName="batch",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{BUCKET}/one/model.tar.gz"},
    )
    return client


def start(sagemaker: Any, under: str, **options: Any) -> str:
    """Start a job on the objects of a prefix of the bucket; return its name."""
    name = f"transform-{next(_numbers)}"
    given, output = options.pop("given", {}), options.pop("output", {})
    s3_source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{under}"}
    s3_source |= options.pop("source", {})
    sagemaker.create_transform_job(
        **{
            "TransformJobName": name,
            "ModelName": "batch",
            "TransformInput": {"DataSource": {"S3DataSource": s3_source}, **CONTENT, **given},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out/{name}", **output},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **options,
        }
    )
    return name


def finished(sagemaker: Any, name: str) -> Any:
    return ended(
        lambda: sagemaker.describe_transform_job(TransformJobName=name), "TransformJobStatus"
    )


def put(cloud: TestCloud, **objects: str | bytes) -> str:
    """Write objects below a prefix of their own; return it."""
    prefix = f"in{next(_numbers)}/"
    for name, body in objects.items():
        data = body.encode() if isinstance(body, str) else body
        cloud.client("s3").put_object(Bucket=BUCKET, Key=prefix + name, Body=data)
    return prefix


def outputs(cloud: TestCloud, name: str) -> dict[str, str]:
    s3, prefix = cloud.client("s3"), f"out/{name}/"
    entries = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        e["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=e["Key"])["Body"]
        .read()
        .decode()
        for e in entries
    }


def log_of(cloud: TestCloud, stream: str) -> list[str]:
    answer = cloud.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName=stream
    )
    return [event["message"] for event in answer["events"]]


@pytest.mark.aws_documented(TRANSFORM)
def test_each_object_becomes_an_out_object_and_the_log_holds_the_servers_lines(
    cloud: TestCloud, sagemaker: Any
) -> None:
    source = put(cloud, a="1,2\n", **{"deep/b": "3,4\n"})
    with heard(cloud, "transform-events", "SageMaker Transform Job State Change") as events:
        name = start(
            sagemaker,
            source,
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
            Tags=[{"Key": "team", "Value": "a"}],
        )
        job = finished(sagemaker, name)
        told = wait_for(
            "the events", lambda: [e for e in events() if e["TransformJobStatus"] == "Completed"]
        )
    assert job["TransformJobStatus"] == "Completed"
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    assert outputs(cloud, name) == {"a.out": "one:1,2\n", "deep/b.out": "one:3,4\n"}
    assert (told[0]["TransformJobName"], told[0]["Tags"]) == (name, {"team": "a"})
    assert isinstance(told[0]["CreationTime"], int)
    streams = cloud.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=f"{name}/i-"
    )["logStreams"]
    assert [log_of(cloud, stream["logStreamName"]) for stream in streams] == [["serving"]] * 2


@pytest.mark.aws_documented(CREATE)
@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("SingleRecord", "1one1\n1one2\n1one3\n"), ("MultiRecord", "3one1\n3one2\n3one3\n")],
)
def test_lines_are_sent_one_by_one_or_as_many_as_fit(
    cloud: TestCloud, sagemaker: Any, strategy: str, expected: str
) -> None:
    name = start(
        sagemaker,
        put(cloud, rows="1\n2\n3\n"),
        given=LINES,
        output={"AssembleWith": "Line"},
        BatchStrategy=strategy,
        MaxConcurrentTransforms=3,
        Environment={"PER_LINE": "1"},
    )
    assert finished(sagemaker, name)["TransformJobStatus"] == "Completed"
    assert outputs(cloud, name) == {"rows.out": expected}


@pytest.mark.aws_documented(TRANSFORM)
def test_a_bad_record_fails_the_job_and_its_object_only(cloud: TestCloud, sagemaker: Any) -> None:
    name = start(sagemaker, put(cloud, broken="1\nbad\n", fine="2\n"), given=LINES)
    job = finished(sagemaker, name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert outputs(cloud, name) == {"fine.out": "one:2\n"}
    (line,) = log_of(cloud, f"{name}/data-log")
    assert line.endswith("/broken: ClientError: 400: a bad record")


@pytest.mark.aws_documented(FILTERS)
def test_what_is_filtered_out_is_not_sent_and_what_is_joined_stands_beside_the_answer(
    cloud: TestCloud, sagemaker: Any
) -> None:
    name = start(
        sagemaker,
        put(cloud, rows="7,a,b\n8,c,d\n"),
        given=LINES,
        output={"AssembleWith": "Line", "Accept": "text/csv"},
        Environment={"PER_LINE": "1"},
        DataProcessing={
            "InputFilter": "$[1:]",
            "JoinSource": "Input",
            "OutputFilter": "$[0,-2,-1]",
        },
    )
    assert finished(sagemaker, name)["TransformJobStatus"] == "Completed"
    assert outputs(cloud, name) == {"rows.out": "7,2onea,b\n8,2onec,d\n"}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformS3DataSource.html"
)
def test_a_manifest_names_the_objects_and_gzip_is_unpacked(
    cloud: TestCloud, sagemaker: Any
) -> None:
    prefix = put(cloud, a=gzip.compress(b"1"), b=gzip.compress(b"2"), c=gzip.compress(b"3"))
    manifest = put(cloud, manifest=json.dumps([{"prefix": f"s3://{BUCKET}/{prefix}"}, "a", "c"]))
    name = start(
        sagemaker,
        f"{manifest}manifest",
        source={"S3DataType": "ManifestFile"},
        given={"CompressionType": "Gzip"},
    )
    finished(sagemaker, name)
    assert outputs(cloud, name) == {"a.out": "one:1", "c.out": "one:3"}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTransformJob.html"
)
def test_a_stopped_job_ends_its_servers(cloud: TestCloud, sagemaker: Any) -> None:
    name = start(sagemaker, put(cloud, a="slow"))
    wait_for(
        "the servers",
        lambda: "TransformStartTime" in sagemaker.describe_transform_job(TransformJobName=name),
    )
    sagemaker.stop_transform_job(TransformJobName=name)
    assert finished(sagemaker, name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="status Stopped"):
        sagemaker.stop_transform_job(TransformJobName=name)
    assert outputs(cloud, name) == {}


@pytest.mark.aws_documented(TRANSFORM)
def test_a_job_that_cannot_work_is_failed_with_its_reason(cloud: TestCloud, sagemaker: Any) -> None:
    empty = start(sagemaker, "nothing/")
    broken = start(sagemaker, put(cloud, a="1"), Environment={"BROKEN": "1"})
    failing = start(
        sagemaker,
        put(cloud, a="error"),
        ModelClientConfig={"InvocationsMaxRetries": 1, "InvocationsTimeoutInSeconds": 5},
    )
    exiting = start(sagemaker, put(cloud, a="exit"))
    for name in (failing, exiting):
        reason = finished(sagemaker, name)["FailureReason"]
        assert reason == "AlgorithmError: See job logs for more information"
    assert log_of(cloud, f"{failing}/data-log")[0].endswith("AlgorithmError: 500: it broke")
    assert "No S3 objects found" in finished(sagemaker, empty)["FailureReason"]
    reason = finished(sagemaker, broken)["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "this model cannot be served" in reason


@pytest.mark.botocore_modelled
def test_jobs_are_listed_by_page_and_a_missing_one_is_an_error(
    cloud: TestCloud, sagemaker: Any
) -> None:
    source = put(cloud, a="1")
    names = [start(sagemaker, source) for _ in range(3)]
    for name in names:
        finished(sagemaker, name)
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(
        NameContains="transform-", StatusEquals="Completed", PaginationConfig={"PageSize": 2}
    )
    listed = [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]
    assert listed[:3] == names[::-1]
    with pytest.raises(ClientError) as caught:
        sagemaker.describe_transform_job(TransformJobName="none")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": {"SplitType": "RecordIO"}}, "SplitType RecordIO is not supported"),
        ({"source": {"S3DataType": "AugmentedManifestFile"}}, "AugmentedManifestFile"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "nor their product"),
        ({"DataProcessing": {"InputFilter": "$["}}, "is not a JSONPath"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "requires SplitType Line"),
        ({"ModelName": "none"}, "Could not find model"),
        ({"output": {"S3OutputPath": "s3//wrong"}}, "must begin with s3://|regular expression"),
    ],
)
def test_what_cannot_be_done_is_refused_when_the_job_is_made(
    sagemaker: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        start(sagemaker, "in/", **options)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
