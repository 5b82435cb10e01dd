"""The model registry: what each execution makes of its model, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import wait_for
from tests.e2e.conftest import PRD, Lab, cloud_of_its_own, deployed

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
    assert container["ModelDataUrl"] == served["PrimaryContainer"]["ModelDataUrl"]
    assert container["Image"] == served["PrimaryContainer"]["Image"]
    about = version["CustomerMetadataProperties"]
    job = sagemaker.describe_training_job(TrainingJobName=about["TrainingJobName"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == container["ModelDataUrl"]
    assert about["Metric"] == "accuracy"


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


def test_an_execution_that_does_not_train_registers_nothing(lab: Lab) -> None:
    before = [version["ModelPackageArn"] for version in versions(lab)]
    assert lab.ended(lab.upload(zip_of({}))) == "Failed"
    assert [version["ModelPackageArn"] for version in versions(lab)] == before
