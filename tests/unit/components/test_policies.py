"""The policies: rules for every policy document, and the most important grants."""

import json
from typing import Any

import cfnlint
import pytest

from components import build_policies, deploy_policies, policies, resource_policies
from components.naming import Names
from components.settings import NetworkSettings
from policy.rules import WITHOUT_RESOURCE

NAMES = Names("iris-model", "123456789012", "us-east-1")
PRODUCTION = NAMES.in_account("210987654321")
ROLE = NAMES.iam_arn("role/some")
KEY = NAMES.arn("kms", "key/1")
VPC = NetworkSettings(subnets=("subnet-01234567",), security_groups=("sg-01234567",))
DOCUMENTS = {
    "training": policies.training_role(NAMES, None, NetworkSettings()),
    "training under a key": policies.training_role(NAMES, KEY, VPC),
    "processing under keys": policies.processing_role(
        NAMES, KEY, VPC, captures=True, capture_key_arn=KEY
    ),
    "processing function": policies.document(
        policies.run_processing(NAMES, ROLE), policies.list_captures(NAMES, KEY)
    ),
    "evidence function": policies.document(policies.collect_evidence(NAMES, KEY)),
    "execution": policies.execution_role(
        NAMES,
        "prd",
        delivery=NAMES,
        delivered_under_key=False,
        capture_bucket=None,
        key_arn=None,
        network=NetworkSettings(),
    ),
    "execution in another account": policies.execution_role(
        PRODUCTION,
        "prd",
        delivery=NAMES,
        delivered_under_key=True,
        capture_bucket="captured",
        key_arn=KEY,
        network=VPC,
    ),
    "deploy": deploy_policies.deploy_role(
        NAMES,
        "prd",
        ROLE,
        rollback_alarms=["slow"],
        own_alarms=["silent"],
        scaling=True,
        versions_of=NAMES,
    ),
    "deploy without scaling": deploy_policies.deploy_role(
        NAMES, "dev", ROLE, rollback_alarms=[], own_alarms=[], scaling=False, versions_of=None
    ),
    "train function": policies.document(
        policies.report_job_results(),
        policies.write_function_logs(NAMES, "iris-model-train"),
        policies.run_training(NAMES, ROLE, arm64=False),
        policies.join_vpc(NAMES, VPC, policies.LAMBDA),
        policies.write_traces(),
    ),
    "smoke test function": policies.document(
        policies.report_job_results(),
        policies.write_function_logs(NAMES, "iris-model-smoke-test"),
        policies.invoke_endpoints(NAMES, ["iris-model-development"]),
        policies.assume_roles([ROLE]),
    ),
    "trigger": policies.start_pipeline(NAMES, NAMES.pipeline),
    "pipeline": policies.document(
        policies.read_sources(NAMES, [("data", "dataset.zip"), ("template", "template.zip")]),
        policies.use_artifact_store(NAMES, KEY),
        policies.deploy_stacks(NAMES, ["mlops-deploy-iris-model-dev"], [ROLE]),
    ),
    "image pipeline": build_policies.pipeline_role(NAMES, KEY, None, arm64=True),
    "image pipeline with a connection": build_policies.pipeline_role(
        NAMES, KEY, NAMES.arn("codeconnections", "connection/1"), arm64=False
    ),
    "image build": build_policies.build_role(
        NAMES, None, NAMES.image_build, scans=True, releases=[NAMES.image_parameter]
    ),
}


def statements(document: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


def actions(name: str) -> set[str]:
    return {action for s in statements(DOCUMENTS[name]) for action in s["Action"]}


def lint(document: str) -> list[str]:
    policy = {"PolicyDocument": json.loads(document)}
    template = {"Resources": {"Policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy}}}
    config = cfnlint.ManualArgs(regions=["us-east-1"])
    return [match.rule.id for match in cfnlint.lint(json.dumps(template), config=config)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_action_is_a_wildcard(name: str) -> None:
    assert [a for a in actions(name) if "*" in a or ":" not in a] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_only_actions_without_a_resource_level_are_allowed_on_everything(name: str) -> None:
    on_everything = {
        action
        for statement in statements(DOCUMENTS[name])
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert on_everything - WITHOUT_RESOURCE == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_role_is_passed_to_one_named_service(name: str) -> None:
    for statement in statements(DOCUMENTS[name]):
        if "iam:PassRole" in statement["Action"]:
            assert statement["Action"] == ["iam:PassRole"]
            assert statement["Resource"] == [ROLE]
            assert list(statement["Condition"]["StringEquals"]) == ["iam:PassedToService"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_action_is_one_that_iam_knows(name: str) -> None:
    assert lint(DOCUMENTS[name]) == []


def test_an_action_that_iam_does_not_know_is_detected() -> None:
    document = policies.document(policies.allow(["sagemaker:MakeEndpoint"], [ROLE]))
    assert lint(document) == ["W3037"]


def test_metrics_go_to_one_namespace() -> None:
    (statement,) = [
        s for s in statements(DOCUMENTS["training"]) if "cloudwatch:PutMetricData" in s["Action"]
    ]
    assert statement["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}
    }


def test_a_deploy_without_scaling_grants_nothing_of_scaling() -> None:
    assert {a for a in actions("deploy without scaling") if a.startswith("application-")} == set()
    assert "sagemaker:UpdateEndpointWeightsAndCapacities" in actions("deploy")


def test_functions_have_no_access_to_buckets() -> None:
    both = actions("train function") | actions("smoke test function")
    assert {a for a in both if a.startswith("s3:")} == set()


def test_training_writes_models_but_no_artifacts() -> None:
    (statement,) = [s for s in statements(DOCUMENTS["training"]) if "s3:PutObject" in s["Action"]]
    assert statement["Resource"] == [
        "arn:aws:s3:::mlops-iris-model-artifacts-123456789012-us-east-1/training/*"
    ]


def test_a_trust_policy_names_the_account_that_the_service_acts_for() -> None:
    assert statements(policies.trust(NAMES, policies.SAGEMAKER)) == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    ]


def test_a_bucket_refuses_requests_without_tls() -> None:
    (statement,) = statements(resource_policies.bucket("arn:aws:s3:::bucket"))
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_key_may_be_used_only_through_s3() -> None:
    (statement,) = [
        s for s in statements(DOCUMENTS["training under a key"]) if "kms:Decrypt" in s["Action"]
    ]
    assert statement["Resource"] == [KEY]
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}
    }
    assert {a for a in actions("training") if a.startswith("kms:")} == set()


def test_an_endpoint_in_another_account_loads_the_model_from_the_delivery_account() -> None:
    granted = {
        action: statement
        for statement in statements(DOCUMENTS["execution in another account"])
        for action in statement["Action"]
    }
    assert granted["s3:GetObject"]["Resource"] == [
        "arn:aws:s3:::mlops-iris-model-artifacts-123456789012-us-east-1/training/*"
    ]
    assert granted["s3:PutObject"]["Resource"] == ["arn:aws:s3:::captured/capture/*"]
    assert granted["ecr:BatchGetImage"]["Resource"] == [
        "arn:aws:ecr:us-east-1:123456789012:repository/iris-model"
    ]


def test_a_role_of_another_account_is_named_by_a_condition() -> None:
    (statement,) = statements(policies.trust_role(NAMES, "pipeline"))
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert statement["Condition"] == {
        "ArnEquals": {
            "aws:PrincipalArn": (
                "arn:aws:iam::123456789012:role/mlops-iris-model-pipeline-us-east-1"
            )
        }
    }


def test_alarms_of_this_account_publish_and_so_do_rules() -> None:
    alarms, rules = statements(
        resource_policies.topic(NAMES, "arn:t", resource_policies.PUBLISHERS)
    )
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"}
    }
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in rules


def test_a_key_is_shared_only_with_three_roles_of_the_other_account() -> None:
    shared = statements(resource_policies.key(NAMES, share_with=PRODUCTION))
    assert len(statements(resource_policies.key(NAMES, share_with=None))) == len(shared) - 2

    def role(purpose: str) -> str:
        return f"arn:aws:iam::210987654321:role/mlops-iris-model-{purpose}-us-east-1"

    assert shared[-2]["Principal"] == {"AWS": [role("prd-delivery"), role("prd-execution")]}
    # KMS refuses a policy that names a role which does not exist.
    assert shared[-1]["Principal"] == {"AWS": "arn:aws:iam::210987654321:root"}
    assert shared[-1]["Action"] == ["kms:Decrypt"]
    assert shared[-1]["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": role("prd-monitor-job")},
        "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
    }
