"""`localcloud pipeline`, `approve`, `dataset push` and `outputs`, piped and as documents."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.cli.dataset import TABLES
from model.dataset import TABLES as MODELS_TABLES
from tests.cloud import TestCloud
from tests.command_line import document, refused, run
from tests.pipelines import BUCKET, Pipelines, approval_action, invoke_action

pytestmark = pytest.mark.emulator_only


def put_stack(cloud: TestCloud, outputs: dict[str, Any], method: str = "PUT") -> None:
    """Store a stack `dev` of a project of this test, as `localcloud up` does; or delete it."""
    state = {"name": "dev", "outputs": outputs, "secret_outputs": ["password"]}
    request = urllib.request.Request(
        f"{cloud.url}/_localcloud/stacks/cli-test/dev", json.dumps(state).encode(), method=method
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


@pytest.fixture
def waiting(pipelines: Pipelines) -> str:
    """A pipeline whose approval is pending, with a message."""
    action = approval_action(configuration={"CustomData": "Deploy #{Train.Said}? It may [fail]."})
    name = pipelines.make([invoke_action("v7", namespace="Train")], [action])
    pipelines.token(name, "Stage2")
    return name


@pytest.fixture
def lab(cloud: TestCloud, pipelines: Pipelines) -> Iterator[dict[str, str]]:
    """The outputs of a stack with a pipeline."""
    outputs = {
        "pipelineName": pipelines.make([invoke_action("hello")]),
        "dataBucket": BUCKET,
        "datasetKey": "other.zip",
        "password": "hidden",
    }
    pipelines.make([invoke_action("hello")])
    put_stack(cloud, outputs)
    yield outputs
    put_stack(cloud, {}, "DELETE")


def test_an_approval_prints_what_was_approved(cloud: TestCloud, waiting: str) -> None:
    url = ("--endpoint-url", cloud.url)
    answer = run("approve", waiting, "--wait", *url)
    lines = answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stderr
    assert lines[0] == f"Approved: Stage2/Approve of {waiting}"
    assert lines[1].startswith("execution ")
    assert lines[2] == "  Deploy v7? It may [fail]."
    assert "no approval" in refused(run("approve", waiting, *url))
    line = refused(run("approve", waiting, "--wait", "--timeout", "1s", *url))
    assert "no approval was pending within 1 s" in line


def test_a_rejection_is_a_document_and_fails_the_watch(cloud: TestCloud, waiting: str) -> None:
    url = ("--endpoint-url", cloud.url)
    rejected = document("reject", waiting, "--summary", "not yet", *url)
    assert (rejected["status"], rejected["summary"]) == ("Rejected", "not yet")
    assert rejected["message"] == "Deploy v7? It may [fail]."
    watched = run("pipeline", "watch", waiting, "--execution", rejected["execution"], *url)
    assert watched.returncode == 1
    assert watched.stderr == ""
    assert "Failed  Stage2/Approve" in watched.stdout
    assert "not yet" in watched.stdout
    assert watched.stdout.splitlines()[-1].startswith("Failed after ")


def test_an_execution_is_started_and_followed_to_its_end(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    name = pipelines.make([invoke_action("hello")])
    pipelines.until(name, "Succeeded")
    url = ("--endpoint-url", cloud.url)
    ended = document("pipeline", "start", name, "--watch", *url)
    assert ended["status"] == "Succeeded"
    assert [one["action"] for one in ended["actions"]] == ["Object", "Invoke"]
    listed = document("pipeline", "executions", name, *url)["executions"]
    assert [one["trigger"] for one in listed] == ["StartPipelineExecution", "CreatePipeline"]
    assert listed[0]["execution"] == ended["execution"]
    rows = run("pipeline", "executions", name, "--limit", "1", *url).stdout.splitlines()
    assert [row.split("\t")[:2] for row in rows] == [[ended["execution"], "Succeeded"]]


def test_a_stage_that_failed_is_retried_and_an_execution_stopped(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    name = pipelines.make([invoke_action("fail")], [approval_action()])
    pipelines.until(name, "Failed")
    url = ("--endpoint-url", cloud.url)
    again = run("pipeline", "retry", name, "--watch", *url)
    assert again.returncode == 1
    assert "no good" in again.stdout
    line = refused(run("pipeline", "stop", name, *url))
    assert "PipelineExecutionNotStoppableException" in line
    other = pipelines.make([approval_action()])
    pipelines.token(other)
    stopped = run("pipeline", "stop", other, "--abandon", "--reason", "enough", *url)
    assert stopped.stdout.startswith(f"{other} is stopping: execution ")
    pipelines.until(other, "Stopped")
    assert "has no failed stage" in refused(run("pipeline", "retry", other, *url))


def test_the_labs_pipeline_needs_no_name(
    cloud: TestCloud, pipelines: Pipelines, lab: dict[str, str]
) -> None:
    url = ("--endpoint-url", cloud.url)
    assert document("pipeline", "executions", *url)["pipeline"] == lab["pipelineName"]
    put_stack(cloud, {})
    line = refused(run("pipeline", "executions", *url))
    assert "there are several pipelines" in line
    assert lab["pipelineName"] in line


def test_outputs_are_one_value_a_table_or_a_document(cloud: TestCloud, lab: dict[str, str]) -> None:
    url = ("--endpoint-url", cloud.url)
    assert run("outputs", "dev", "dataBucket", *url).stdout == f"{BUCKET}\n"
    assert document("outputs", "dev", *url) == lab | {"password": "[secret]"}
    rows = [row.split("\t") for row in run("outputs", *url).stdout.splitlines()]
    assert ["dev", "datasetKey", "other.zip"] in rows
    assert "deployed are dev" in refused(run("outputs", "prd", *url))
    assert "it has: dataBucket" in refused(run("outputs", "dev", "bucket", *url))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "'nosuch' is neither a table (iris, wine"),
        (["no.csv"], "name its label column by --label"),
        (["no.csv", "--label", "x"], "cannot read no.csv: No such file or directory"),
        (["no.zip"], "cannot read no.zip: No such file or directory"),
        (["no.zip", "--drop", "id"], "--drop is for CSV files"),
        (["iris", "--regression"], "--regression is for CSV files"),
    ],
)
def test_a_dataset_that_cannot_be_pushed_uploads_nothing(
    cloud: TestCloud, lab: dict[str, str], arguments: list[str], said: str
) -> None:
    assert said in refused(run("dataset", "push", *arguments, "--endpoint-url", cloud.url))
    found = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=lab["datasetKey"])
    assert found["KeyCount"] == 0


def test_the_tables_are_those_of_the_model() -> None:
    assert tuple(MODELS_TABLES) == TABLES
