"""Production in an account of its own: a model gets there, by roles and keys that both sides name.

The cloud enforces IAM, and everything is under keys of the stacks: a model under a key that AWS
manages could not be read in the other account.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.cloud import TestCloud, wait_for
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
        "https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html"
    ),
]

DELIVERY, PRODUCTION = "111111111111", "222222222222"
STRANGER = "333333333333"
KEYS = ("--config", "encryption=aws:kms", "--config", "dataCapturePercent=100")


@dataclass(frozen=True, slots=True)
class TwoAccounts:
    """The lab over two accounts, after one model went to production.

    Attributes:
        lab: the delivery account's side.
        production: the production account's clients.
        status: how the execution ended.
    """

    lab: Lab
    production: TestCloud
    status: str


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, iris: bytes) -> Iterator[TwoAccounts]:
    with cloud_of_its_own(tmp_path_factory.mktemp("accounts"), speed=240.0, iam="enforce") as cloud:
        there = ("--config", f"deliveryAccount={DELIVERY}")
        localcloud(cloud.url, "up", "prd", *KEYS, *there, account=PRODUCTION)
        here = ("--config", f"productionAccount={PRODUCTION}")
        localcloud(cloud.url, "up", "dev", *KEYS, *here, account=DELIVERY)
        outputs: dict[str, Any] = json.loads(cloud.get("/_localcloud/stacks/mlops-lab/dev")[1])
        lab = Lab(replace(cloud, account=DELIVERY), outputs["outputs"])
        assert build_image(lab, tmp_path_factory.mktemp("source")) == "Succeeded"
        yield TwoAccounts(lab, replace(cloud, account=PRODUCTION), lab.deliver(iris))


def test_a_model_goes_to_production_in_the_other_account(accounts: TwoAccounts) -> None:
    assert accounts.status == "Succeeded"
    here = accounts.lab.cloud.client("sagemaker").list_endpoints()["Endpoints"]
    there = accounts.production.client("sagemaker").list_endpoints()["Endpoints"]
    assert [e["EndpointName"] for e in here] == [DEV]
    assert [e["EndpointName"] for e in there] == [PRD]
    answer = accounts.production.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=PRD, ContentType="text/csv", Body=b"5.1,3.5,1.4,0.2"
    )
    assert answer["Body"].read().startswith(b"setosa")


def test_production_is_monitored_in_its_own_account(accounts: TwoAccounts) -> None:
    sagemaker = accounts.production.client("sagemaker")
    accounts.production.advance(3_600)

    def ended() -> dict[str, Any] | None:
        jobs = sagemaker.list_processing_jobs(NameContains=f"{PRD}-monitor")
        names = [job["ProcessingJobName"] for job in jobs["ProcessingJobSummaries"]]
        if not names:
            return None
        found: dict[str, Any] = sagemaker.describe_processing_job(ProcessingJobName=names[-1])
        return found if found["ProcessingJobStatus"] in ("Completed", "Failed") else None

    job = wait_for("a run of the monitor", ended, 60)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert f":{PRODUCTION}:role/" in job["RoleArn"]
    assert job["ExitMessage"].startswith("few-rows (")
    uris = {i["InputName"]: i["S3Input"]["S3Uri"] for i in job["ProcessingInputs"]}
    assert f"-artifacts-{DELIVERY}-" in uris["baseline"]
    assert f"-capture-prd-{PRODUCTION}-" in uris["captures"]


def test_no_role_lacked_a_permission(accounts: TwoAccounts) -> None:
    answer = localcloud_answer(accounts.lab.cloud.url, "iam", "--json")
    roles = json.loads(answer.stdout)
    assert {role["role"].split(":")[4] for role in roles} == {DELIVERY, PRODUCTION}
    assert {role["role"]: role["missing"] for role in roles if role["missing"]} == {}


def test_models_lie_under_the_key_that_the_accounts_share(accounts: TwoAccounts) -> None:
    sagemaker = accounts.production.client("sagemaker")
    (model,) = sagemaker.list_models()["Models"]
    version = sagemaker.describe_model(ModelName=model["ModelName"])["PrimaryContainer"][
        "ModelPackageName"
    ]
    assert f":{DELIVERY}:model-package/" in version
    package = sagemaker.describe_model_package(ModelPackageName=version)
    (container,) = package["InferenceSpecification"]["Containers"]
    bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
    found = accounts.lab.cloud.client("s3").head_object(Bucket=bucket, Key=key)
    assert found["SSEKMSKeyId"] == accounts.lab.outputs["encryptionKeyArn"]


@dataclass(frozen=True, slots=True)
class Share:
    """A policy by which the delivery account shares something, and how to read and write it.

    Attributes:
        fails: the stage and the action that need it.
    """

    service: str
    name: str
    output: str
    read: str
    write: str
    member: str
    fails: tuple[str, str]


@pytest.mark.parametrize(
    "share",
    [
        # The template of production's stack is written there by production's role.
        Share(
            "kms",
            "KeyId",
            "encryptionKeyArn",
            "get_key_policy",
            "put_key_policy",
            "Policy",
            ("Source", "PrdTemplate"),
        ),
        Share(
            "ecr",
            "repositoryName",
            "modelName",
            "get_repository_policy",
            "set_repository_policy",
            "policyText",
            ("DeployPrd", "Deploy"),
        ),
    ],
    ids=["key", "image"],
)
def test_without_a_share_production_keeps_the_model_that_it_has(
    accounts: TwoAccounts, iris: bytes, share: Share
) -> None:
    lab, there = accounts.lab, replace(accounts.lab, cloud=accounts.production)
    client = lab.cloud.client(share.service)
    known = {share.name: lab.outputs[share.output]}
    policy = getattr(client, share.read)(**known)[share.member]
    assert PRODUCTION in policy
    before = there.config_of(PRD)
    getattr(client, share.write)(**known, **{share.member: policy.replace(PRODUCTION, STRANGER)})
    try:
        execution = lab.upload(iris)
        if share.fails[0] == "DeployPrd":
            lab.answer("Approved")
        assert lab.ended(execution) == "Failed"
    finally:
        getattr(client, share.write)(**known, **{share.member: policy})
    assert lab.state(*share.fails)["status"] == "Failed"
    assert there.config_of(PRD) == before
