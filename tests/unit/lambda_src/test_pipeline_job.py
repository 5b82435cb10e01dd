"""A pipeline job reports exactly one result, whatever its work does."""

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lambda_src.pipeline_job import (
    ConfigurationError,
    Job,
    JobError,
    StillRunning,
    Succeeded,
    parse,
    run,
)
from tests.unit.lambda_src.fake_aws import JOB_ID, AwsError, FakeAws, pipeline_event


def test_a_success_is_reported_with_its_variables(aws: FakeAws) -> None:
    run(pipeline_event({}), lambda _: Succeeded("done", "id-1", {"A": "1"}))
    assert aws.success() == {
        "jobId": JOB_ID,
        "executionDetails": {
            "summary": "done",
            "externalExecutionId": "id-1",
            "percentComplete": 100,
        },
        "outputVariables": {"A": "1"},
    }


def test_a_running_job_is_reported_with_a_continuation_token(aws: FakeAws) -> None:
    run(pipeline_event({}), lambda _: StillRunning("busy", "id-1", {"step": 2}))
    assert aws.success() == {
        "jobId": JOB_ID,
        "executionDetails": {"summary": "busy", "externalExecutionId": "id-1"},
        "continuationToken": '{"step":2}',
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (JobError("too bad"), ("JobFailed", "too bad")),
        (ConfigurationError("no name"), ("ConfigurationError", "no name")),
        (KeyError("x"), ("JobFailed", "KeyError: 'x'")),
        (JobError(), ("JobFailed", "JobError")),
    ],
)
def test_an_exception_becomes_the_failure(
    aws: FakeAws, error: Exception, expected: tuple[str, str]
) -> None:
    def work(_: Job) -> Succeeded:
        raise error

    run(pipeline_event({}), work)
    assert aws.failure() == expected


@pytest.mark.parametrize("work_fails", [True, False])
def test_a_report_that_fails_is_logged_and_not_repeated(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, work_fails: bool
) -> None:
    aws.errors["PutJobSuccessResult"] = AwsError("InvalidJobStateException", "already answered")
    aws.errors["PutJobFailureResult"] = AwsError("InvalidJobStateException", "already answered")

    def work(_: Job) -> Succeeded:
        if work_fails:
            raise JobError("too bad")
        return Succeeded("done", "id-1")

    with caplog.at_level(logging.ERROR):
        run(pipeline_event({}), work)
    assert len(aws.answers()) == 1
    assert caplog.messages[-1] == f"could not report the result of job {JOB_ID} to CodePipeline"


@pytest.mark.parametrize("event", [{}, {"CodePipeline.job": None}, {"CodePipeline.job": {}}])
def test_an_event_of_another_service_is_not_answered(aws: FakeAws, event: dict[str, Any]) -> None:
    run(event, lambda _: Succeeded("done", "id-1"))
    assert aws.calls == []


@pytest.mark.parametrize("parameters", ["", "{", "[]", "7"])
def test_user_parameters_must_be_a_json_object(aws: FakeAws, parameters: str) -> None:
    run(pipeline_event(parameters), lambda _: Succeeded("done", "id-1"))
    assert aws.failure()[0] == "ConfigurationError"


def test_an_incomplete_event_is_reported_as_a_failure(aws: FakeAws) -> None:
    run({"CodePipeline.job": {"id": JOB_ID}}, lambda _: Succeeded("done", "id-1"))
    assert aws.failure() == (
        "ConfigurationError",
        "CodePipeline's event is incomplete: KeyError('data')",
    )


def test_a_job_without_credentials_uses_the_functions_own(aws: FakeAws) -> None:
    event = pipeline_event({})
    del event["CodePipeline.job"]["data"]["artifactCredentials"]
    aws.objects["artifacts", "pipeline/Dataset/abc"] = b"PK\x05\x06" + bytes(18)
    job = parse(event)
    job.read(job.input()).close()
    assert {call.access_key for call in aws.calls} == {"function"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["actionConfiguration", "inputArtifacts", "continuationToken"]), _json)
def test_any_event_with_an_id_gets_one_result(aws: FakeAws, part: str, value: Any) -> None:
    aws.calls.clear()
    event = pipeline_event({})
    event["CodePipeline.job"]["data"][part] = value
    run(event, lambda job: Succeeded(str(job.inputs), "id-1"))
    assert len(aws.answers()) == 1
