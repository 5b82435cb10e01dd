"""The model registry: versions, approval, and a model that runs its package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, TestCloud, wait_for
from tests.sagemaker import ROLE, heard, prepare

REGISTRY = "https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html"
CREATE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html"
SEARCH = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html"
BUCKET = "registry-tests"

_numbers = count(1)


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    return prepare(cloud, BUCKET)


@pytest.fixture
def group(cloud: TestCloud, image: str) -> Iterator[str]:
    """A group of its own, without packages."""
    del image
    client = cloud.client("sagemaker")
    name = f"Group-{next(_numbers)}"
    client.create_model_package_group(
        ModelPackageGroupName=name,
        ModelPackageGroupDescription="of a test",
        Tags=[{"Key": "team", "Value": name}],
    )
    yield name
    for package in client.list_model_packages(ModelPackageGroupName=name, MaxResults=100)[
        "ModelPackageSummaryList"
    ]:
        client.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    client.delete_model_package_group(ModelPackageGroupName=name)


@pytest.fixture(scope="module")
def sagemaker(cloud: TestCloud) -> Any:
    return cloud.client("sagemaker")


def register(sagemaker: Any, image: str, answer: str = "one", **options: Any) -> str:
    """Create a package and wait until it is final; return its ARN."""
    container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{answer}/model.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    arn: str = sagemaker.create_model_package(InferenceSpecification=specification, **options)[
        "ModelPackageArn"
    ]

    def final() -> bool:
        package = sagemaker.describe_model_package(ModelPackageName=arn)
        return package["ModelPackageStatus"] in ("Completed", "Failed")

    wait_for("the package", final)
    return arn


def code_of(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.aws_documented(CREATE)
def test_versions_of_a_group_are_numbered_and_no_number_is_given_twice(
    sagemaker: Any, image: str, group: str
) -> None:
    first, second = (register(sagemaker, image, ModelPackageGroupName=group) for _ in range(2))
    sagemaker.delete_model_package(ModelPackageName=second)
    third = register(sagemaker, image, ModelPackageGroupName=group)
    base = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{group.lower()}"
    assert [first, second, third] == [f"{base}/{n}" for n in (1, 2, 3)]
    package = sagemaker.describe_model_package(ModelPackageName=first)
    assert package["ModelPackageGroupName"] == group
    assert package["ModelPackageVersion"] == 1
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["ModelPackageStatusDetails"] == {
        "ValidationStatuses": [],
        "ImageScanStatuses": [],
    }
    container = package["InferenceSpecification"]["Containers"][0]
    assert container["ImageDigest"] == image.partition("@")[2]


@pytest.mark.aws_documented(REGISTRY)
def test_a_model_runs_its_package_once_that_is_approved(
    cloud: TestCloud, sagemaker: Any, image: str, group: str
) -> None:
    arn = register(sagemaker, image, "two", ModelPackageGroupName=group)
    model = {"ModelName": f"of-{group}", "ExecutionRoleArn": ROLE}
    container = {"ModelPackageName": arn}
    refused = code_of(sagemaker.create_model, **model, PrimaryContainer=container)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.create_model(**model, PrimaryContainer=container)
    described = sagemaker.describe_model(ModelName=f"of-{group}")
    sagemaker.create_endpoint_config(
        EndpointConfigName=f"of-{group}",
        ProductionVariants=[
            {
                "VariantName": "v",
                "ModelName": f"of-{group}",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    # What it runs was decided when it was made: the package may go.
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.create_endpoint(EndpointName="of-package", EndpointConfigName=f"of-{group}")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="of-package", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="of-package", Body=b"x", ContentType="text/csv"
    )
    sagemaker.delete_endpoint(EndpointName="of-package")
    assert refused[0] == "ValidationException"
    assert "ModelApprovalStatus is PendingManualApproval" in refused[1]
    assert described["PrimaryContainer"] == container
    assert answer["Body"].read() == b"two:x"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html"
)
def test_an_approval_is_kept_and_told(
    cloud: TestCloud, sagemaker: Any, image: str, group: str
) -> None:
    with heard(cloud, "package-events", "SageMaker Model Package State Change") as events:
        arn = register(
            sagemaker,
            image,
            ModelPackageGroupName=group,
            CustomerMetadataProperties={"a": "1", "b": "2"},
        )
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            ApprovalDescription="it is good",
            CustomerMetadataProperties={"b": "3"},
            CustomerMetadataPropertiesToRemove=["a"],
        )
        told = wait_for(
            "the approval",
            lambda: [e for e in events() if e["ModelApprovalStatus"] == "Approved"],
        )
        statuses = [e["ModelPackageStatus"] for e in events()]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["CustomerMetadataProperties"] == {"b": "3"}
    assert package["ApprovalDescription"] == "it is good"
    assert told[0]["ModelPackageArn"] == arn
    assert (told[0]["ModelPackageGroupName"], told[0]["ModelPackageVersion"]) == (group, 1)
    assert told[0]["CreationTime"].endswith("Z")
    assert sorted(statuses) == ["Completed", "Completed", "InProgress", "Pending"]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroup.html"
)
def test_a_group_with_packages_cannot_be_deleted(sagemaker: Any, image: str, group: str) -> None:
    register(sagemaker, image, ModelPackageGroupName=group)
    code, _ = code_of(sagemaker.delete_model_package_group, ModelPackageGroupName=group)
    assert code == "ConflictException"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html"
)
def test_packages_without_versions_are_listed_apart(sagemaker: Any, image: str, group: str) -> None:
    version = register(sagemaker, image, ModelPackageGroupName=group)
    alone = register(sagemaker, image, ModelPackageName=f"alone-{group}")

    def listed(**options: Any) -> set[str]:
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            PaginationConfig={"PageSize": 1}, **options
        )
        return {p["ModelPackageArn"] for page in pages for p in page["ModelPackageSummaryList"]}

    assert alone in listed()
    assert version not in listed()
    assert {alone, version} <= listed(ModelPackageType="Both")
    assert listed(ModelPackageGroupName=group) == {version}
    assert listed(ModelPackageGroupName=group, ModelApprovalStatus="Approved") == set()
    batch = sagemaker.batch_describe_model_package(ModelPackageArnList=[alone, alone + "x"])
    assert set(batch["ModelPackageSummaries"]) == {alone}
    assert set(batch["BatchDescribeModelPackageErrorMap"]) == {alone + "x"}
    code, _ = code_of(
        sagemaker.update_model_package, ModelPackageArn=alone, ModelApprovalStatus="Approved"
    )
    assert code == "ValidationException"
    sagemaker.delete_model_package(ModelPackageName=f"alone-{group}")
    code, message = code_of(sagemaker.describe_model_package, ModelPackageName=alone)
    assert (code, "does not exist" in message) == ("ValidationException", True)


@pytest.mark.emulator_only
def test_a_package_whose_image_is_not_there_is_failed(
    sagemaker: Any, image: str, group: str
) -> None:
    gone = image.partition("@")[0] + ":gone"
    arn = register(sagemaker, gone, ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    (scan,) = package["ModelPackageStatusDetails"]["ImageScanStatuses"]
    assert (package["ModelPackageStatus"], scan["Status"]) == ("Failed", "Failed")
    assert gone in scan["FailureReason"]
    _, message = code_of(
        sagemaker.create_model,
        ModelName="of-failed",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": arn},
    )
    assert "its status is Failed" in message


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"ModelPackageName": "a", "ModelPackageGroupName": "b"}, "one of the two"),
        ({"ModelPackageGroupName": "none"}, "does not exist"),
        ({"ModelPackageName": "a", "CertifyForMarketplace": True}, "CertifyForMarketplace"),
        ({"ModelPackageName": "a", "ModelApprovalStatus": "Approved"}, "does not apply"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    sagemaker: Any, image: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        register(sagemaker, image, **options)


@pytest.mark.aws_documented(SEARCH)
def test_search_finds_packages_by_their_properties_and_tags(
    sagemaker: Any, image: str, group: str
) -> None:
    arns = [register(sagemaker, image, ModelPackageGroupName=group) for _ in range(3)]
    sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved")
    of_group = {"Name": "ModelPackageGroupName", "Operator": "Equals", "Value": group}
    approved = {"Name": "ModelApprovalStatus", "Operator": "Equals", "Value": "Approved"}

    def search(resource: str, *filters: dict[str, str], **options: Any) -> list[Any]:
        pages = sagemaker.get_paginator("search").paginate(
            Resource=resource,
            SearchExpression={"Filters": list(filters)},
            PaginationConfig={"PageSize": 2},
            **options,
        )
        return [result[resource] for page in pages for result in page["Results"]]

    found = search("ModelPackage", of_group, SortBy="ModelPackageVersion", SortOrder="Descending")
    assert [package["ModelPackageVersion"] for package in found] == [3, 2, 1]
    assert [p["ModelPackageArn"] for p in search("ModelPackage", of_group, approved)] == [arns[1]]
    (of_tag,) = search("ModelPackageGroup", {"Name": "Tags.team", "Value": group})
    assert of_tag["ModelPackageGroupName"] == group
    assert of_tag["Tags"] == [{"Key": "team", "Value": group}]
    for resource in ("TrainingJob", "Endpoint", "HyperParameterTuningJob"):
        assert search(resource, {"Name": "Tags.no-such-tag", "Operator": "Exists"}) == []


@pytest.mark.emulator_only
def test_a_search_of_what_is_not_kept_says_so(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match="Search of Experiment") as caught:
        sagemaker.search(Resource="Experiment")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


XACCOUNT = "https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html"


def policy_on(group: str, *, principal: Any) -> str:
    """Return a policy that lets somebody deploy the versions of a group."""
    versions = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/{group.lower()}/*"
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage"],
        "Resource": [versions],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.botocore_modelled
def test_a_group_keeps_the_policy_that_it_is_given(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)
    text = policy_on(group, principal={"AWS": "arn:aws:iam::111111111111:root"})
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=text)
    found = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)
    assert found["ResourcePolicy"] == text
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)


@pytest.mark.aws_documented(XACCOUNT)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "Invalid resource policy"),
        (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", '
            '"Resource": "*"}]}',
            "each statement must have a Principal",
        ),
    ],
)
def test_a_policy_that_shares_nothing_is_refused(
    sagemaker: Any, group: str, text: str, said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=text)
