"""The transitions of training jobs and endpoints."""

from datetime import UTC, datetime, timedelta

import pytest

from localcloud.errors import IllegalTransition
from localcloud.sagemaker.model import (
    Endpoint,
    EndpointStatus,
    SecondaryTransition,
    TrainingJob,
    TrainingJobStatus,
)

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
