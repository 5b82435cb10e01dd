"""Permissions that SageMaker's jobs and registry require of a role."""

from typing import Any

import pytest

from localcloud.aws.routing import Scope
from localcloud.iam.actions import permissions

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html"
)

SCOPE = Scope()
ROLE = "arn:aws:iam::000000000000:role/r"
PASS_ROLE = ("iam:PassRole", ROLE)


def needed(operation: str, **parameters: Any) -> list[tuple[str, str | None]]:
    found = permissions("sagemaker", operation, parameters, SCOPE)
    return [(permission.action, permission.resource) for permission in found]


def arn(resource: str) -> str:
    return SCOPE.arn("sagemaker", resource)


@pytest.mark.parametrize("name", ["Group/2", arn("model-package/group/2")])
def test_a_package_is_the_same_resource_by_its_name_and_by_its_arn(name: str) -> None:
    expected = [("sagemaker:DescribeModelPackage", arn("model-package/group/2"))]
    assert expected == needed("DescribeModelPackage", ModelPackageName=name)


def test_a_package_of_another_account_is_that_accounts() -> None:
    other = "arn:aws:sagemaker:us-east-1:111111111111:model-package"
    assert needed("DescribeModelPackage", ModelPackageName=f"{other}/group/2") == [
        ("sagemaker:DescribeModelPackage", f"{other}/group/2")
    ]
    group = f"{other}-group/group"
    assert needed("ListModelPackages", ModelPackageGroupName=group) == [
        ("sagemaker:ListModelPackages", f"{other}/group/*")
    ]
    assert needed("DescribeModelPackageGroup", ModelPackageGroupName=group) == [
        ("sagemaker:DescribeModelPackageGroup", group)
    ]


@pytest.mark.parametrize("name", ["Group/2", arn("model-package/group/2")])
def test_a_model_requires_the_version_that_it_runs(name: str) -> None:
    expected = [
        ("sagemaker:CreateModel", arn("model/m")),
        ("sagemaker:CreateModel", arn("model-package/group/2")),
    ]
    container = {"ModelPackageName": name}
    assert expected == needed("CreateModel", ModelName="M", PrimaryContainer=container)
    assert expected == needed("CreateModel", ModelName="M", Containers=[container])


def test_a_new_version_is_any_of_its_group() -> None:
    expected = [
        ("sagemaker:CreateModelPackage", arn("model-package/group/*")),
        ("sagemaker:AddTags", arn("model-package/group/*")),
    ]
    tags = [{"Key": "a", "Value": "b"}]
    assert expected == needed("CreateModelPackage", ModelPackageGroupName="Group", Tags=tags)


def test_a_tuning_job_hands_over_the_role_of_its_training_jobs() -> None:
    found = needed(
        "CreateHyperParameterTuningJob",
        HyperParameterTuningJobName="Tune",
        TrainingJobDefinition={"RoleArn": ROLE},
    )
    job = ("sagemaker:CreateHyperParameterTuningJob", arn("hyper-parameter-tuning-job/tune"))
    assert [job, PASS_ROLE] == found


def test_a_transform_job_needs_its_action_on_the_job_alone() -> None:
    expected = [("sagemaker:CreateTransformJob", arn("transform-job/t"))]
    assert expected == needed("CreateTransformJob", TransformJobName="t", ModelName="M")
