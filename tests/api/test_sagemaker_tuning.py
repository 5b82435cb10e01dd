"""Hyperparameter tuning: real training jobs, the best of which is found."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for
from tests.sagemaker import ROLE, ended, heard, prepare

TUNING = "https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html"
CREATE = (
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
    "API_CreateHyperParameterTuningJob.html"
)
BUCKET = "tuning-tests"
# The container's score is best where x is 3.
X = [{"Name": "x", "MinValue": "0", "MaxValue": "9"}]

_numbers = count(1)


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    return prepare(cloud, BUCKET)


@pytest.fixture(scope="module")
def sagemaker(cloud: TestCloud, image: str) -> Any:
    del image
    return cloud.client("sagemaker")


def request(image: str, name: str, config: dict[str, Any], **static: str) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": X},
            "RandomSeed": 7,
            **config,
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.e-]+)"}],
            },
            "RoleArn": ROLE,
            "StaticHyperParameters": {"answer": "tuned", **static},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
        "Tags": [{"Key": "team", "Value": "a"}],
    }


def tune(sagemaker: Any, image: str, *, static: dict[str, str] | None = None, **config: Any) -> str:
    name = f"tune-{next(_numbers)}"
    sagemaker.create_hyper_parameter_tuning_job(**request(image, name, config, **(static or {})))
    return name


def finished(sagemaker: Any, name: str) -> Any:
    return ended(
        lambda: sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
        "HyperParameterTuningJobStatus",
    )


def children(sagemaker: Any, name: str, **options: Any) -> list[Any]:
    """Return its training jobs, page by page."""
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 3}, **options
    )
    return [job for page in pages for job in page["TrainingJobSummaries"]]


def value(job: Any) -> float:
    return float(job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


@pytest.mark.aws_documented(TUNING)
def test_the_best_of_the_training_jobs_is_found(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    detail_type = "SageMaker HyperParameter Tuning Job State Change"
    with heard(cloud, "tuning-events", detail_type) as events:
        name = tune(sagemaker, image)
        job = finished(sagemaker, name)
        told = wait_for(
            "the end",
            lambda: [e for e in events() if e["HyperParameterTuningJobStatus"] == "Completed"],
        )
    jobs = children(sagemaker, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    best = job["BestTrainingJob"]
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 4,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    assert best["TrainingJobName"] == jobs[0]["TrainingJobName"]
    assert value(best) == max(value(each) for each in jobs)
    assert value(best) == pytest.approx(
        -((float(best["TunedHyperParameters"]["x"]) - 3) ** 2), abs=1e-5
    )
    assert told[0]["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]


@pytest.mark.aws_documented(CREATE)
def test_its_training_jobs_are_jobs_like_any_other(sagemaker: Any, image: str) -> None:
    name = tune(
        sagemaker,
        image,
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 4},
        ParameterRanges={"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "2", "4"]}]},
    )
    arn = finished(sagemaker, name)["HyperParameterTuningJobArn"]
    names = [job["TrainingJobName"] for job in children(sagemaker, name)]
    first = sagemaker.describe_training_job(TrainingJobName=names[0])
    listed = sagemaker.list_training_jobs(NameContains=f"{name}-", SortBy="Name")
    assert [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]] == names
    assert [each.rpartition("-")[0] for each in names] == [f"{name}-{n:03d}" for n in (1, 2, 3)]
    assert first["TuningJobArn"] == arn
    assert first["HyperParameters"] == {
        "answer": "tuned",
        "x": "1",
        "_tuning_objective_metric": "score",
    }
    tags = sagemaker.list_tags(ResourceArn=first["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html"
)
def test_a_job_ends_when_its_target_is_reached(sagemaker: Any, image: str) -> None:
    name = tune(
        sagemaker,
        image,
        ResourceLimits={"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": -30.0},
    )
    job = finished(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] < 10
    assert value(job["BestTrainingJob"]) >= -30


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopHyperParameterTuningJob.html"
)
def test_a_stopped_job_stops_its_training_jobs(sagemaker: Any, image: str) -> None:
    name = tune(sagemaker, image, static={"seconds": "40"})
    wait_for(
        "its training jobs",
        lambda: [j for j in children(sagemaker, name) if "TrainingStartTime" in j],
    )
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = finished(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert {each["TrainingJobStatus"] for each in children(sagemaker, name)} == {"Stopped"}
    with pytest.raises(ClientError, match="status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


@pytest.mark.aws_documented(TUNING)
def test_a_job_none_of_whose_training_jobs_succeeds_is_failed(sagemaker: Any, image: str) -> None:
    job = finished(sagemaker, tune(sagemaker, image, static={"fail": "no label"}))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "No training job succeeded after 4 attempts" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 4


@pytest.mark.botocore_modelled
def test_tuning_jobs_are_listed_by_name_and_a_missing_one_is_an_error(
    sagemaker: Any, image: str
) -> None:
    names = [tune(sagemaker, image) for _ in range(2)]
    for name in names:
        finished(sagemaker, name)
    pages = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        StatusEquals="Completed", PaginationConfig={"PageSize": 1}
    )
    found = [s for page in pages for s in page["HyperParameterTuningJobSummaries"]]
    listed = [summary["HyperParameterTuningJobName"] for summary in found]
    assert listed == sorted(listed)
    assert set(names) <= set(listed)
    assert found[0]["ResourceLimits"]["MaxParallelTrainingJobs"]
    with pytest.raises(ClientError) as caught:
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="none")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    with pytest.raises(ClientError) as again:
        sagemaker.create_hyper_parameter_tuning_job(**request(image, names[0], {}))
    assert again.value.response["Error"]["Code"] == "ResourceInUse"


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Strategy": "Hyperband"}, "Hyperband is not supported"),
        ({"Strategy": "Grid"}, "CategoricalParameterRanges only"),
        ({"ParameterRanges": {}}, "at least one range"),
        ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "requires MaxNumberOfTrainingJobs"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}},
            "loss is not among the MetricDefinitions: score",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    sagemaker: Any, image: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.create_hyper_parameter_tuning_job(**request(image, "refused", config))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
