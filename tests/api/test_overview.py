"""The overview of what the local cloud does, its stream, and `localcloud status`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud, local_cloud, wait_for
from tests.evidence_stage import EVIDENCE, evidence_stage
from tests.pipelines import BUCKET, Pipelines, approval_action, invoke_action, pipelines_of, prepare
from tests.sse import listening

pytestmark = pytest.mark.emulator_only


@pytest.fixture(scope="module")
def quiet() -> Iterator[TestCloud]:
    """A local cloud of its own, in which nothing else happens."""
    with local_cloud(speed=60.0) as cloud:
        prepare(cloud)
        yield cloud


@pytest.fixture
def own(quiet: TestCloud) -> Iterator[Pipelines]:
    """A maker of pipelines in the quiet cloud, which are deleted afterwards."""
    with pipelines_of(quiet) as made:
        yield made


def overview(cloud: TestCloud, query: str = "") -> dict[str, Any]:
    status, body = cloud.get(f"/_localcloud/overview{query}")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def status(url: str, *arguments: str, columns: int = 80) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "localcloud", "status", "--endpoint-url", url, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return answer.stdout


def waits(cloud: TestCloud, name: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = overview(cloud)["approvals"]
    return next((one for one in found if one["pipeline"] == name), None)


def pending(cloud: TestCloud, name: str) -> dict[str, Any]:
    return wait_for("the approval", lambda: waits(cloud, name))


def test_an_empty_cloud_has_every_section_and_says_so(tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path) as cloud:
        found = overview(cloud)
        assert found["cloud"]["account"] == "000000000000"
        assert found["cloud"]["unhealthy"] == {"count": 0, "items": []}
        assert found["pipelines"] == {"count": 0, "items": []}
        assert (found["approvals"], found["metrics"]) == ([], [])
        assert status(cloud.url) == f"page\t{cloud.url}/_localcloud/\t\t\n"


def test_a_pipeline_shows_its_stages_actions_and_executions(
    quiet: TestCloud, own: Pipelines
) -> None:
    name = own.make([invoke_action("hello")])
    own.until(name, "Succeeded")
    (pipeline,) = [p for p in overview(quiet)["pipelines"]["items"] if p["name"] == name]
    assert pipeline["dataset"] == {"bucket": BUCKET, "key": "source.zip"}
    assert [stage["name"] for stage in pipeline["stages"]] == ["Stage0", "Stage1"]
    (action,) = pipeline["stages"][1]["actions"]
    assert (action["status"], action["category"]) == ("Succeeded", "Invoke")
    assert action["usualSeconds"] > 0
    (execution,) = pipeline["executions"]["items"]
    assert (execution["status"], execution["triggerType"]) == ("Succeeded", "CreatePipeline")
    assert pipeline["executions"]["count"] == 1


def test_an_error_is_shown_in_full(quiet: TestCloud, own: Pipelines) -> None:
    name = own.make([invoke_action("fail")])
    own.until(name, "Failed")
    (pipeline,) = [p for p in overview(quiet)["pipelines"]["items"] if p["name"] == name]
    assert pipeline["stages"][1]["actions"][0]["error"]["message"] == "no good"


def test_a_pending_approval_is_shown_with_its_evidence(quiet: TestCloud, own: Pipelines) -> None:
    name = own.make(
        [evidence_stage(quiet)],
        [approval_action(configuration={"CustomData": "Deploy?"})],
    )
    found = pending(quiet, name)
    assert (found["evidence"], found["problem"]) == (EVIDENCE, None)
    assert (found["message"], found["stage"], found["action"]) == ("Deploy?", "Stage2", "Approve")
    assert found["started"] < found["expires"]
    own.client.put_approval_result(
        pipelineName=name,
        stageName="Stage2",
        actionName="Approve",
        token=found["token"],
        result={"status": "Approved", "summary": "fine"},
    )
    wait_for("the approval to be gone", lambda: waits(quiet, name) is None)


def test_evidence_with_another_digest_is_not_shown(quiet: TestCloud, own: Pipelines) -> None:
    name = own.make([evidence_stage(quiet, digest="0" * 64)], [approval_action()])
    found = pending(quiet, name)
    assert found["evidence"] is None
    assert "it has another digest than the pipeline recorded" in found["problem"]


def test_status_shows_the_approval_first_with_execution_accuracy_and_age(
    quiet: TestCloud, own: Pipelines
) -> None:
    name = own.make([evidence_stage(quiet)], [approval_action()])
    execution = pending(quiet, name)["execution"]
    lines = status(quiet.url, columns=20).splitlines()
    what, where, state, text = lines[0].split("\t")
    assert (what, where, state) == ("approval", f"{name} Stage2/Approve", "waiting for you")
    assert text.startswith(f"accuracy 0.9667, execution {execution}, for ")
    assert lines[-1] == f"page\t{quiet.url}/_localcloud/\t\t"
    assert all(
        ("…" not in line and len(line.split("\t")) == 4) or line is lines[-1] for line in lines
    )


def test_status_as_json_is_the_overview(quiet: TestCloud, own: Pipelines) -> None:
    own.make([approval_action()])
    shown, found = json.loads(status(quiet.url, "--json")), overview(quiet)
    assert set(shown) == set(found)
    assert [p["name"] for p in shown["pipelines"]["items"]] == [
        p["name"] for p in found["pipelines"]["items"]
    ]


@pytest.mark.parametrize("query", ["?account=12", "?region=nowhere", "?account=0' OR '1'='1"])
def test_an_account_or_a_region_of_nobody_is_refused(quiet: TestCloud, query: str) -> None:
    code, body = quiet.get(f"/_localcloud/overview{query.replace(' ', '%20')}")
    assert code == 400
    assert "account= must have 12 digits" in json.loads(body)["message"]


def test_another_account_sees_nothing_of_this_one(quiet: TestCloud, own: Pipelines) -> None:
    own.make([approval_action()])
    assert overview(quiet, "?account=123456789012")["pipelines"]["count"] == 0


def test_calls_and_events_are_listed_with_role_and_status(quiet: TestCloud, own: Pipelines) -> None:
    own.until(own.make([invoke_action("hello")]), "Succeeded")
    entries = overview(quiet)["events"]["items"]
    kinds = {entry["kind"] for entry in entries}
    assert {"call", "event"} <= kinds
    assert any("CodePipeline Stage Execution State Change" in e["what"] for e in entries)
    assert any(":role/pipeline" in e["text"] for e in entries if e["kind"] == "call")


def test_the_stream_begins_with_every_section_and_goes_on_with_what_changes(
    quiet: TestCloud, own: Pipelines
) -> None:
    with listening(quiet.url) as events:
        assert set(events.block()) == set(overview(quiet))
        name = own.make([approval_action()])
        events.until("the approval", lambda now: name in [a["pipeline"] for a in now["approvals"]])
        events.until(
            "the pipeline", lambda now: name in [p["name"] for p in now["pipelines"]["items"]]
        )


def test_a_listener_that_comes_back_gets_only_what_changed(
    quiet: TestCloud, own: Pipelines
) -> None:
    with listening(quiet.url) as events:
        events.block()
        last = events.last_id
    own.make([approval_action()])
    wait_for("the pipeline", lambda: overview(quiet)["approvals"])
    with listening(quiet.url, last) as events:
        found = events.block()
    assert "pipelines" in found
    assert "loadtests" not in found
    with listening(quiet.url, "of-another-run") as events:
        assert "loadtests" in events.block()


def test_the_stream_has_a_bounded_number_of_listeners(quiet: TestCloud) -> None:
    from localcloud.page.stream import MOST_LISTENERS

    def opened(number: int) -> list[int]:
        with ExitStack() as stack:
            streams = [stack.enter_context(listening(quiet.url)) for _ in range(number)]
            for stream in streams:
                stream.response.readline()
            return sorted(stream.response.status for stream in streams)

    # The listeners of the tests before this one may still be leaving.
    allowed = [200] * MOST_LISTENERS
    wait_for("all places", lambda: opened(MOST_LISTENERS) == allowed, 20)
    wait_for("one too many", lambda: opened(MOST_LISTENERS + 1) == [*allowed, 503], 20)


def test_a_listener_that_leaves_makes_room_soon(quiet: TestCloud) -> None:
    from localcloud.page.stream import MOST_LISTENERS

    def listened() -> bool:
        with listening(quiet.url) as stream:
            found = stream.response.status == 200
            if found:
                stream.block()  # nothing of it is left unread when the client closes
            return found

    # Without that the server would notice only when it writes, half a minute later.
    for _ in range(2 * MOST_LISTENERS):
        wait_for("a place", listened, 5)


def test_a_killed_cloud_tells_a_listener_everything_after_its_restart(tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path) as cloud:
        prepare(cloud)
        made = Pipelines(cloud.client("codepipeline"))
        name = made.make([approval_action()])
        pending(cloud, name)
        with listening(cloud.url) as events:
            events.block()
            last = events.last_id
            assert cloud.pid is not None
            os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as again, listening(again.url, last) as events:
        # Those that moto has a part in come when it is loaded.
        events.until("every section", lambda now: set(now) == set(overview(again)))
        assert [a["pipeline"] for a in events.sections["approvals"]] == [name]


def test_a_reset_ends_the_streams_so_that_a_page_begins_again(tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path) as cloud:
        with listening(cloud.url) as events:
            events.block()
            subprocess.run(
                [sys.executable, "-m", "localcloud", "reset", "--yes", "--endpoint-url", cloud.url],
                cwd=ROOT,
                check=True,
                capture_output=True,
            )
            while events.next()[0]:
                pass
        with listening(cloud.url, events.last_id) as events:
            assert "cloud" in events.block()


class AnotherCloud(BaseHTTPRequestHandler):
    """An endpoint that takes every path for a bucket, as LocalStack does."""

    def do_GET(self) -> None:
        self.send_error(404, "NoSuchBucket")

    def log_message(self, *arguments: object) -> None:
        del arguments


def test_status_of_another_cloud_is_one_sentence() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), AnotherCloud)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        answer = subprocess.run(
            [sys.executable, "-m", "localcloud", "status", "--endpoint-url", url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert answer.returncode == 1
    assert answer.stderr.strip() == (
        f"error: {url} is no local cloud of this version: it has no overview"
    )


def test_the_monitors_metrics_are_shown_by_endpoint_and_column(quiet: TestCloud) -> None:
    cloudwatch = quiet.client("cloudwatch")

    def put(name: str, value: float, **more: str) -> None:
        named = {"Endpoint": "e", "Variant": "v"} | more
        dimensions = [{"Name": key, "Value": text} for key, text in named.items()]
        cloudwatch.put_metric_data(
            Namespace="MlopsLab/Monitor",
            MetricData=[{"MetricName": name, "Value": value, "Dimensions": dimensions}],
        )

    put("MaximumPsi", 0.1)
    put("Psi", 0.3, Column="petal_width")
    (found,) = overview(quiet)["drift"]["items"]
    assert [point[1] for point in found["metrics"]["MaximumPsi"]] == [0.1]
    put("MaximumPsi", 0.2)
    (found,) = overview(quiet)["drift"]["items"]
    assert [point[1] for point in found["metrics"]["MaximumPsi"]] == [0.1, 0.2]
    assert [point[1] for point in found["columns"]["petal_width"]["Psi"]] == [0.3]


def test_alarms_are_shown_and_one_for_scaling_in_is_neutral(quiet: TestCloud) -> None:
    cloudwatch = quiet.client("cloudwatch")
    policy = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x:resource/sagemaker/y"
    for name, comparison, actions in (
        ("low", "LessThanThreshold", [policy]),
        ("quiet", "LessThanThreshold", []),
    ):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="x",
            MetricName="y",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator=comparison,
            AlarmActions=actions,
            TreatMissingData="ignore",  # the state that is set stays
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    found = overview(quiet)["alarms"]
    by_name = {alarm["name"]: alarm for alarm in found["items"]}
    assert (by_name["low"]["neutral"], by_name["quiet"]["neutral"]) == (True, False)
    assert by_name["quiet"]["state"] == "ALARM"
    assert found["inAlarm"] == 1
    assert found["items"][0]["name"] == "quiet"
    cloudwatch.delete_alarms(AlarmNames=["low", "quiet"])


def put_stack(cloud: TestCloud, name: str, state: dict[str, Any]) -> None:
    """Store the state of a stack, as `localcloud up` does."""
    url = f"{cloud.url}/_localcloud/stacks/{name}"
    request = urllib.request.Request(url, json.dumps(state).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=20):
        pass


def test_a_stack_of_the_program_shows_outputs_and_cost_and_no_secret(quiet: TestCloud) -> None:
    state = {
        "resources": [{"urn": "a"}, {"urn": "b"}],
        "outputs": {
            "bucket": "data",
            "password": "hunter2",
            "list": [1, 2],
            "monthlyCostEstimate": {"total": 12.5, "currency": "USD", "items": []},
        },
        "secret_outputs": ["password"],
    }
    put_stack(quiet, "lab/dev", state)
    assert "hunter2" not in json.dumps(overview(quiet))
    (found,) = overview(quiet)["stacks"]["pulumi"]["items"]
    assert found["outputs"] == {"bucket": "data", "password": "[secret]", "list": "[1, 2]"}
    assert (found["name"], found["resources"], found["cost"]["total"]) == ("lab/dev", 2, 12.5)


def test_a_stack_of_cloudformation_shows_its_newest_events(quiet: TestCloud) -> None:
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation = quiet.client("cloudformation")
    cloudformation.create_stack(StackName="shown", TemplateBody=json.dumps(template))

    def complete() -> dict[str, Any] | None:
        items = overview(quiet)["stacks"]["cloudformation"]["items"]
        return next((s for s in items if s["status"] == "CREATE_COMPLETE"), None)

    stack = wait_for("the stack", complete)
    assert (stack["name"], stack["resources"]) == ("shown", 1)
    assert stack["events"][0]["status"] == "CREATE_COMPLETE"
    assert "Topic" in [event["resource"] for event in stack["events"]]
