"""CodePipeline: locks, superseding, approvals that wait, jobs that are answered by functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, have_role, wait_for
from tests.pipelines import (
    ROLE,
    Pipelines,
    approval_action,
    invoke_action,
    kind,
    pipelines_of,
    prepare,
    source_action,
)

HOW = "https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html"
MODES = "https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html"
APPROVALS = "https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html"
EVENTS = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/"
    "detect-state-changes-cloudwatch-events.html"
)
LAMBDA = "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html"


@pytest.fixture(scope="module")
def prepared(cloud: TestCloud) -> TestCloud:
    prepare(cloud)
    return cloud


@pytest.fixture(scope="module")
def fast_pipelines(fast_cloud: TestCloud) -> Pipelines:
    prepare(fast_cloud)
    return Pipelines(fast_cloud.client("codepipeline"))


@pytest.fixture
def pipelines(prepared: TestCloud) -> Iterator[Pipelines]:
    with pipelines_of(prepared) as made:
        yield made


@pytest.mark.aws_documented(HOW)
def test_creating_a_pipeline_starts_it(pipelines: Pipelines) -> None:
    name = pipelines.make([invoke_action("hello")])
    pipelines.until(name, "Succeeded")
    execution = pipelines.executions(name)[0]
    assert execution["trigger"]["triggerType"] == "CreatePipeline"
    assert execution["sourceRevisions"][0]["actionName"] == "Object"


@pytest.mark.aws_documented(APPROVALS)
def test_an_approval_waits_and_then_lets_the_pipeline_go_on(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()], [invoke_action("after")])
    token = pipelines.token(name)
    assert pipelines.statuses(name) == ["InProgress"]
    assert pipelines.action(name, "Stage2") == {}
    pipelines.answer(name, token, "Approved")
    pipelines.until(name, "Succeeded")
    latest = pipelines.action(name)
    assert latest["summary"] == "Approved by a test"
    assert "token" not in latest
    with pytest.raises(ClientError) as again:
        pipelines.answer(name, token, "Rejected")
    assert again.value.response["Error"]["Code"] == "ApprovalAlreadyCompletedException"


@pytest.mark.aws_documented(APPROVALS)
def test_a_rejection_fails_the_execution_before_the_next_stage(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()], [invoke_action("after")])
    pipelines.answer(name, pipelines.token(name), "Rejected")
    pipelines.until(name, "Failed")
    assert pipelines.action(name)["errorDetails"]["message"] == "Rejected by a test"
    assert pipelines.action(name, "Stage2") == {}


@pytest.mark.aws_documented(APPROVALS)
def test_a_wrong_token_is_refused(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    pipelines.token(name)
    with pytest.raises(ClientError) as caught:
        pipelines.answer(name, "11111111-2222-3333-4444-555555555555", "Approved")
    assert caught.value.response["Error"]["Code"] == "InvalidApprovalTokenException"


@pytest.mark.aws_documented(MODES)
def test_a_newer_execution_supersedes_the_older_one_that_waits(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    token = pipelines.token(name)
    pipelines.client.start_pipeline_execution(name=name)
    wait_for(
        "the second to wait",
        lambda: pipelines.client.get_pipeline_state(name=name)["stageStates"][1].get(
            "inboundExecution"
        ),
    )
    pipelines.client.start_pipeline_execution(name=name)
    pipelines.until(name, "InProgress", "Superseded", "InProgress")
    pipelines.answer(name, token, "Approved")
    newer = wait_for(
        "the third to ask",
        lambda: (
            (found := pipelines.action(name).get("token")) is not None and found != token and found
        ),
    )
    pipelines.answer(name, str(newer), "Approved")
    pipelines.until(name, "Succeeded", "Superseded", "Succeeded")


@pytest.mark.aws_documented(MODES)
def test_queued_executions_take_their_turn(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()], executionMode="QUEUED")
    first = pipelines.token(name)
    pipelines.client.start_pipeline_execution(name=name)
    pipelines.answer(name, first, "Approved")
    pipelines.until(name, "Succeeded", "InProgress")
    pipelines.answer(name, pipelines.token(name), "Approved")
    pipelines.until(name, "Succeeded", "Succeeded")


@pytest.mark.aws_documented(LAMBDA)
def test_a_continuation_token_brings_the_function_back_and_its_variables_are_usable(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make(
        [invoke_action("continue", namespace="First")],
        [invoke_action("#{First.Said}/#{First.Token}/#{Source.ObjectKey}", namespace="Second")],
    )
    pipelines.until(name, "Succeeded")
    details = pipelines.client.list_action_executions(pipelineName=name)["actionExecutionDetails"]
    variables = details[0]["output"]["outputVariables"]
    assert variables["Said"] == "continue/1/source.zip"


@pytest.mark.aws_documented(LAMBDA)
def test_a_function_that_says_failure_fails_the_action_with_its_message(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make([invoke_action("fail")])
    pipelines.until(name, "Failed")
    assert pipelines.action(name)["errorDetails"] == {"code": "JobFailed", "message": "no good"}


@pytest.mark.emulator_only
def test_a_function_that_raises_fails_the_action_at_once(pipelines: Pipelines) -> None:
    name = pipelines.make([invoke_action("raise")])
    pipelines.until(name, "Failed")
    assert "the function broke" in pipelines.action(name)["errorDetails"]["message"]


@pytest.mark.aws_documented(LAMBDA)
def test_a_silent_function_fails_after_twenty_minutes_with_the_hint(
    fast_pipelines: Pipelines,
) -> None:
    name = fast_pipelines.make([invoke_action("silent")])
    fast_pipelines.until(name, "Failed")
    assert "PutJobSuccessResult" in fast_pipelines.action(name)["errorDetails"]["message"]


@pytest.mark.aws_documented(APPROVALS)
def test_an_approval_that_nobody_gives_times_out(fast_pipelines: Pipelines) -> None:
    name = fast_pipelines.make([approval_action(timeoutInMinutes=10)])
    fast_pipelines.until(name, "Failed")
    message = fast_pipelines.action(name)["errorDetails"]["message"]
    assert "not given within 10 minutes" in message


@pytest.mark.emulator_only
def test_an_unknown_variable_fails_the_action_and_is_named(pipelines: Pipelines) -> None:
    name = pipelines.make([invoke_action("#{Source.Key}")])
    pipelines.until(name, "Failed")
    said = pipelines.action(name)["errorDetails"]["message"]
    assert "the namespace Source has no variable Key" in said


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-retry.html"
)
def test_a_failed_stage_can_be_retried_until_a_later_execution_enters_it(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make([approval_action()])
    pipelines.answer(name, pipelines.token(name), "Rejected")
    pipelines.until(name, "Failed")
    execution = pipelines.executions(name)[0]["pipelineExecutionId"]
    retry = {"pipelineName": name, "stageName": "Stage1", "pipelineExecutionId": execution}
    pipelines.client.retry_stage_execution(**retry, retryMode="FAILED_ACTIONS")
    pipelines.answer(name, pipelines.token(name), "Approved")
    pipelines.until(name, "Succeeded")
    with pytest.raises(ClientError) as caught:
        pipelines.client.retry_stage_execution(**retry, retryMode="FAILED_ACTIONS")
    assert caught.value.response["Error"]["Code"] == "StageNotRetryableException"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-stop.html"
)
def test_an_abandoned_execution_stops_and_its_action_is_abandoned(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()])
    pipelines.token(name)
    execution = pipelines.executions(name)[0]["pipelineExecutionId"]
    stop = {"pipelineName": name, "pipelineExecutionId": execution}
    pipelines.client.stop_pipeline_execution(**stop, abandon=True, reason="enough")
    pipelines.until(name, "Stopped")
    assert pipelines.action(name)["status"] == "Abandoned"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/transitions.html"
)
def test_a_disabled_transition_holds_an_execution_before_the_stage(pipelines: Pipelines) -> None:
    name = pipelines.make([approval_action()], [invoke_action("x")])
    transition = {"pipelineName": name, "stageName": "Stage2", "transitionType": "Inbound"}
    pipelines.client.disable_stage_transition(**transition, reason="frozen")
    pipelines.answer(name, pipelines.token(name), "Approved")

    def state() -> dict[str, Any]:
        return dict(pipelines.client.get_pipeline_state(name=name)["stageStates"][2])

    wait_for("the execution to wait", lambda: state().get("inboundExecution"))
    assert state()["inboundTransitionState"]["disabledReason"] == "frozen"
    pipelines.client.enable_stage_transition(**transition)
    pipelines.until(name, "Succeeded")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html"
)
def test_a_declaration_that_cannot_run_is_refused_with_the_reason(pipelines: Pipelines) -> None:
    missing_input = invoke_action("x", inputArtifacts=[{"name": "Missing"}])
    with pytest.raises(ClientError) as caught:
        pipelines.make([missing_input])
    assert caught.value.response["Error"]["Code"] == "InvalidActionDeclarationException"
    assert "Missing" in str(caught.value)
    jenkins = approval_action(actionTypeId=kind("Build", "Jenkins"))
    with pytest.raises(ClientError, match="Jenkins"):
        pipelines.make([jenkins])


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html"
)
def test_a_missing_source_object_fails_the_source_action(
    pipelines: Pipelines, cloud: TestCloud
) -> None:
    name = pipelines.make([approval_action()])
    pipelines.token(name)
    declaration = pipelines.client.get_pipeline(name=name)["pipeline"]
    declaration["stages"][0]["actions"] = [source_action("nothing.zip")]
    pipelines.client.update_pipeline(pipeline=declaration)
    pipelines.client.start_pipeline_execution(name=name)
    pipelines.until(name, "InProgress", "Failed")
    message = pipelines.action(name, "Stage0")["errorDetails"]["message"]
    assert "'nothing.zip' does not exist" in message


@pytest.mark.botocore_modelled
def test_a_missing_pipeline_is_named(pipelines: Pipelines) -> None:
    with pytest.raises(ClientError) as caught:
        pipelines.client.get_pipeline_state(name="no-such-pipeline")
    assert caught.value.response["Error"]["Code"] == "PipelineNotFoundException"


@pytest.mark.aws_documented(EVENTS)
def test_a_failed_execution_is_published_as_an_event(
    prepared: TestCloud, pipelines: Pipelines
) -> None:
    events, sqs = prepared.client("events"), prepared.client("sqs")
    queue = sqs.create_queue(QueueName="pipeline-failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(
        Name="pipeline-failures",
        EventPattern=json.dumps(
            {
                "source": ["aws.codepipeline"],
                "detail-type": ["CodePipeline Pipeline Execution State Change"],
                "detail": {"state": ["FAILED"]},
            }
        ),
    )
    events.put_targets(Rule="pipeline-failures", Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    name = pipelines.make([invoke_action("fail")])
    pipelines.until(name, "Failed")

    def told() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            event: dict[str, Any] = json.loads(message["Body"])
            if event["detail"]["pipeline"] == name:
                return event
        return None

    event = wait_for("the event", told, 20)
    assert event["resources"] == [f"arn:aws:codepipeline:us-east-1:000000000000:{name}"]
    (execution,) = pipelines.executions(name)
    assert event["detail"] == {
        "pipeline": name,
        "execution-id": execution["pipelineExecutionId"],
        "state": "FAILED",
        "version": 1.0,
    }
    events.remove_targets(Rule="pipeline-failures", Ids=["queue"])
    events.delete_rule(Name="pipeline-failures")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html"
)
def test_the_role_of_a_pipeline_has_to_trust_codepipeline(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    name = pipelines.make([approval_action()])
    declaration = pipelines.client.get_pipeline(name=name)["pipeline"]
    nobody = ROLE.replace("pipeline", "nobody")
    other = have_role(cloud, ROLE.replace("pipeline", "of-functions"), "lambda")
    for role in (nobody, other):
        for change, named in (("create_pipeline", f"{name}-2"), ("update_pipeline", name)):
            wrong = {**declaration, "name": named, "roleArn": role}
            with pytest.raises(ClientError) as caught:
                getattr(pipelines.client, change)(pipeline=wrong)
            error = caught.value.response["Error"]
            assert error["Code"] == "InvalidStructureException"
            assert error["Message"].startswith(
                f"CodePipeline is not authorized to perform AssumeRole on role {role}."
            )
    assert pipelines.client.get_pipeline(name=name)["pipeline"]["version"] == 1


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_TagResource.html"
)
def test_only_a_pipeline_that_exists_has_tags(pipelines: Pipelines) -> None:
    client = pipelines.client
    name = pipelines.make([approval_action()])
    arn = client.get_pipeline(name=name)["metadata"]["pipelineArn"]
    some = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    client.tag_resource(resourceArn=arn, tags=some)
    client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == some[1:]

    def code(call: str, arn: str, **more: Any) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(client, call)(resourceArn=arn, **more)
        return str(caught.value.response["Error"]["Code"])

    for call, more in (
        ("tag_resource", {"tags": some}),
        ("untag_resource", {"tagKeys": ["a"]}),
        ("list_tags_for_resource", {}),
    ):
        assert code(call, f"{arn}-not-there", **more) == "ResourceNotFoundException"
    assert code("tag_resource", arn, tags=[{"key": "aws:x", "value": ""}]) == "InvalidTagsException"
    many = [{"key": f"k{n}", "value": ""} for n in range(50)]
    assert code("tag_resource", arn, tags=many) == "TooManyTagsException"
