"""Rules for every resource of both stacks."""

import json
import re

import pytest

from policy.rules import UNTAGGED
from tests.unit.components.recording import (
    ACCOUNT,
    PRODUCTION_OUTPUTS,
    REGION,
    Registration,
    record,
    recorded,
)

STACKS = ("prd", "dev")
BUCKET = "aws:s3/bucket:Bucket"


def aws_resources(stack: str) -> list[Registration]:
    return [r for r in recorded(stack).registrations if r.type.startswith("aws:")]


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_belongs_to_a_component(stack: str) -> None:
    orphans = [r.label for r in aws_resources(stack) if "mlops:index:" not in r.parent]
    assert orphans == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_taggable_resource_has_the_stacks_tags(stack: str) -> None:
    expected = {
        "project": "mlops-lab",
        "stack": stack,
        "model": "iris-model",
        "environment": stack,
        "owner": "ml-platform",
        "cost-centre": {"dev": "ml-research", "prd": "ml-products"}[stack],
        "managed-by": "pulumi",
    }
    wrong = [
        r.label
        for r in aws_resources(stack)
        if r.type not in UNTAGGED and r.inputs.get("tags") != expected
    ]
    assert wrong == []


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("BucketVersioning", {"versioningConfiguration": {"status": "Enabled"}}),
        (
            "BucketServerSideEncryptionConfiguration",
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        ),
        (
            "BucketPublicAccessBlock",
            {
                "blockPublicAcls": True,
                "blockPublicPolicy": True,
                "ignorePublicAcls": True,
                "restrictPublicBuckets": True,
            },
        ),
        ("BucketOwnershipControls", {"rule": {"objectOwnership": "BucketOwnerEnforced"}}),
    ],
)
def test_every_bucket_has_each_safeguard(
    stack: str, type_: str, expected: dict[str, object]
) -> None:
    token = f"aws:s3/{type_[0].lower()}{type_[1:]}:{type_}"
    found = {
        r.inputs["bucket"]: {k: v for k, v in r.inputs.items() if k != "bucket"}
        for r in recorded(stack).of(token)
    }
    buckets = [r.inputs["bucket"] for r in recorded(stack).of(BUCKET)]
    assert found == dict.fromkeys(buckets, expected)


@pytest.mark.parametrize("stack", STACKS)
def test_every_bucket_requires_tls_and_has_a_lifecycle(stack: str) -> None:
    buckets = {r.inputs["bucket"] for r in recorded(stack).of(BUCKET)}
    refused = {
        r.inputs["bucket"]: json.loads(r.inputs["policy"])["Statement"][0]["Condition"]
        for r in recorded(stack).of("aws:s3/bucketPolicy:BucketPolicy")
    }
    assert set(refused) == buckets
    assert [c for c in refused.values() if c != {"Bool": {"aws:SecureTransport": "false"}}] == []
    lifecycle = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    assert {r.inputs["bucket"] for r in recorded(stack).of(lifecycle)} == buckets


def test_the_buckets_have_their_contractual_names() -> None:
    names = [r.inputs["bucket"] for stack in STACKS for r in recorded(stack).of(BUCKET)]
    assert sorted(names) == [
        f"mlops-iris-model-{purpose}-{ACCOUNT}-{REGION}"
        for purpose in ("artifacts", "capture-prd", "data", "template-dev", "template-prd")
    ]


def test_role_names_fit_and_are_unique_over_both_stacks() -> None:
    roles = [r.inputs["name"] for s in STACKS for r in recorded(s).of("aws:iam/role:Role")]
    assert len(set(roles)) == len(roles)
    # Another model name and region may take 6 + 4 characters more.
    assert [role for role in roles if len(role) > 64 - 10] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_role_has_the_path_and_the_boundary_of_the_settings(stack: str) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/team/boundary"
    outputs = {k: v.replace(":role/", ":role/mlops/") for k, v in PRODUCTION_OUTPUTS.items()}
    settings = {"rolePath": "/mlops/", "permissionsBoundary": boundary}
    recording = record(stack, settings, production=outputs)
    for role in recording.of("aws:iam/role:Role"):
        limits = (role.inputs["path"], role.inputs["permissionsBoundary"])
        assert limits == ("/mlops/", boundary), role.label
    # Wherever a role is named, its ARN has the path.
    text = json.dumps([r.inputs for r in recording.registrations], default=str)
    named = re.findall(r":role/[\w/*+=,.@-]+", text)
    assert {name.rpartition("/")[0] for name in named} <= {
        ":role/mlops",
        ":role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com",
    }
    assert ":role/mlops/mlops-iris-model" in text


@pytest.mark.parametrize("stack", STACKS)
def test_no_policy_has_a_wildcard_action(stack: str) -> None:
    policies = recorded(stack).of("aws:iam/rolePolicy:RolePolicy")
    granted = {
        action
        for policy in policies
        for statement in json.loads(policy.inputs["policy"])["Statement"]
        for action in statement["Action"]
    }
    assert len(policies) == len(recorded(stack).of("aws:iam/role:Role"))
    assert [action for action in granted if "*" in action] == []


@pytest.mark.parametrize("stack", STACKS)
def test_on_aws_the_default_provider_is_used(stack: str) -> None:
    assert recorded(stack).of("pulumi:providers:aws") == []
    assert {r.provider for r in recorded(stack).registrations} == {""}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
        ({"LOCALSTACK_HOST": "localhost"}, "http://localhost:4566"),
    ],
)
def test_every_resource_goes_to_the_endpoint_that_the_environment_names(
    environ: dict[str, str], url: str
) -> None:
    there = record("dev", environ=environ)
    provider = there.one("pulumi:providers:aws")
    assert set(json.loads(provider.inputs["endpoints"])[0].values()) == {url}
    assert provider.inputs["s3UsePathStyle"] == "true"
    assert provider.inputs["region"] == REGION
    used = {r.provider for r in there.registrations if r.type.startswith("aws:")}
    assert [urn.split("::")[-2] for urn in used] == ["endpoint"]


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_is_in_an_export_or_in_an_input(stack: str) -> None:
    environ = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_SESSION_TOKEN": "hunter3",
    }
    there = record(stack, environ=environ)
    text = repr([there.exports, [(r.name, r.inputs) for r in there.registrations]])
    assert "hunter" not in text
    # The exports are names, addresses and an estimate.
    assert [key for key in there.exports if re.search("secret|password|token", key, re.I)] == []
