"""The lab's own container in the jobs that the pipeline does not use: tuned, and in batches."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Lab
from tests.sagemaker import ended

pytestmark = [pytest.mark.e2e, pytest.mark.emulator_only]

PRD = "iris-model-production"
ROWS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n4.9,3.0,1.4,0.2\n"


def test_the_labs_model_is_tuned_and_transforms_in_batches(lab: Lab, iris: bytes) -> None:
    if lab.config_of(PRD) is None:
        execution = lab.upload(iris)
        lab.answer("Approved")
        assert lab.ended(execution) == "Succeeded"
    sagemaker, s3 = lab.cloud.client("sagemaker"), lab.cloud.client("s3")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=lab.config_of(PRD))
    model = config["ProductionVariants"][0]["ModelName"]
    tags = sagemaker.list_tags(ResourceArn=sagemaker.describe_model(ModelName=model)["ModelArn"])
    name = next(tag["Value"] for tag in tags["Tags"] if tag["Key"] == "TrainingJobName")
    trained = sagemaker.describe_training_job(TrainingJobName=name)
    definition = {
        key: trained[key]
        for key in (
            *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig"),
            *("ResourceConfig", "StoppingCondition"),
        )
    }
    metric = "validation:accuracy"
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="lab",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": metric},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "IntegerParameterRanges": [
                    {"Name": "n_estimators", "MinValue": "5", "MaxValue": "20"}
                ]
            },
        },
        TrainingJobDefinition={
            **definition,
            "StaticHyperParameters": {"algorithm": "random-forest"},
        },
    )
    bucket = trained["OutputDataConfig"]["S3OutputPath"].split("/")[2]
    s3.put_object(Bucket=bucket, Key="batch/in/rows.csv", Body=ROWS.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/batch/in/"}
    sagemaker.create_transform_job(
        TransformJobName="lab",
        ModelName=model,
        TransformInput={
            "DataSource": {"S3DataSource": source},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={
            "S3OutputPath": f"s3://{bucket}/batch/out",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    transformed = ended(
        lambda: sagemaker.describe_transform_job(TransformJobName="lab"), "TransformJobStatus"
    )
    tuned = ended(
        lambda: sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="lab"),
        "HyperParameterTuningJobStatus",
    )
    assert transformed["TransformJobStatus"] == "Completed", transformed.get("FailureReason")
    body = s3.get_object(Bucket=bucket, Key="batch/out/rows.csv.out")["Body"].read().decode()
    assert body.split() == ["setosa", "virginica", "setosa"]
    best = tuned["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] > 0.8
    assert 5 <= int(best["TunedHyperParameters"]["n_estimators"]) <= 20
