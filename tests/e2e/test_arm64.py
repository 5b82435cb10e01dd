"""Endpoints on Arm: both images from one commit, and each endpoint gets the one that it can run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import (
    DEV,
    PRD,
    Lab,
    build_image,
    cloud_of_its_own,
    localcloud,
    localcloud_answer,
    needs_git,
)

pytestmark = [
    needs_git,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.aws_documented(
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
        "API_AdditionalInferenceSpecificationDefinition.html"
    ),
]

ARM = ("--config", "instanceType=ml.c8g.large")
PARAMETER = "/mlops/iris-model/image"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab with both endpoints on Arm, on a cloud that enforces IAM."""
    with cloud_of_its_own(tmp_path_factory.mktemp("arm"), speed=240.0, iam="enforce") as cloud:
        localcloud(cloud.url, "up", "prd", *ARM)
        refused = localcloud_answer(cloud.url, "up", "dev")
        assert refused.returncode == 1
        assert "set arm64Image to true in this stack" in refused.stderr
        localcloud(cloud.url, "up", "dev", *ARM, "--config", "arm64Image=true")
        outputs = json.loads(cloud.get("/_localcloud/stacks/mlops-lab/dev")[1])["outputs"]
        yield Lab(cloud, outputs)


def test_a_model_is_served_on_arm_in_both_environments(
    lab: Lab, iris: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert build_image(lab, tmp_path_factory.mktemp("source")) == "Succeeded"
    ssm, sagemaker = lab.cloud.client("ssm"), lab.cloud.client("sagemaker")
    released = [
        ssm.get_parameter(Name=name)["Parameter"]["Value"]
        for name in (PARAMETER, f"{PARAMETER}-arm64")
    ]
    assert all("@sha256:" in image for image in released)
    assert released[0] != released[1]
    assert lab.deliver(iris) == "Succeeded"
    containers = {}
    for endpoint in (DEV, PRD):
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=lab.config_of(endpoint) or ""
        )
        (variant,) = config["ProductionVariants"]
        assert variant["InstanceType"] == "ml.c8g.large"
        model = sagemaker.describe_model(ModelName=variant["ModelName"])
        containers[endpoint] = model["PrimaryContainer"]
    assert containers[DEV]["Image"] == released[1]
    assert containers[PRD]["InferenceSpecificationName"] == "arm64"
    version = sagemaker.describe_model_package(ModelPackageName=containers[PRD]["ModelPackageName"])
    (further,) = version["AdditionalInferenceSpecifications"]
    assert further["Containers"][0]["Image"] == released[1]
    assert version["InferenceSpecification"]["Containers"][0]["Image"] == released[0]
    answer = lab.cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=PRD, ContentType="text/csv", Body=b"5.1,3.5,1.4,0.2"
    )
    assert answer["Body"].read().startswith(b"setosa")


def test_no_role_lacked_a_permission(lab: Lab) -> None:
    roles = json.loads(localcloud_answer(lab.cloud.url, "iam", "--json").stdout)
    assert {role["role"]: role["missing"] for role in roles if role["missing"]} == {}
