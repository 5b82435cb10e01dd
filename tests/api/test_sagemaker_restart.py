"""SageMaker's jobs after the local cloud was killed."""

from __future__ import annotations

import os
import signal
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
    assert names[0] == "Failed"
    assert len(names) == 2
    assert tuned["HyperParameterTuningJobStatus"] in ("Completed", "Failed")
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
