"""Operations that take AWS minutes to days, with a clock that the test advances."""

from __future__ import annotations

import pytest

from tests.archives import zip_of
from tests.cloud import TestCloud, wait_for
from tests.pipelines import ROLE, Pipelines, approval_action, invoke_action, prepare

GUIDE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
DAY = 24 * 3600
FOREVER = """
import boto3

def handler(event, context):
    job = event["CodePipeline.job"]
    boto3.client("codepipeline").put_job_success_result(jobId=job["id"], continuationToken="more")
"""


@pytest.fixture(scope="module")
def slow(slow_cloud: TestCloud) -> TestCloud:
    prepare(slow_cloud)
    slow_cloud.client("lambda").create_function(
        FunctionName="forever",
        Role=ROLE,
        Runtime="python3.12",
        Handler="handlers.handler",
        Timeout=20,
        Code={"ZipFile": zip_of({"handlers.py": FOREVER})},
    )
    return slow_cloud


@pytest.fixture
def pipelines(slow: TestCloud) -> Pipelines:
    return Pipelines(slow.client("codepipeline"))


def invocations(cloud: TestCloud, function: str) -> int:
    """Return how often a function has ended."""
    logs = cloud.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return 0
    return sum(event["message"].startswith("REPORT") for event in found)


def status(pipelines: Pipelines, name: str) -> str:
    return str(pipelines.action(name).get("status"))


@pytest.mark.aws_documented(f"{GUIDE}/approvals.html")
def test_an_approval_waits_seven_days_unless_it_says_otherwise(
    slow: TestCloud, pipelines: Pipelines
) -> None:
    name = pipelines.make([approval_action()])
    pipelines.token(name)
    slow.advance(7 * DAY - 60)
    assert status(pipelines, name) == "InProgress"
    slow.advance(120)
    wait_for("its end", lambda: status(pipelines, name) == "Failed", 10)


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-Lambda.html")
def test_a_function_has_twenty_minutes_to_answer(slow: TestCloud, pipelines: Pipelines) -> None:
    name = pipelines.make([invoke_action("silent")])
    wait_for("the function's end", lambda: invocations(slow, "pipeline-job") == 1, 20)
    slow.advance(19 * 60)
    assert status(pipelines, name) == "InProgress"
    slow.advance(120)
    wait_for("its end", lambda: status(pipelines, name) == "Failed", 10)
    assert "PutJobSuccessResult" in pipelines.action(name)["errorDetails"]["message"]


@pytest.mark.aws_documented(f"{GUIDE}/action-reference-Lambda.html")
def test_each_answer_that_it_goes_on_gives_a_function_twenty_minutes_more_up_to_a_day(
    slow: TestCloud, pipelines: Pipelines
) -> None:
    action = invoke_action("more")
    action["configuration"]["FunctionName"] = "forever"
    name = pipelines.make([action])
    for times in range(1, 4):
        wait_for("an answer", lambda n=times: invocations(slow, "forever") >= n, 20)  # type: ignore[misc]
        assert status(pipelines, name) == "InProgress"
        slow.advance(19 * 60)
    wait_for("an answer", lambda: invocations(slow, "forever") >= 4, 20)
    slow.advance(DAY)
    wait_for("its end", lambda: status(pipelines, name) == "Failed", 20)
    assert "24 hours" in pipelines.action(name)["errorDetails"]["message"]
