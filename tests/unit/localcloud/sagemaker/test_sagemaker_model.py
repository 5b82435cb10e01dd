"""The transitions of training jobs and endpoints."""

from datetime import UTC, datetime, timedelta

import pytest

from localcloud.aws.errors import IllegalTransition
from localcloud.sagemaker.instance_client import share_of
from localcloud.sagemaker.jobs import Job, JobStatus
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    SecondaryTransition,
    TrainingJob,
    TrainingJobStatus,
    Variant,
)
from localcloud.sagemaker.registry import ModelPackage, ModelPackageStatus
from localcloud.sagemaker.state_changes import detail_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)

TRAINING = {
    ("InProgress", "Stopping"),
    ("InProgress", "Completed"),
    ("InProgress", "Failed"),
    ("Stopping", "Stopped"),
    ("Stopping", "Failed"),
}
ENDPOINT = {
    ("Creating", "InService"),
    ("Creating", "Failed"),
    ("Creating", "Deleting"),
    ("InService", "Updating"),
    ("InService", "Deleting"),
    ("Updating", "InService"),
    ("Updating", "Deleting"),
    ("Updating", "RollingBack"),
    ("RollingBack", "InService"),
    ("RollingBack", "Deleting"),
    ("Failed", "Deleting"),
}


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html"
)
@pytest.mark.parametrize("before", TrainingJobStatus)
@pytest.mark.parametrize("after", TrainingJobStatus)
def test_a_training_job_moves_by_the_table_alone(
    before: TrainingJobStatus, after: TrainingJobStatus
) -> None:
    job = TrainingJob("arn", "job", {}, NOW, NOW, status=before)
    if (before, after) in TRAINING:
        job.move(after, LATER)
        assert (after, LATER) == (job.status, job.modified)
    else:
        with pytest.raises(IllegalTransition, match=f"training job job: {before} to {after}"):
            job.move(after, LATER)
        assert (before, NOW) == (job.status, job.modified)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html"
)
@pytest.mark.parametrize("before", EndpointStatus)
@pytest.mark.parametrize("after", EndpointStatus)
def test_an_endpoint_moves_by_the_table_alone(
    before: EndpointStatus, after: EndpointStatus
) -> None:
    endpoint = Endpoint("arn", "e", "config", NOW, NOW, status=before)
    if (before, after) in ENDPOINT:
        endpoint.move(after, LATER)
        assert (after, LATER) == (endpoint.status, endpoint.modified)
    else:
        with pytest.raises(IllegalTransition, match=f"endpoint e: {before} to {after}"):
            endpoint.move(after, LATER)
        assert (before, NOW) == (endpoint.status, endpoint.modified)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html"
)
def test_a_secondary_status_ends_when_the_next_begins() -> None:
    job = TrainingJob("arn", "job", {}, NOW, NOW)
    job.secondary("Starting", "a", NOW)
    job.secondary("Training", "b", LATER)
    expected = [
        SecondaryTransition("Starting", NOW, "a", LATER),
        SecondaryTransition("Training", LATER, "b"),
    ]
    assert expected == job.transitions


PACKAGE = {("Pending", "InProgress"), ("InProgress", "Completed"), ("InProgress", "Failed")}


@pytest.mark.botocore_modelled
@pytest.mark.parametrize("before", list(JobStatus))
@pytest.mark.parametrize("after", list(JobStatus))
def test_transform_and_tuning_jobs_move_as_training_jobs_do(
    before: JobStatus, after: JobStatus
) -> None:
    job = Job("arn", "job", {}, NOW, NOW, before)
    if (before, after) in TRAINING:
        job.move(after, LATER)
        assert (after, LATER) == (job.status, job.modified)
        assert (job.ended is None) == (after is JobStatus.STOPPING)
    else:
        with pytest.raises(IllegalTransition):
            job.move(after, LATER)


@pytest.mark.botocore_modelled
@pytest.mark.parametrize("before", list(ModelPackageStatus))
@pytest.mark.parametrize("after", list(ModelPackageStatus))
def test_a_package_is_completed_once(before: ModelPackageStatus, after: ModelPackageStatus) -> None:
    package = ModelPackage("arn", "package", {}, NOW, NOW, status=before)
    if (before, after) in PACKAGE:
        package.move(after)
        assert after == package.status
    else:
        with pytest.raises(IllegalTransition):
            package.move(after)


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("production", "shadow", "expected"),
    [(1.0, 1.0, 1.0), (4.0, 1.0, 0.25), (1.0, 0.0, 0.0), (1.0, 5.0, 1.0), (0.0, 1.0, 1.0)],
)
def test_a_shadow_gets_the_share_that_its_weight_is_of_the_productions(
    production: float, shadow: float, expected: float
) -> None:
    assert expected == share_of(Variant("p", 1, production), Variant("s", 1, shadow))


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"
)
def test_the_detail_of_an_event_has_its_times_and_its_status_in_eventbridges_form() -> None:
    described = {"EndpointStatus": "InService", "CreationTime": NOW, "FailureReason": None}
    milliseconds = round(NOW.timestamp() * 1000)
    assert detail_of("Endpoint", described) == {
        "EndpointStatus": "IN_SERVICE",
        "CreationTime": milliseconds,
    }
    nested = {"TrainingJobStatus": "Completed", "Steps": [{"At": NOW}]}
    assert detail_of("Training Job", nested) == {**nested, "Steps": [{"At": milliseconds}]}
    package = detail_of("Model Package", {"CreationTime": NOW})
    assert package == {"CreationTime": "2026-01-01T00:00:00Z"}
