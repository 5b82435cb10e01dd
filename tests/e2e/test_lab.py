"""The whole lab: a dataset becomes a production endpoint, or stops where it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, ROOT, wait_for
from tests.e2e.conftest import (
    DEV,
    PRD,
    Lab,
    build_image,
    localcloud,
    localcloud_answer,
    needs_git,
)
from tests.listing import resources
from tests.sagemaker import ended

pytestmark = [pytest.mark.e2e, pytest.mark.emulator_only]

FLOWER = b"5.1,3.5,1.4,0.2"
FLOWERS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n4.9,3.0,1.4,0.2\n"

CAPTURES = f"mlops-iris-model-capture-prd-{ACCOUNT}-{REGION}"


def test_a_dataset_becomes_a_production_endpoint(lab: Lab) -> None:
    cloud = lab.cloud
    # By the commands that the README shows.
    pushed = json.loads(localcloud(cloud.url, "dataset", "push", "iris", "--json"))
    approved = json.loads(localcloud(cloud.url, "approve", "--wait", "--json"))
    assert approved["execution"] == pushed["execution"]
    assert approved["model"]["ModelPackageArn"].endswith("/iris-model/1")
    assert float(approved["model"]["Score"]) > 0.8
    followed = localcloud(cloud.url, "pipeline", "watch", "--execution", pushed["execution"])
    assert followed.splitlines()[-1].startswith("Succeeded after ")
    runtime, sagemaker = cloud.client("sagemaker-runtime"), cloud.client("sagemaker")
    for endpoint in (DEV, PRD):
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, Body=FLOWER, ContentType="text/csv", Accept="text/csv"
        )
        assert answer["Body"].read().decode().strip() == "setosa"
    described = sagemaker.describe_endpoint(EndpointName=PRD)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    policies = cloud.client("application-autoscaling").describe_scaling_policies(
        ServiceNamespace="sagemaker"
    )["ScalingPolicies"]
    assert [policy["ResourceId"] for policy in policies] == [f"endpoint/{PRD}/variant/AllTraffic"]
    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    assert {(s["StackName"], s["StackStatus"]) for s in stacks} == {
        ("mlops-deploy-iris-model-dev", "CREATE_COMPLETE"),
        ("mlops-deploy-iris-model-prd", "CREATE_COMPLETE"),
    }


def test_another_instance_type_of_what_scales_is_refused_before_anything_changes(
    production: Lab,
) -> None:
    change = ("prd", "--config", "instanceType=ml.c5.large")
    for command in ("preview", "up"):
        answer = localcloud_answer(production.cloud.url, command, *change)
        assert answer.returncode == 1
        (line,) = answer.stderr.strip().splitlines()
        assert "endpoint iris-model-production runs on ml.m5.large and scales" in line
        assert "scaling to false" in line
    # The first of the two steps that it names is possible.
    first = localcloud_answer(production.cloud.url, "preview", "prd", "--config", "scaling=false")
    assert first.returncode == 3, first.stderr


def test_a_deployed_model_can_be_traced_to_its_dataset(production: Lab) -> None:
    cloud = production.cloud
    sagemaker = cloud.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=production.config_of(PRD))
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    tags = {
        t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"]
    }
    job = sagemaker.describe_training_job(TrainingJobName=tags["TrainingJobName"])
    version = model["PrimaryContainer"]["ModelPackageName"]
    package = sagemaker.describe_model_package(ModelPackageName=version)
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert container["Image"] == job["AlgorithmSpecification"]["TrainingImage"]
    assert "@sha256:" in container["Image"]
    versions = cloud.client("s3").list_object_versions(
        Bucket=production.outputs["dataBucket"], Prefix=production.outputs["datasetKey"]
    )["Versions"]
    assert tags["DatasetVersionId"] in [version["VersionId"] for version in versions]


def test_the_labs_model_is_tuned_and_transforms_in_batches(production: Lab) -> None:
    sagemaker, s3 = production.cloud.client("sagemaker"), production.cloud.client("s3")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=production.config_of(PRD))
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
    s3.put_object(Bucket=bucket, Key="batch/in/rows.csv", Body=FLOWERS.encode())
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
    group = "/aws/sagemaker/TransformJobs"
    log = production.cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    assert transformed["TransformJobStatus"] == "Completed", [line["message"] for line in log]
    body = s3.get_object(Bucket=bucket, Key="batch/out/rows.csv.out")["Body"].read().decode()
    assert body.split() == ["setosa", "virginica", "setosa"]
    best = tuned["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] > 0.8
    assert 5 <= int(best["TunedHyperParameters"]["n_estimators"]) <= 20


def test_a_rejection_stops_the_pipeline_before_production(lab: Lab, iris: bytes) -> None:
    before = lab.config_of(PRD)
    execution = lab.upload(iris)
    lab.answer("Rejected")
    assert lab.ended(execution) == "Failed"
    assert lab.config_of(PRD) == before
    assert "Rejected by a test" in lab.state("DeployApproval", "ApproveDeploy")["summary"]


ROWS = "a,1.0,2.0\nb,2.0,1.0\na,1.5,2.5\nb,2.5,0.5\n"

BROKEN = {
    "no label": (zip_of({"train.csv": ",1.0,2.0\n,2.0,1.0\n", "validation.csv": ROWS}), "label"),
    "text in a number column": (
        zip_of({"train.csv": ROWS + "a,many,1.0\n", "validation.csv": ROWS}),
        "many",
    ),
    "one class": (
        zip_of({"train.csv": "a,1.0,2.0\na,2.0,1.0\n", "validation.csv": "a,1.0,2.0\n"}),
        "all 2 rows have the label 'a'",
    ),
    "an empty zip": (zip_of({}), "empty"),
    "not a zip": (b"this is not a zip archive", "zip"),
    "no rows": (zip_of({"train.csv": "", "validation.csv": ""}), "row"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_dataset_that_cannot_train_stops_before_training_with_its_reason(
    lab: Lab, what: str
) -> None:
    content, word = BROKEN[what]
    before = lab.config_of(DEV), lab.config_of(PRD)
    execution = lab.upload(content)
    assert lab.ended(execution) == "Failed"
    state = lab.state("Train", "CheckData")
    reason = state["errorDetails"]["message"]
    sagemaker = lab.cloud.client("sagemaker")
    jobs = sagemaker.list_processing_jobs(StatusEquals="Failed", MaxResults=1)
    name = jobs["ProcessingJobSummaries"][0]["ProcessingJobName"]
    job = sagemaker.describe_processing_job(ProcessingJobName=name)
    assert state["status"] == "Failed"
    assert name.startswith(f"iris-model-{execution[:8]}")
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert word in job["FailureReason"].lower()
    assert "Traceback" not in job["FailureReason"]
    assert job["FailureReason"] in reason
    assert sagemaker.list_training_jobs(NameContains=execution[:8])["TrainingJobSummaries"] == []
    shown = " ".join(localcloud(lab.cloud.url, "status").split())
    assert " ".join(job["FailureReason"].split())[:60] in shown
    assert (lab.config_of(DEV), lab.config_of(PRD)) == before


def test_a_failed_execution_notifies_the_subscribers(lab: Lab) -> None:
    sns, sqs = lab.cloud.client("sns"), lab.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    subscription = sns.subscribe(
        TopicArn=lab.outputs["notificationTopicArn"], Protocol="sqs", Endpoint=arn["QueueArn"]
    )["SubscriptionArn"]
    execution = lab.upload(b"this is not a zip archive")
    assert lab.ended(execution) == "Failed"
    messages = wait_for(
        "the notice", lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), 20
    )
    said = json.loads(messages[0]["Body"])["Message"]
    assert f"Pipeline {lab.pipeline} failed: execution {execution} at " in said
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def preview(lab: Lab, stack: str, *settings: str) -> tuple[int, dict[str, Any]]:
    """Return a preview's exit status, and what it says as JSON."""
    answer = localcloud_answer(lab.cloud.url, "preview", stack, "--json", *settings)
    assert answer.returncode in (0, 3), answer.stderr
    return answer.returncode, json.loads(answer.stdout)


@needs_git
def test_a_push_builds_the_container_and_releases_it_to_training(lab: Lab, tmp_path: Path) -> None:
    ssm = lab.cloud.client("ssm")
    released = lab.outputs["imageParameter"]
    before = ssm.get_parameter(Name=released)["Parameter"]["Value"]
    assert build_image(lab, tmp_path) == "Succeeded"
    image = ssm.get_parameter(Name=released)["Parameter"]["Value"]
    assert image.startswith(f"{lab.outputs['repositoryUrl']}@sha256:")
    assert image != before
    # What the stack deploys again does not take the release back.
    assert "unchanged" in localcloud(lab.cloud.url, "up", "dev")
    assert ssm.get_parameter(Name=released)["Parameter"]["Value"] == image
    ssm.put_parameter(Name=released, Value=before, Overwrite=True)


@pytest.mark.parametrize("stack", ["prd", "dev"])
def test_deploying_again_changes_nothing(lab: Lab, stack: str) -> None:
    status, said = preview(lab, stack)
    assert (0, ["same"]) == (status, list(said["changes"]))
    done = localcloud(lab.cloud.url, "up", stack)
    assert f"Done: {said['changes']['same']} unchanged." in done


def test_a_changed_setting_updates_only_what_it_touches(lab: Lab) -> None:
    changed = ("--config", "trainingMaxRuntimeSeconds=1800")
    status, said = preview(lab, "dev", *changed)
    (step,) = [step for step in said["steps"] if step["change"] != "same"]
    assert (3, "update", "Pipeline") == (status, step["change"], step["type"].rpartition(":")[2])
    # Those of CheckData, Train, Evaluate and Rehearse.
    assert 4 == len(step["differences"])
    assert {("3600", "1800")} == {(d["before"], d["after"]) for d in step["differences"]}
    done = localcloud(lab.cloud.url, "up", "dev", *changed)
    assert "1 updated" in done
    assert f"{said['changes']['same']} unchanged" in done
    assert 3 == preview(lab, "dev")[0]  # the setting was for that run only
    localcloud(lab.cloud.url, "up", "dev")
    assert 0 == preview(lab, "dev")[0]


def test_invalid_settings_are_reported_without_a_program_line(lab: Lab) -> None:
    answer = localcloud_answer(lab.cloud.url, "preview", "dev", "--config", "scaling=maybe")
    assert 1 == answer.returncode
    last = answer.stderr.strip().splitlines()[-1]
    assert "  - scaling: bad value 'maybe'; allowed: true, false; fix: use false" == last


def test_a_regression_with_a_header_reaches_the_approval_with_its_score(lab: Lab) -> None:
    flats = "price,size,age\n" + "".join(
        f"{3 * size - age + (size * age) % 7},{size},{age}\n"
        for size in range(20, 120, 5)
        for age in (1, 4, 9, 30)
    )
    hyperparameters = '{"algorithm": "linear-regression", "header": "yes"}'
    localcloud(lab.cloud.url, "up", "dev", "--config", f"hyperparameters={hyperparameters}")
    # Other columns than those of the model in production, on purpose.
    contract = 'schema_change = "allow"\n'
    execution = lab.upload(zip_of({"train.csv": flats, "data-contract.toml": contract}))
    lab.answer("Rejected")
    assert lab.ended(execution) == "Failed"
    assert "50 rows, r2 0.9" in lab.state("DeployDev", "SmokeTest")["summary"]
    pipeline = lab.cloud.client("codepipeline")
    ran = pipeline.list_action_executions(
        pipelineName=lab.pipeline, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    approval = next(action for action in ran if action["actionName"] == "ApproveDeploy")
    assert "Validation r2 0.9" in approval["input"]["resolvedConfiguration"]["CustomData"]
    localcloud(lab.cloud.url, "up", "dev")


def test_down_leaves_nothing_of_the_stacks_but_what_production_captured(lab: Lab) -> None:
    cloud = lab.cloud
    assert resources(cloud).keys() > {"buckets", "roles", "functions", "pipelines"}
    localcloud(cloud.url, "down", "dev", "--deployed", "--unprotect")
    kept = localcloud(cloud.url, "down", "prd", "--deployed", "--unprotect")
    # What production captured is data, which one command cannot delete.
    assert resources(cloud) == {"buckets": [CAPTURES]}
    assert f"retained Bucket prd-capture {CAPTURES}" in kept
    s3 = cloud.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=CAPTURES):
        for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=CAPTURES, Key=found["Key"], VersionId=found["VersionId"])
    s3.delete_bucket(Bucket=CAPTURES)
    # And the lab can be deployed again.
    _, said = preview(lab, "prd")
    assert ["create"] == list(said["changes"])
    created = said["changes"]["create"]
    assert f"Done: {created} created." in localcloud(cloud.url, "up", "prd")


def _assert_watched(directory: Path, said: str) -> None:
    """Assert that production drifted, and got a model that knows the new rows."""
    watched = json.loads((directory / "summary.json").read_text())["watch"]
    assert watched["status"] == "Succeeded", said[-6000:]
    verdicts = [report.partition(" ")[0].rstrip(":") for report in watched["reports"]]
    assert verdicts == ["stable", "drift", "stable"]
    assert "-drift: OK" in said
    for page in ("trend.html", "evidence.html"):
        assert "<h1" in (directory / page).read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "short", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["short", "whole"]
)
def test_the_demo_runs_unattended_and_reports(tmp_path: Path, short: bool) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LOCALSTACK"))}
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "localcloud", "demo", "--approve", "--table", "wine"),
            *("--duration", "12s", "--report-dir", str(tmp_path)),
            *(("--short",) if short else ()),
        ],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
    assert "\x1b[" not in answer.stdout
    # A warning of the program is shown once for each deployment.
    assert answer.stderr.count("days old") == (2 if short else 3)
    if not short:
        _assert_watched(tmp_path, answer.stdout)
    assert "Stopped the local cloud and every process that it had started." in answer.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    stress = json.loads((tmp_path / "stress" / "summary.json").read_text())
    # The model is named after its table, and the load was chosen for this machine.
    assert stress["endpoint"] == "wine-production"
    assert "This machine answers " in answer.stdout
    assert "\nScaling: " in answer.stdout
    assert summary["metrics"]["validation:accuracy"] > 0.8
    assert (tmp_path / "stress" / "report.html").stat().st_size > 10_000
    assert stress["requests"] > 100
    assert stress["failures"] == 0
    run = json.loads((tmp_path / "stress" / "run.json").read_text())
    names = [alarm["name"] for alarm in run["alarms"]]
    assert ["-AlarmHigh-" in name for name in names] == [True, False], run["notes"]
    assert all(alarm["states"][0]["start"] == 0 for alarm in run["alarms"])
