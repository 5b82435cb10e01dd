"""The events that EventBridge delivers, member by member, as AWS documents them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.cloud import ACCOUNT, REGION, TestCloud, wait_for

S3_EVENTS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"
ENVELOPE = "https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html"
BUCKET = "event-shapes"
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


class Events:
    """A queue that gets every event of a source."""

    def __init__(self, cloud: TestCloud, source: str) -> None:
        self._sqs, self._events = cloud.client("sqs"), cloud.client("events")
        self._url = self._sqs.create_queue(QueueName=f"shapes-{source.replace('.', '-')}")[
            "QueueUrl"
        ]
        name = self._url.rpartition("/")[2]
        self._rule = name
        self._events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        self._events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
        self.seen: list[dict[str, Any]] = []

    def take(self) -> dict[str, Any]:
        """Return the next event."""

        def next_one() -> dict[str, Any] | None:
            found = self._sqs.receive_message(QueueUrl=self._url).get("Messages", [])
            for message in found:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                event: dict[str, Any] = json.loads(message["Body"])
                self.seen.append(event)
                return event
            return None

        return wait_for("an event", next_one, 20)

    def close(self) -> None:
        self._events.remove_targets(Rule=self._rule, Ids=["1"])
        self._events.delete_rule(Name=self._rule)
        self._sqs.delete_queue(QueueUrl=self._url)


@pytest.fixture
def of_s3(cloud: TestCloud) -> Iterator[Events]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    events = Events(cloud, "aws.s3")
    yield events
    events.close()
    for kind in ("Versions", "DeleteMarkers"):
        for entry in s3.list_object_versions(Bucket=BUCKET).get(kind, []):
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)


def check_envelope(event: dict[str, Any], detail_type: str, cloud: TestCloud) -> dict[str, Any]:
    assert set(event) == {
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources"),
        "detail",
    }
    assert (event["version"], event["account"], event["region"]) == ("0", ACCOUNT, REGION)
    assert event["detail-type"] == detail_type
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
    late = cloud.now() - datetime.fromisoformat(event["time"]).timestamp()
    assert -1 <= late < 3600  # of the local cloud's clock, which runs ahead of the machine's
    detail: dict[str, Any] = event["detail"]
    return detail


@pytest.mark.aws_documented(S3_EVENTS)
def test_an_event_of_s3_names_the_operation_and_the_object(cloud: TestCloud, of_s3: Events) -> None:
    s3 = cloud.client("s3")
    etag = s3.put_object(Bucket=BUCKET, Key="a", Body=b"12345")["ETag"].strip('"')
    event = of_s3.take()
    detail = check_envelope(event, "Object Created", cloud)
    assert event["resources"] == [f"arn:aws:s3:::{BUCKET}"]
    assert set(detail) == {
        *("version", "bucket", "object", "request-id", "requester", "source-ip-address"),
        "reason",
    }
    assert (detail["version"], detail["bucket"], detail["requester"]) == (
        "0",
        {"name": BUCKET},
        ACCOUNT,
    )
    assert detail["reason"] == "PutObject"
    assert re.fullmatch(r"[0-9A-F]{18}", detail["object"].pop("sequencer"))
    assert detail["object"] == {"key": "a", "size": 5, "etag": etag}  # no version: it has none

    s3.copy_object(Bucket=BUCKET, Key="b", CopySource={"Bucket": BUCKET, "Key": "a"})
    assert of_s3.take()["detail"]["reason"] == "CopyObject"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="c")["UploadId"]
    named = {"Bucket": BUCKET, "Key": "c", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(**named, MultipartUpload=parts)
    assert of_s3.take()["detail"]["reason"] == "CompleteMultipartUpload"

    s3.delete_object(Bucket=BUCKET, Key="a")
    deleted = check_envelope(of_s3.take(), "Object Deleted", cloud)
    assert (deleted["reason"], deleted["deletion-type"]) == ("DeleteObject", "Permanently Deleted")
    assert set(deleted["object"]) == {"key", "sequencer"}
    assert len({e["id"] for e in of_s3.seen}) == len(of_s3.seen) == 4
    assert len({e["detail"]["object"].get("sequencer", e["id"]) for e in of_s3.seen}) == 4


@pytest.mark.aws_documented(S3_EVENTS)
def test_an_event_of_a_versioned_bucket_has_the_version(cloud: TestCloud, of_s3: Events) -> None:
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket=BUCKET, Key="k", Body=b"x")["VersionId"] for _ in range(2)]
    assert [of_s3.take()["detail"]["object"]["version-id"] for _ in versions] == versions
    marker = s3.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    detail = of_s3.take()["detail"]
    assert detail["deletion-type"] == "Delete Marker Created"
    assert (detail["object"]["version-id"], detail["object"]["etag"]) == (marker, EMPTY)
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=versions[0])
    detail = of_s3.take()["detail"]
    assert detail["deletion-type"] == "Permanently Deleted"
    assert detail["object"]["version-id"] == versions[0]


@pytest.mark.aws_documented(S3_EVENTS)
def test_tags_have_an_event_of_their_own_only_if_they_are_put_by_themselves(
    cloud: TestCloud, of_s3: Events
) -> None:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="t", Body=b"x", Tagging="a=b")
    assert of_s3.take()["detail-type"] == "Object Created"
    tags = {"TagSet": [{"Key": "a", "Value": "c"}]}
    s3.put_object_tagging(Bucket=BUCKET, Key="t", Tagging=tags)
    detail = check_envelope(of_s3.take(), "Object Tags Added", cloud)
    assert set(detail["object"]) == {"key", "etag", "sequencer"}
    assert "reason" not in detail
    s3.delete_object_tagging(Bucket=BUCKET, Key="t")
    assert of_s3.take()["detail-type"] == "Object Tags Deleted"


@pytest.mark.aws_documented(ENVELOPE)
def test_an_event_of_a_program_has_the_envelope_of_aws(cloud: TestCloud) -> None:
    events = Events(cloud, "my.program")
    entry = {"Source": "my.program", "DetailType": "Done", "Detail": '{"a": 1}'}
    given = datetime.fromisoformat("2026-05-04T03:02:01+00:00")
    client = cloud.client("events")
    answer = client.put_events(Entries=[entry, entry | {"Time": given, "Resources": ["r"]}])
    ids = [e["EventId"] for e in answer["Entries"]]
    first, second = sorted((events.take() for _ in ids), key=lambda e: ids.index(e["id"]))
    assert check_envelope(first, "Done", cloud) == {"a": 1}
    assert (second["time"], second["resources"]) == ("2026-05-04T03:02:01Z", ["r"])
    events.close()


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html"
)
def test_a_template_may_use_the_event_and_the_time_at_which_it_came(cloud: TestCloud) -> None:
    events = Events(cloud, "my.template")
    transformer = {
        "InputPathsMap": {"a": "$.detail.a"},
        "InputTemplate": '{"a": <a>, "came": "<aws.events.event.ingestion-time>"}',
    }
    client, name = cloud.client("events"), "shapes-my-template"
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    target = {"Id": "1", "Arn": arn, "InputTransformer": transformer}
    client.put_targets(Rule=name, Targets=[target])
    entry = {"Source": "my.template", "DetailType": "Done", "Detail": '{"a": 1}'}
    client.put_events(Entries=[entry])
    made = events.take()
    assert made["a"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["came"])
    events.close()


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"
)
def test_an_event_for_a_bus_that_is_not_there_is_taken(cloud: TestCloud) -> None:
    entry = {"Source": "x", "DetailType": "x", "Detail": "{}", "EventBusName": "no-such-bus"}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    assert answer["Entries"][0]["EventId"]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"
)
def test_a_datum_without_a_time_is_of_now_and_raises_its_alarm(cloud: TestCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="of-now",
        Namespace="Now",
        MetricName="M",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_metric_data(Namespace="Now", MetricData=[{"MetricName": "M", "Value": 5.0}])

    def state() -> bool:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["of-now"])["MetricAlarms"]
        return bool(alarm["StateValue"] == "ALARM")

    wait_for("the alarm", state, 20)
    cloudwatch.delete_alarms(AlarmNames=["of-now"])
