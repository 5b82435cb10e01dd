"""`localcloud teardown`: the endpoints' stacks, then both stacks, and what is left of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from components import prices
from localcloud.cli import teardown
from tests.cloud import ROOT, TRUST, TestCloud, local_cloud
from tests.stacks import group, template

pytestmark = pytest.mark.emulator_only
CLOUDFORMATION_STACK = "mlops-deploy-iris-model-{}"


def localcloud(
    cloud: TestCloud, *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": cloud.url},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def deployed() -> Iterator[TestCloud]:
    """A local cloud with both stacks, and a CloudFormation stack for each in the endpoint's place.

    Production keeps its access logs and its key.
    """
    kept = ("-c", "encryption=aws:kms", "-c", "accessLogs=true")
    with local_cloud() as cloud:
        for stack in ("prd", "dev"):
            assert localcloud(cloud, "up", stack, *kept).returncode == 0
            outputs = json.loads(cloud.get(f"/_localcloud/stacks/mlops-lab/{stack}")[1])["outputs"]
            cloud.client("cloudformation").create_stack(
                StackName=outputs["stackName"],
                TemplateBody=template(Group=group(f"/of/{stack}")),
                RoleARN=outputs["deployRoleArn"],
            )
            cloud.client("cloudformation").get_waiter("stack_create_complete").wait(
                StackName=outputs["stackName"], WaiterConfig={"Delay": 1}
            )
        for name in ("iris-model", "another-model"):
            cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
        cloud.client("logs").create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
        cloud.client("logs").create_log_group(logGroupName="/aws/sagemaker/Endpoints/other")
        yield cloud


def statuses(cloud: TestCloud) -> dict[str, str]:
    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in stacks}


def test_a_stack_whose_role_is_gone_stays(deployed: TestCloud) -> None:
    iam, name = deployed.client("iam"), "mlops-iris-model-dev-deploy-us-east-1"
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    ended = localcloud(deployed, "teardown", "--yes")
    assert ended.returncode == 1
    assert "is invalid or cannot be assumed" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert len(statuses(deployed)) == 2
    # Nothing after the step that failed was begun.
    assert "deleted" not in ended.stdout
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def test_it_asks_and_takes_no_for_an_answer(deployed: TestCloud) -> None:
    ended = localcloud(deployed, "teardown", typed="n\n")
    assert ended.returncode == 1
    assert "Pulumi stack dev" in ended.stdout
    assert "nothing was deleted" in ended.stderr
    assert len(statuses(deployed)) == 2


def test_the_account_on_aws_must_be_named(deployed: TestCloud) -> None:
    for arguments in (("--aws",), ("--profile", "lab")):
        ended = localcloud(deployed, "teardown", *arguments)
        assert ended.returncode == 1
        assert "--aws and --profile go together" in ended.stderr


def test_everything_goes_in_order_and_what_is_left_is_named(deployed: TestCloud) -> None:
    ended = localcloud(deployed, "teardown", "--yes")
    assert ended.returncode == 0, ended.stderr
    steps = [
        f"CloudFormation stack {CLOUDFORMATION_STACK.format('dev')}, with the endpoint of dev",
        f"CloudFormation stack {CLOUDFORMATION_STACK.format('prd')}, with the endpoint of prd",
        "Pulumi stack dev: ",
        "Pulumi stack prd: ",
        "stays: Bucket mlops-iris-model-logs-prd-000000000000-us-east-1",
        f"deleted CloudFormation stack {CLOUDFORMATION_STACK.format('dev')}",
        f"deleted CloudFormation stack {CLOUDFORMATION_STACK.format('prd')}",
        "deleted Pulumi stack dev",
        "deleted Pulumi stack prd",
        "left: Bucket mlops-iris-model-logs-prd-000000000000-us-east-1: 0.023 USD per GB",
        "left: log group /aws/sagemaker/TrainingJobs: 0.03 USD per GB and month",
        "left: model package group iris-model, which costs nothing",
    ]
    places = [ended.stdout.find(step) for step in steps]
    assert -1 not in places, ended.stdout
    assert places == sorted(places)
    assert "1.00 USD per month" in ended.stdout  # production's key
    assert "waits for its deletion" in ended.stdout  # dev's
    assert "Endpoints/other" not in ended.stdout
    assert "another-model" not in ended.stdout
    assert statuses(deployed) == {}
    assert json.loads(deployed.get("/_localcloud/stacks")[1]) == []
    again = localcloud(deployed, "teardown", "--yes")
    assert again.stdout.strip() == "Nothing is deployed."


def test_the_prices_are_those_of_the_estimate() -> None:
    assert prices.STORAGE_GB_MONTH == teardown.STORAGE_GB_MONTH
    assert prices.KEY_MONTH == teardown.KEY_MONTH
