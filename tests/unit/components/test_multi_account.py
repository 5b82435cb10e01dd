"""Production in a separate account: the grants between both accounts, checked on both sides."""

import json
from functools import cache
from typing import Any

import pulumi
import pytest

from tests.unit.components.recording import ACCOUNT, REGION, Recording, record

# The mocks represent one account; the other account exists only as a number in the settings.
OTHER = "210987654321"
KMS = {"encryption": "aws:kms"}
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def arn(account: str, role: str) -> str:
    return f"arn:aws:iam::{account}:role/mlops-iris-model-{role}-{REGION}"


@cache
def production() -> Recording:
    """Return the production stack of this account; the pipeline is in the other account."""
    return record("prd", {"deliveryAccount": OTHER, **KMS})


@cache
def delivery() -> Recording:
    """Return the dev stack of this account; production is in the other account."""
    return record(
        "dev", {"productionAccount": OTHER, **KMS}, production=outputs_of_the_other_account()
    )


def outputs_of_the_other_account() -> dict[str, str]:
    exports = record("prd", {"deliveryAccount": OTHER, **KMS}).exports
    return {
        key: value.replace(ACCOUNT, OTHER)
        for key, value in exports.items()
        if isinstance(value, str)
    }


def statements(recording: Recording, type_: str, name: str) -> list[dict[str, Any]]:
    document = recording.one(type_, name).inputs["policy"]
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


def granted(recording: Recording, name: str) -> dict[str, list[str]]:
    """Return action → resources of a role's policy."""
    found: dict[str, list[str]] = {}
    for statement in statements(recording, ROLE_POLICY, name):
        for action in statement["Action"]:
            found.setdefault(action, []).extend(statement["Resource"])
    return found


def test_production_lets_the_pipelines_role_deliver_and_the_smoke_test_invoke() -> None:
    trusted = {
        r.name: json.loads(r.inputs["assumeRolePolicy"])["Statement"][0]
        for r in production().of("aws:iam/role:Role")
        if r.name.startswith("prd-access")
    }
    assert {
        name: (s["Principal"]["AWS"], s["Condition"]["ArnEquals"]["aws:PrincipalArn"])
        for name, s in trusted.items()
    } == {
        "prd-access-delivery-role": (f"arn:aws:iam::{OTHER}:root", arn(OTHER, "pipeline")),
        "prd-access-invoke-role": (f"arn:aws:iam::{OTHER}:root", arn(OTHER, "smoke-test")),
    }


def test_the_delivery_role_deploys_here_from_artifacts_of_the_other_account() -> None:
    grants = granted(production(), "prd-access-delivery-policy")
    assert grants["cloudformation:CreateStack"] == [
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/mlops-deploy-iris-model-prd/*"
    ]
    assert grants["iam:PassRole"] == [arn(ACCOUNT, "prd-deploy")]
    artifacts = f"arn:aws:s3:::mlops-iris-model-artifacts-{OTHER}-{REGION}/*"
    assert grants["s3:PutObject"] == [artifacts]
    assert artifacts in grants["s3:GetObject"]
    assert f"arn:aws:kms:{REGION}:{OTHER}:key/*" in grants["kms:GenerateDataKey"]


def test_the_endpoint_loads_model_and_image_from_the_delivery_account() -> None:
    grants = granted(production(), "prd-execution-policy")
    assert grants["s3:GetObject"] == [
        f"arn:aws:s3:::mlops-iris-model-artifacts-{OTHER}-{REGION}/training/*"
    ]
    assert grants["ecr:BatchGetImage"] == [f"arn:aws:ecr:{REGION}:{OTHER}:repository/iris-model"]
    assert f"arn:aws:kms:{REGION}:{OTHER}:key/*" in grants["kms:Decrypt"]


def test_production_exports_the_roles_to_assume() -> None:
    assert production().exports["deliveryRoleArn"] == arn(ACCOUNT, "prd-delivery")
    assert production().exports["invokeRoleArn"] == arn(ACCOUNT, "prd-invoke")


def test_the_pipeline_assumes_productions_role_and_has_no_other_grants_there() -> None:
    stages = delivery().one("aws:codepipeline/pipeline:Pipeline", "delivery").inputs["stages"]
    acting = {
        a["name"]: a["roleArn"] for stage in stages for a in stage["actions"] if "roleArn" in a
    }
    assert acting == {
        "PrdTemplate": arn(OTHER, "prd-delivery"),
        "Deploy": arn(OTHER, "prd-delivery"),
    }
    grants = granted(delivery(), "pipeline-policy")
    assert grants["sts:AssumeRole"] == [arn(OTHER, "prd-delivery")]
    others = {action: [r for r in resources if OTHER in r] for action, resources in grants.items()}
    assert {action for action, resources in others.items() if resources} == {"sts:AssumeRole"}


def test_the_smoke_test_may_assume_the_invoke_role() -> None:
    grants = granted(delivery(), "smoke-test-policy")
    assert grants["sts:AssumeRole"] == [arn(OTHER, "prd-invoke")]
    assert grants["sagemaker:InvokeEndpoint"] == [
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/iris-model-development"
    ]


def role_of(statement: dict[str, Any]) -> str:
    """Return the role that a statement is for: its principal, or its condition's on the account."""
    principal = str(statement["Principal"]["AWS"])
    if principal != f"arn:aws:iam::{OTHER}:root":
        return principal
    return str(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"])


def test_the_artifact_bucket_is_shared_with_three_roles_and_the_data_lake_with_none() -> None:
    policy = "aws:s3/bucketPolicy:BucketPolicy"
    shared = statements(delivery(), policy, "artifacts-policy")[1:]
    assert {role_of(statement) for statement in shared} == {
        arn(OTHER, "prd-delivery"),
        arn(OTHER, "prd-execution"),
        arn(OTHER, "prd-monitor-job"),
    }
    assert len(statements(delivery(), policy, "lake-data-policy")) == 1
    assert len(statements(delivery(), policy, "dev-template-policy")) == 1


def test_the_key_and_the_image_are_shared_too() -> None:
    policy = json.loads(delivery().one("aws:kms/key:Key").inputs["policy"])["Statement"]
    key, monitor = policy[-2:]
    assert key["Principal"]["AWS"] == [arn(OTHER, "prd-delivery"), arn(OTHER, "prd-execution")]
    assert role_of(monitor) == arn(OTHER, "prd-monitor-job")
    pulls = statements(delivery(), "aws:ecr/repositoryPolicy:RepositoryPolicy", "images-share")
    roles = ("prd-execution", "prd-monitor-job")
    assert [role_of(pull) for pull in pulls] == [arn(OTHER, role) for role in roles]


def test_artifacts_are_encrypted_with_the_shared_key() -> None:
    (store,) = (
        delivery().one("aws:codepipeline/pipeline:Pipeline", "delivery").inputs["artifactStores"]
    )
    assert store["encryptionKey"]["type"] == "KMS"
    assert ":key/" in store["encryptionKey"]["id"]


def test_in_one_account_nothing_is_shared() -> None:
    alone = record("dev")
    assert alone.of("aws:ecr/repositoryPolicy:RepositoryPolicy") == []
    assert alone.of("aws:kms/key:Key") == []
    assert "sts:AssumeRole" not in granted(alone, "pipeline-policy")
    assert len(statements(alone, "aws:s3/bucketPolicy:BucketPolicy", "artifacts-policy")) == 1


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (
            {"deployRoleArn": arn("333333333333", "prd-deploy")},
            "set productionAccount to 333333333333",
        ),
        ({"deliveryRoleArn": ""}, f"set its deliveryAccount to {ACCOUNT}"),
        ({"encryptionKeyArn": ""}, "set the same encryption in both stacks"),
        ({"imageArchitecture": "arm64"}, "set arm64Image to true in this stack"),
    ],
)
def test_a_production_that_does_not_fit_is_refused(outputs: dict[str, str], said: str) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        record(
            "dev",
            {"productionAccount": OTHER, **KMS},
            production={**outputs_of_the_other_account(), **outputs},
        )
