"""The model registry: what each execution makes of its model, and why."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import wait_for
from tests.e2e.conftest import (
    PRD,
    Lab,
    cloud_of_its_own,
    deployed,
    localcloud,
    localcloud_answer,
)
from tests.evidence import problems

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.aws_documented(
        "https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html"
    ),
]

GROUP = "iris-model"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of this module's own, whose registry has no other versions."""
    with cloud_of_its_own(tmp_path_factory.mktemp("registry"), speed=60.0) as cloud:
        yield deployed(cloud)


def versions(lab: Lab) -> list[dict[str, Any]]:
    """Return every version of the model, the newest first."""
    sagemaker = lab.cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=GROUP, SortBy="CreationTime", SortOrder="Descending"
    )
    return [
        dict(sagemaker.describe_model_package(ModelPackageName=one["ModelPackageArn"]))
        for page in pages
        for one in page["ModelPackageSummaryList"]
    ]


def version_of(lab: Lab, execution: str) -> dict[str, Any] | None:
    """Return the version that an execution registered."""
    for version in versions(lab):
        if version["CustomerMetadataProperties"]["PipelineExecutionId"] == execution:
            return version
    return None


def rejected(lab: Lab, execution: str) -> dict[str, Any]:
    """Wait until the version of an execution is rejected; return it."""

    def probe() -> dict[str, Any] | None:
        version = version_of(lab, execution)
        done = version is not None and version["ModelApprovalStatus"] == "Rejected"
        return version if done else None

    return wait_for("the rejection of the version", probe, 30)


def decided(lab: Lab, execution: str) -> dict[str, Any]:
    """Wait until the version of an execution is approved or rejected; return it."""

    def probe() -> dict[str, Any] | None:
        version = version_of(lab, execution)
        pending = version is None or version["ModelApprovalStatus"] == "PendingManualApproval"
        return None if pending else version

    return wait_for("the decision on the version", probe, 30)


def test_what_production_serves_is_approved_with_who_and_why(production: Lab) -> None:
    (version, *_) = [v for v in versions(production) if v["ModelApprovalStatus"] == "Approved"]
    assert version["ApprovalDescription"].startswith("approved by arn:aws:iam::000000000000:")
    assert version["ApprovalDescription"].endswith(": Approved by a test")
    sagemaker = production.cloud.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=production.config_of(PRD) or "")
    served = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    tags = sagemaker.list_tags(ResourceArn=served["ModelArn"])["Tags"]
    assert {"Key": "ModelPackageArn", "Value": version["ModelPackageArn"]} in tags
    (container,) = version["InferenceSpecification"]["Containers"]
    assert served["PrimaryContainer"] == {"ModelPackageName": version["ModelPackageArn"]}
    about = version["CustomerMetadataProperties"]
    job = sagemaker.describe_training_job(TrainingJobName=about["TrainingJobName"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == container["ModelDataUrl"]
    assert about["Metric"] == "accuracy"


def evidence_of(lab: Lab, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit status of `localcloud evidence`, and what it says as JSON."""
    answer = localcloud_answer(lab.cloud.url, "evidence", "--json", *arguments)
    assert answer.returncode in (0, 3), answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def test_what_a_person_saw_at_the_approval_can_be_proved(lab: Lab, iris: bytes) -> None:
    assert lab.deliver(iris) == "Succeeded"
    status, said = evidence_of(lab)
    assert (status, said["problems"]) == (0, [])
    assert {*said["recorded"]} == {
        *("action Evidence", "approval", "registry", "registry, when approved")
    }
    assert {*said["recorded"].values()} == {said["stored"]}
    document = said["evidence"]
    assert problems(document) == []
    version = version_of(lab, said["execution"])
    assert version is not None
    assert document["model"]["arn"] == version["ModelPackageArn"]
    (container,) = version["InferenceSpecification"]["Containers"]
    assert document["lineage"]["image"] == container["Image"]
    sources = document["lineage"]["sources"]
    assert sources.keys() == {"DatasetArtifact", "DevTemplateArtifact", "PrdTemplateArtifact"}
    assert sources["DatasetArtifact"] == document["lineage"]["dataset_version"]
    assert document["training"]["metrics"]["validation:accuracy"] > 0.8
    bucket, _, key = said["page"].removeprefix("s3://").partition("/")
    page = lab.cloud.client("s3").get_object(Bucket=bucket, Key=key)
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert f"sha256:{said['stored']}" in page["Body"].read().decode()
    pipeline = lab.cloud.client("codepipeline")
    ran = pipeline.list_action_executions(
        pipelineName=lab.pipeline, filter={"pipelineExecutionId": said["execution"]}
    )["actionExecutionDetails"]
    (approval,) = [action for action in ran if action["actionName"] == "ApproveDeploy"]
    shown = approval["input"]["resolvedConfiguration"]["CustomData"]
    assert shown.splitlines()[1:] == [
        *document["verdicts"],
        f"{said['url']} sha256:{said['stored']}",
    ]
    assert len(shown) <= 1000
    text = localcloud(lab.cloud.url, "evidence", said["execution"])
    assert "Verified: the document and its reports are those that were shown" in text
    assert document["verdicts"][0] in text


def with_half_of_the_validation_rows(dataset: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(dataset)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    files["validation.csv"] = "".join(files["validation.csv"].splitlines(keepends=True)[::2])
    return zip_of(files)


def test_every_model_is_compared_on_the_rows_of_the_first_approved_one(
    production: Lab, iris: bytes
) -> None:
    *_, first = [v for v in versions(production) if v["ModelApprovalStatus"] == "Approved"]
    url = first["CustomerMetadataProperties"]["ReferenceUrl"]
    execution = production.upload(with_half_of_the_validation_rows(iris))
    production.answer("Rejected")
    assert production.ended(execution) == "Failed"
    status, said = evidence_of(production, execution)
    reference = said["evidence"]["evaluation"]["reference"]
    assert said["evidence"]["evaluation"]["rows"] == 15
    assert (status, reference["state"], reference["rows"]) == (0, "kept", 30)
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body = production.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert reference["sha256"] == hashlib.sha256(body).hexdigest()
    version = version_of(production, execution)
    assert version is not None
    assert version["CustomerMetadataProperties"]["ReferenceUrl"] == url


def test_a_change_of_the_evidence_or_of_a_report_is_found(production: Lab) -> None:
    s3 = production.cloud.client("s3")
    (approved, *_) = [v for v in versions(production) if v["ModelApprovalStatus"] == "Approved"]
    execution = approved["CustomerMetadataProperties"]["PipelineExecutionId"]
    _, before = evidence_of(production, execution)
    bucket, _, key = before["url"].removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    shown = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=body.replace(b"accuracy", b"Accuracy"))
    status, said = evidence_of(production, execution)
    assert (status, said["verified"]) == (3, False)
    assert len(said["problems"]) == 4
    assert f"version {shown} of the object has it" in said["problems"][0]
    s3.delete_object(Bucket=bucket, Key=key)
    status, said = evidence_of(production, execution)
    assert (status, said["problems"]) == (3, [f"{before['url']} does not exist any more"])
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert evidence_of(production, execution)[0] == 0
    report = before["evidence"]["data"]["report"]["url"]
    place = dict(zip(("Bucket", "Key"), report.removeprefix("s3://").split("/", 1), strict=True))
    check = s3.get_object(**place)["Body"].read()
    s3.put_object(**place, Body=check + b" ")
    status, said = evidence_of(production, execution)
    assert (status, said["problems"]) == (
        3,
        [f"{report} was changed: it has another digest than the evidence"],
    )
    s3.put_object(**place, Body=check)
    sagemaker = production.cloud.client("sagemaker")
    sagemaker.update_model_package(
        ModelPackageArn=before["modelPackage"],
        CustomerMetadataProperties={"EvidenceSha256": "0" * 64},
    )
    status, said = evidence_of(production, execution)
    assert status == 3
    assert "than recorded by registry: " in said["problems"][0]
    sagemaker.update_model_package(
        ModelPackageArn=before["modelPackage"],
        CustomerMetadataProperties={"EvidenceSha256": before["stored"]},
    )


def test_an_execution_without_evidence_is_named(production: Lab) -> None:
    broken = production.upload(zip_of({}))
    assert production.ended(broken) == "Failed"
    for execution, said in (
        (broken, f"execution {broken} has no evidence: it did not reach that action"),
        ("unknown", "there is no execution unknown; `localcloud status` shows pipelines"),
    ):
        answer = localcloud_answer(production.cloud.url, "evidence", execution)
        assert (answer.returncode, answer.stderr.strip()) == (1, f"error: {said}")


def test_a_model_that_a_person_rejects_is_rejected_with_their_words(lab: Lab, iris: bytes) -> None:
    execution = lab.upload(iris)
    waiting = wait_for("the version", lambda: version_of(lab, execution), 90)
    assert waiting["ModelApprovalStatus"] == "PendingManualApproval"
    lab.answer("Rejected")
    assert lab.ended(execution) == "Failed"
    version = decided(lab, execution)
    assert version["ModelApprovalStatus"] == "Rejected"
    assert version["ApprovalDescription"].startswith("DeployApproval ApproveDeploy failed by arn:")
    assert version["ApprovalDescription"].endswith(": Rejected by a test")


def test_a_model_that_the_smoke_test_fails_is_rejected_with_its_reason(lab: Lab) -> None:
    train = "".join(f"a,1.{n},0.{n}\nb,9.{n},8.{n}\n" for n in range(10))
    wrong = zip_of(
        {
            "train.csv": train,
            "validation.csv": "b,1.05,0.05\na,9.05,8.05\n",
            "data-contract.toml": 'schema_change = "allow"\n',
        }
    )
    execution = lab.upload(wrong)
    assert lab.ended(execution) == "Failed"
    version = decided(lab, execution)
    assert version["ModelApprovalStatus"] == "Rejected"
    assert "DeployDev SmokeTest failed: " in version["ApprovalDescription"]
    assert "below the minimum of 0.8" in version["ApprovalDescription"]


def test_a_model_that_cannot_be_deployed_is_rejected_although_it_was_approved(
    production: Lab, iris: bytes
) -> None:
    lab, iam = production, production.cloud.client("iam")
    before = lab.config_of(PRD)
    role = "mlops-iris-model-prd-execution-us-east-1"
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    nobody = {**trust, "Statement": [{**trust["Statement"][0], "Principal": {"Service": "x"}}]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(nobody))
    execution = lab.upload(iris)
    try:
        lab.answer("Approved")
        assert lab.ended(execution) == "Failed"
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    assert lab.state("DeployPrd", "Promote")["status"] == "Succeeded"
    version = rejected(lab, execution)
    assert version["ApprovalDescription"].startswith("DeployPrd Deploy failed: ")
    # The champion is the one that production still serves.
    assert lab.config_of(PRD) == before
    approved = [v for v in versions(lab) if v["ModelApprovalStatus"] == "Approved"]
    assert execution != approved[0]["CustomerMetadataProperties"]["PipelineExecutionId"]
    # All actions of the stage approve it again, and deploy it.
    lab.cloud.client("codepipeline").retry_stage_execution(
        pipelineName=lab.pipeline,
        stageName="DeployPrd",
        pipelineExecutionId=execution,
        retryMode="ALL_ACTIONS",
    )
    assert lab.ended(execution) == "Succeeded"
    assert lab.config_of(PRD) != before
    again = version_of(lab, execution)
    assert again is not None
    assert again["ModelApprovalStatus"] == "Approved"


def test_an_execution_that_does_not_train_registers_nothing(lab: Lab) -> None:
    before = [version["ModelPackageArn"] for version in versions(lab)]
    assert lab.ended(lab.upload(zip_of({}))) == "Failed"
    assert [version["ModelPackageArn"] for version in versions(lab)] == before
