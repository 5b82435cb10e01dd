"""Each grant of each role with the resources that it names: a wider scope is a failure.

The resources are written out, not derived from `components.naming`, so that a change of either is
noticed here. Actions without a resource level are tested beside the other rules.
"""

from __future__ import annotations

import json

import pytest

from components import build_policies, deploy_policies, policies
from components.naming import Names
from components.settings import NetworkSettings

NAMES = Names("iris-model", "123456789012", "us-east-1")
ROLE = NAMES.iam_arn("role/some")
ARTIFACTS = "arn:aws:s3:::mlops-iris-model-artifacts-123456789012-us-east-1"
CAPTURED = "arn:aws:s3:::mlops-iris-model-capture-prd-123456789012-us-east-1"
HERE = "us-east-1:123456789012"
REPOSITORY = f"arn:aws:ecr:{HERE}:repository/iris-model"
PULLED = {
    "ecr:BatchCheckLayerAvailability": {REPOSITORY},
    "ecr:BatchGetImage": {REPOSITORY},
    "ecr:GetDownloadUrlForLayer": {REPOSITORY},
}
Grants = dict[str, set[str]]


def container_logs(group: str) -> Grants:
    """Return what a container of SageMaker needs to write to log groups."""
    whole = f"arn:aws:logs:{HERE}:log-group:/aws/sagemaker/{group}"
    return {
        "logs:CreateLogGroup": {whole, f"{whole}:*"},
        "logs:DescribeLogStreams": {whole, f"{whole}:*"},
        "logs:CreateLogStream": {f"{whole}:log-stream:*"},
        "logs:PutLogEvents": {f"{whole}:log-stream:*"},
    }


def execution(capture_bucket: str | None) -> str:
    return policies.execution_role(
        NAMES,
        "prd",
        delivery=NAMES,
        delivered_under_key=False,
        capture_bucket=capture_bucket,
        key_arn=None,
        network=NetworkSettings(),
    )


DELIVERY = NAMES.in_account("210987654321")
DELIVERED_VERSIONS = "arn:aws:sagemaker:us-east-1:210987654321:model-package/iris-model/*"
CONFIGS = f"arn:aws:sagemaker:{HERE}:endpoint-config/*"
GENERATED = {f"arn:aws:sagemaker:{HERE}:model/*", CONFIGS}
ENDPOINT = f"arn:aws:sagemaker:{HERE}:endpoint/iris-model-production"
LOGS_OF_BUILD = f"arn:aws:logs:{HERE}:log-group:/aws/codebuild/iris-model-image:*"
LOGS_OF_FUNCTION = f"arn:aws:logs:{HERE}:log-group:/aws/lambda/iris-model-train:*"
PIPELINE = f"arn:aws:codepipeline:{HERE}:iris-model-pipeline"
VERSIONS = f"arn:aws:sagemaker:{HERE}:model-package/iris-model/*"
TRAINING_JOBS = {f"arn:aws:sagemaker:{HERE}:training-job/iris-model-*"}

SCOPES: dict[str, tuple[str, Grants]] = {
    "training": (
        policies.training_role(NAMES, None, NetworkSettings()),
        {
            "s3:ListBucket": {ARTIFACTS},
            # The pipeline's name, cut to 20 characters, is where CodePipeline files artifacts.
            "s3:GetObject": {f"{ARTIFACTS}/iris-model-*"},
            "s3:PutObject": {f"{ARTIFACTS}/training/*"},
            **PULLED,
            **container_logs("TrainingJobs"),
        },
    ),
    "execution": (
        execution(None),
        {
            "s3:GetObject": {f"{ARTIFACTS}/training/*"},
            **PULLED,
            **container_logs("Endpoints/iris-model-production"),
        },
    ),
    "execution with capture": (
        execution("captured"),
        {
            "s3:GetObject": {f"{ARTIFACTS}/training/*"},
            "s3:PutObject": {"arn:aws:s3:::captured/capture/*"},
            **PULLED,
            **container_logs("Endpoints/iris-model-production"),
        },
    ),
    "deploy": (
        deploy_policies.deploy_role(
            NAMES,
            "prd",
            ROLE,
            rollback_alarms=["slow"],
            own_alarms=[],
            scaling=False,
            versions_of=DELIVERY,
        ),
        {
            "sagemaker:CreateEndpointConfig": GENERATED,
            "sagemaker:CreateModel": {*GENERATED, DELIVERED_VERSIONS},
            "sagemaker:DescribeModelPackage": {DELIVERED_VERSIONS},
            "sagemaker:DeleteEndpointConfig": GENERATED,
            "sagemaker:DeleteModel": GENERATED,
            "sagemaker:DescribeEndpointConfig": GENERATED,
            "sagemaker:DescribeModel": GENERATED,
            "sagemaker:CreateEndpoint": {ENDPOINT, CONFIGS},
            "sagemaker:UpdateEndpoint": {ENDPOINT, CONFIGS},
            "sagemaker:DeleteEndpoint": {ENDPOINT},
            "sagemaker:DescribeEndpoint": {ENDPOINT},
            "sagemaker:AddTags": {ENDPOINT, *GENERATED},
            "sagemaker:DeleteTags": {ENDPOINT, *GENERATED},
            "sagemaker:ListTags": {ENDPOINT, *GENERATED},
            "iam:PassRole": {ROLE},
            "cloudwatch:DescribeAlarms": {f"arn:aws:cloudwatch:{HERE}:alarm:slow"},
        },
    ),
    "processing": (
        policies.processing_role(NAMES, None, NetworkSettings(), captures=True),
        {
            "s3:ListBucket": {ARTIFACTS},
            "s3:GetObject": {
                f"{ARTIFACTS}/iris-model-*",
                f"{ARTIFACTS}/training/*",
                f"{ARTIFACTS}/reports/*",
                f"{CAPTURED}/capture/*",
            },
            "s3:PutObject": {f"{ARTIFACTS}/reports/*"},
            **PULLED,
            **container_logs("ProcessingJobs"),
        },
    ),
    "processing function": (
        policies.document(policies.list_captures(NAMES, None)),
        {
            "s3:ListBucket": {CAPTURED},
            "s3:PutObject": {f"{ARTIFACTS}/reports/*/captures.manifest"},
        },
    ),
    "evidence function": (
        policies.document(policies.collect_evidence(NAMES, None)),
        {
            "codepipeline:GetPipelineExecution": {PIPELINE},
            "codepipeline:ListActionExecutions": {PIPELINE},
            "sagemaker:DescribeModelPackage": {VERSIONS},
            "sagemaker:UpdateModelPackage": {VERSIONS},
            "sagemaker:DescribeTrainingJob": TRAINING_JOBS,
            "ecr:DescribeImages": {REPOSITORY},
            "s3:GetObject": {
                f"{ARTIFACTS}/reports/*/{name}.json"
                for name in ("check", "evaluation", "rehearsal")
            },
            "s3:PutObject": {
                f"{ARTIFACTS}/reports/version-*/evidence.{kind}" for kind in ("json", "html")
            },
        },
    ),
    "train function": (
        policies.document(
            policies.write_function_logs(NAMES, "iris-model-train"),
            policies.run_training(NAMES, ROLE, arm64=False),
        ),
        {
            "logs:CreateLogStream": {LOGS_OF_FUNCTION},
            "logs:PutLogEvents": {LOGS_OF_FUNCTION},
            "sagemaker:AddTags": TRAINING_JOBS,
            "sagemaker:CreateTrainingJob": TRAINING_JOBS,
            "sagemaker:DescribeTrainingJob": TRAINING_JOBS,
            "ssm:GetParameter": {f"arn:aws:ssm:{HERE}:parameter/mlops/iris-model/image"},
            "iam:PassRole": {ROLE},
        },
    ),
    "image build": (
        build_policies.build_role(
            NAMES, None, NAMES.image_build, scans=True, releases=[NAMES.image_parameter]
        ),
        {
            "s3:GetBucketAcl": {ARTIFACTS},
            "s3:GetBucketLocation": {ARTIFACTS},
            "s3:GetObject": {f"{ARTIFACTS}/*"},
            "s3:GetObjectVersion": {f"{ARTIFACTS}/*"},
            "s3:PutObject": {f"{ARTIFACTS}/*"},
            "logs:CreateLogStream": {LOGS_OF_BUILD},
            "logs:PutLogEvents": {LOGS_OF_BUILD},
            "ecr:BatchCheckLayerAvailability": {REPOSITORY},
            "ecr:BatchGetImage": {REPOSITORY},
            "ecr:DescribeImageScanFindings": {REPOSITORY},
            "ecr:CompleteLayerUpload": {REPOSITORY},
            "ecr:InitiateLayerUpload": {REPOSITORY},
            "ecr:PutImage": {REPOSITORY},
            "ecr:UploadLayerPart": {REPOSITORY},
            "ssm:PutParameter": {f"arn:aws:ssm:{HERE}:parameter/mlops/iris-model/image"},
        },
    ),
}


def grants(document: str) -> Grants:
    """Return the resources of each action that is not allowed on everything."""
    found: Grants = {}
    for statement in json.loads(document)["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            if statement["Resource"] != ["*"]:
                found.setdefault(action, set()).update(statement["Resource"])
    return found


@pytest.mark.parametrize("role", SCOPES)
def test_a_role_may_use_these_resources_and_no_others(role: str) -> None:
    document, expected = SCOPES[role]
    assert expected == grants(document)


@pytest.mark.parametrize("service", [policies.SAGEMAKER, policies.LAMBDA])
def test_the_network_interfaces_of_a_vpc_are_those_of_the_account(service: str) -> None:
    network = NetworkSettings(subnets=("subnet-01234567",), security_groups=("sg-01234567",))
    found = grants(policies.document(policies.join_vpc(NAMES, network, service)))
    assert {"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"} <= set(found)
    assert {resource for resources in found.values() for resource in resources} == {
        f"arn:aws:ec2:{HERE}:*/*"
    }
    assert policies.join_vpc(NAMES, NetworkSettings(), service) == []


def test_the_pipeline_reads_its_sources_by_key_and_keeps_its_artifacts_in_one_bucket() -> None:
    sources = policies.document(policies.read_sources(NAMES, [("data", "dataset.zip")]))
    buckets = ("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning")
    reads = ("s3:GetObject", "s3:GetObjectVersion")
    tags = ("s3:GetObjectTagging", "s3:GetObjectVersionTagging")
    assert grants(sources) == {
        **{action: {"arn:aws:s3:::data"} for action in buckets},
        **{action: {"arn:aws:s3:::data/dataset.zip"} for action in (*reads, *tags)},
    }
    assert grants(policies.document(policies.use_artifact_store(NAMES, None))) == {
        **{action: {ARTIFACTS} for action in buckets},
        **{action: {f"{ARTIFACTS}/*"} for action in (*reads, "s3:PutObject")},
    }


def test_stacks_are_deployed_by_name_and_endpoints_asked_by_name() -> None:
    stacks = policies.document(policies.deploy_stacks(NAMES, ["one"], [ROLE]))
    stack = {f"arn:aws:cloudformation:{HERE}:stack/one/*"}
    assert grants(stacks) == {
        "cloudformation:CreateStack": stack,
        "cloudformation:DescribeStackEvents": stack,
        "cloudformation:DescribeStackResources": stack,
        "cloudformation:DescribeStacks": stack,
        "cloudformation:UpdateStack": stack,
        "iam:PassRole": {ROLE},
    }
    asked = policies.document(policies.invoke_endpoints(NAMES, ["iris-model-production"]))
    assert grants(asked) == {
        "sagemaker:DescribeEndpoint": {ENDPOINT},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
    }
    replaced = policies.document(policies.deploy_stacks(NAMES, [], [], replaced=["one"]))
    assert grants(replaced)["cloudformation:DeleteStack"] == stack
