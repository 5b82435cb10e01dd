"""SageMaker's jobs after the local cloud was killed."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import TestCloud, configured_url, local_cloud, wait_for
from tests.sagemaker import ROLE, ended, prepare

pytestmark = pytest.mark.emulator_only
BUCKET = "restart-tests"


def test_jobs_go_on_after_a_kill(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        image = prepare(cloud, BUCKET)
        start(cloud, image)
        sagemaker = cloud.client("sagemaker")
        wait_for("the servers", lambda: "TransformStartTime" in transform(sagemaker))
        wait_for(
            "a training job", lambda: tuning(sagemaker)["TrainingJobStatusCounters"]["InProgress"]
        )
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        again = ended(lambda: transform(sagemaker), "TransformJobStatus")
        tuned = ended(lambda: tuning(sagemaker), "HyperParameterTuningJobStatus")
        names = [
            job["TrainingJobStatus"]
            for job in sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
                HyperParameterTuningJobName="kept"
            )["TrainingJobSummaries"]
        ]
        package = sagemaker.describe_model_package(ModelPackageName="kept")
    # It is resumed and ends, whether or not the objects survived the kill.
    assert again["TransformJobStatus"] in ("Completed", "Failed")
    assert "InternalServerError" not in again.get("FailureReason", "")
    assert names == ["Completed", "Completed"]
    assert tuned["HyperParameterTuningJobStatus"] == "Completed"
    assert package["ModelPackageStatus"] in ("Completed", "Failed")


def transform(sagemaker: Any) -> Any:
    return sagemaker.describe_transform_job(TransformJobName="kept")


def tuning(sagemaker: Any) -> Any:
    return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="kept")


def start(cloud: TestCloud, image: str) -> None:
    """Begin a transform job and a tuning job that are not done before the kill."""
    sagemaker = cloud.client("sagemaker")
    cloud.client("s3").put_object(Bucket=BUCKET, Key="in/a", Body=b"slow")
    container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/one/model.tar.gz"}
    sagemaker.create_model(ModelName="kept", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_model_package(
        ModelPackageName="kept",
        InferenceSpecification={
            "Containers": [{"Image": image}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}
    sagemaker.create_transform_job(
        TransformJobName="kept",
        ModelName="kept",
        TransformInput={"DataSource": {"S3DataSource": source}},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        ModelClientConfig={"InvocationsTimeoutInSeconds": 3, "InvocationsMaxRetries": 0},
    )
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="kept",
        HyperParameterTuningJobConfig={
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "3"]}]
            },
        },
        TrainingJobDefinition={
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.e-]+)"}],
            },
            "RoleArn": ROLE,
            "StaticHyperParameters": {"seconds": "2.5"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    )


def test_a_training_job_begins_again_after_a_kill(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        image = prepare(cloud, BUCKET)
        sagemaker = cloud.client("sagemaker")
        for name in ("again", "stopping"):
            train(sagemaker, image, name)
            wait_for("the training", partial(is_training, sagemaker, name))
        sagemaker.stop_training_job(TrainingJobName="stopping")
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        job = ended(
            lambda: sagemaker.describe_training_job(TrainingJobName="again"), "TrainingJobStatus"
        )
        stopped = training(sagemaker, "stopping")
        assert stopped["TrainingJobStatus"] == "Stopped"
        assert job["TrainingJobStatus"] == "Completed", job
        assert "Restarting" in secondary(sagemaker, "again")
        artifact = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        assert cloud.client("s3").head_object(Bucket=BUCKET, Key=artifact)["ContentLength"] > 0


def training(sagemaker: Any, name: str) -> Any:
    return sagemaker.describe_training_job(TrainingJobName=name)


def secondary(sagemaker: Any, name: str) -> list[str]:
    return [step["Status"] for step in training(sagemaker, name)["SecondaryStatusTransitions"]]


def is_training(sagemaker: Any, name: str) -> bool:
    return secondary(sagemaker, name)[-1] == "Training"


def train(sagemaker: Any, image: str, name: str) -> None:
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters={"x": "1", "seconds": "2.5"},
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
