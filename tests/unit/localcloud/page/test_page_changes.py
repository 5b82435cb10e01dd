"""The numbers of changes, the newest entries, and the differences between templates."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.aws.routing import Request, Response, Scope
from localcloud.core.store import Collection, Database
from localcloud.iam.calls import CallLog
from localcloud.page.activity import Activity
from localcloud.page.changes import _OF_COLLECTION, _OF_SERVICE, SECTIONS, Changes
from localcloud.page.template_changes import changes_between, fleet_of

pytestmark = pytest.mark.emulator_only

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_section_that_a_record_concerns_exists() -> None:
    named = {name for names in (*_OF_COLLECTION.values(), *_OF_SERVICE.values()) for name in names}
    assert named <= set(SECTIONS)


def test_a_written_record_is_a_change_of_its_sections_only() -> None:
    changes, database = Changes(), Database(None)
    database.on_change = changes.record
    Collection(database, "sagemaker-training-job", dict[str, Any]).put("a", {})
    assert changes.latest["jobs"] == changes.number == 1
    assert changes.latest["pipelines"] == 0
    Collection(database, "clock", datetime).put("now", NOW)
    assert changes.number == 1


def test_a_deleted_record_is_a_change_too() -> None:
    changes, database = Changes(), Database(None)
    records = Collection(database, "sagemaker-endpoint", dict[str, Any])
    records.put("a", {})
    database.on_change = changes.record
    records.delete("a")
    assert changes.latest["endpoints"] == 1


def test_who_listens_is_woken_until_it_ignores() -> None:
    changes = Changes()

    async def listen() -> list[bool]:
        event = changes.listen()
        changes.note("jobs")
        woken = event.is_set()
        event.clear()
        changes.ignore(event)
        changes.note("jobs")
        return [woken, event.is_set()]

    assert asyncio.run(listen()) == [True, False]


@pytest.fixture
def noted() -> list[None]:
    """One entry for each time that a listener would be woken."""
    return []


@pytest.fixture
def activity(noted: list[None]) -> Activity:
    """The newest entries."""
    return Activity(lambda: NOW, lambda: noted.append(None))


def call(target: str, status: int = 200, service: str = "codepipeline") -> tuple[Request, Response]:
    headers = {"x-amz-target": f"X.{target}"}
    request = Request("POST", "/", "/", "", headers, b"{}", service)
    return request, Response(status, {}, b"")


def test_a_call_that_only_reads_wakes_nobody(activity: Activity, noted: list[None]) -> None:
    assert not activity.call(*call("GetPipelineState"), 0.001)
    assert noted == []
    assert activity.call(*call("StartPipelineExecution"), 0.001)
    assert not activity.call(*call("GetPipelineState", 400), 0.001)
    assert len(noted) == 2
    assert [entry["reads"] for entry in activity.since(0)["items"]] == [True, False, True]


def test_many_reads_push_out_no_change(activity: Activity) -> None:
    activity.call(*call("StartPipelineExecution"), 0.001)
    for _ in range(5000):
        activity.call(*call("GetPipelineState"), 0.001)
    found = activity.since(0)
    assert found["total"] == 5001
    assert found["items"][0]["what"] == "codepipeline: StartPipelineExecution"
    assert len(found["items"]) <= 500


def test_a_listener_gets_what_is_newer_than_what_it_knows(activity: Activity) -> None:
    for number in range(3):
        activity.event(Scope(), "aws.s3", f"Event {number}", {"status": "x"})
    assert [entry["number"] for entry in activity.since(1)["items"]] == [2, 3]


@pytest.mark.parametrize(
    ("method", "what", "reads"),
    [("PUT", "s3: PutObject /bucket/key", False), ("GET", "s3: GetObject /bucket/key", True)],
)
def test_a_call_of_s3_has_its_operation_and_path(
    activity: Activity, method: str, what: str, reads: bool
) -> None:
    request = Request(method, "/bucket/key", "/bucket/key", "", {}, b"", "s3")
    assert activity.call(request, Response(200, {}, b""), 0.001) is not reads
    (entry,) = activity.since(0)["items"]
    assert (entry["what"], entry["reads"]) == (what, reads)


def test_an_invocation_is_no_entry(activity: Activity) -> None:
    request, response = call("InvokeEndpoint", service="sagemaker-runtime")
    assert not activity.call(request, response, 0.001)
    assert activity.since(0)["items"] == []


def test_a_call_without_a_grant_is_listed_once_for_each(activity: Activity) -> None:
    log = CallLog()
    log.on_call = activity.denied
    log.record("arn:role/a", "s3:GetObject", "*", NOW, allowed=True)
    log.record("arn:role/a", "s3:PutObject", "*", NOW, allowed=False)
    (entry,) = activity.since(0)["items"]
    assert (entry["kind"], entry["status"]) == ("denied", "not granted")
    assert entry["text"] == "arn:role/a lacks s3:PutObject on *"


@pytest.mark.parametrize(
    ("detail", "status"),
    [
        ({"state": "SUCCEEDED"}, "SUCCEEDED"),
        ({"state": {"value": "ALARM"}}, "ALARM"),
        ({"TrainingJobStatus": "Completed"}, "Completed"),
        ({"other": 1}, ""),
    ],
)
def test_an_event_shows_its_status(activity: Activity, detail: Any, status: str) -> None:
    activity.event(Scope(), "aws.x", "X", detail)
    assert activity.since(0)["items"][0]["status"] == status


def template(**properties: Any) -> str:
    resource = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": properties}
    return json.dumps({"Resources": {"Config": resource}})


def test_a_template_is_compared_value_by_value() -> None:
    found = changes_between(template(Count=1, Kind="a"), template(Count=2, More=True, Kind="a"))
    path = "Resources.Config.Properties"
    assert found == [
        {"path": f"{path}.Count", "before": "1", "after": "2"},
        {"path": f"{path}.More", "before": None, "after": "true"},
    ]


def test_equal_templates_have_no_changes() -> None:
    assert changes_between(template(A=1), template(A=1)) == []


def test_a_new_stack_has_everything_as_a_change() -> None:
    found = changes_between("", template(A=1))
    assert found is not None
    assert [(one["path"], one["before"]) for one in found] == [("Resources", None)]


def test_a_text_that_is_no_template_is_not_compared() -> None:
    assert changes_between("{", template(A=1)) is None


def test_many_changes_are_cut() -> None:
    many = {f"P{number}": number for number in range(1000)}
    found = changes_between(template(), template(**many))
    assert found is not None
    assert len(found) == 40


def test_metrics_of_a_variant_that_is_gone_are_forgotten() -> None:
    from localcloud.cloudwatch.invocation_metrics import InvocationMeter

    class Later:
        def __init__(self) -> None:
            self.at = NOW

        def now(self) -> datetime:
            return self.at

    clock: Any = Later()
    meter = InvocationMeter(None, clock)  # type: ignore[arg-type]
    told: list[None] = []
    meter.on_flush = lambda: told.append(None)

    def invoke(arn: str) -> None:
        meter.record(arn, "e", "v", instances=2, status=200, model_seconds=0.01, overhead_seconds=0)
        windows, meter._windows = meter._windows, {}
        meter._remember(windows, clock.now() - timedelta(seconds=10))

    invoke("arn:a")
    (flush,) = meter.recent["arn:a", "v"]
    assert (flush.invocations, flush.per_instance, flush.seconds) == (1, 0.5, 10.0)
    assert 9.5 < flush.p50 < 10.5
    clock.at += timedelta(hours=2)
    invoke("arn:b")
    assert set(meter.recent) == {("arn:b", "v")}
    assert len(told) == 2


def endpoint(kind: Any, count: Any, minimum: Any = None) -> str:
    variants = [{"InstanceType": kind, "InitialInstanceCount": count}]
    resources: dict[str, Any] = {
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": variants},
        }
    }
    if minimum is not None:
        resources["Target"] = {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {"MinCapacity": minimum},
        }
    return json.dumps({"Resources": resources})


def test_a_fleet_is_its_type_and_its_least_number_of_instances() -> None:
    assert fleet_of(endpoint("ml.m5.large", 1)) == {"instanceType": "ml.m5.large", "instances": 1}
    found = fleet_of(endpoint("ml.m5.large", 1, 2))
    assert found == {"instanceType": "ml.m5.large", "instances": 2}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"Resources": {}}',
        '{"Resources": {"a": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {}}}}',
        endpoint({"Ref": "Type"}, 1),
        endpoint("ml.m5.large", {"Ref": "Count"}),
        endpoint("ml.m5.large", 1, {"Ref": "Count"}),
    ],
)
def test_a_fleet_that_the_template_does_not_state_is_unknown(text: str) -> None:
    assert fleet_of(text) is None
