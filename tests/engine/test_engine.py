"""Both stacks by Pulumi's own engine, on the local cloud: `make test-engine`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cloud import ROOT, TRUST, local_cloud
from tests.e2e.conftest import Lab, localcloud
from tests.engine.conftest import Engine, copy_of_the_lab, use_home

pytestmark = pytest.mark.emulator_only


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Engine]:
    with local_cloud() as cloud:
        made = Engine(copy_of_the_lab(tmp_path_factory.mktemp("engine") / "lab"), cloud)
        use_home(made.directory, pulumi_home)
        for stack in ("prd", "dev"):
            made.run("stack", "init", stack)
        yield made


def test_a_preview_creates_nothing(engine: Engine) -> None:
    said = engine.run("preview", "--stack", "prd", "--non-interactive")
    assert re.search(r"\+ \d+ to create", said)
    assert engine.cloud.client("s3").list_buckets()["Buckets"] == []


def test_a_stack_that_refers_to_none_is_one_sentence(engine: Engine) -> None:
    said = engine.run("preview", "--stack", "dev", "--non-interactive", status=1)
    assert "organization/mlops-lab/prd" in said
    assert "Traceback" not in said


def test_the_policy_pack_judges_a_stack_that_is_not_there_yet(engine: Engine) -> None:
    engine.run("-C", "policy", "install")
    pack = ("preview", "--stack", "prd", "--non-interactive", "--policy-pack", "policy")
    engine.run(*pack)
    said = engine.run(*pack, "-c", "instanceType=ml.p3.2xlarge", status=1)
    assert "ml.p3.2xlarge is not allowed in prd" in said


def test_both_stacks_go_up_and_a_second_time_nothing_changes(engine: Engine) -> None:
    for stack in ("prd", "dev"):
        assert re.search(r"\+ \d+ created", engine.up(stack))
        again = engine.up(stack)
        assert re.search(r"\n +\d+ unchanged", again)
        assert " updated" not in again
    pipelines = engine.cloud.client("codepipeline").list_pipelines()["pipelines"]
    assert "iris-model-pipeline" in [pipeline["name"] for pipeline in pipelines]


def by_hash(value: Any) -> Any:
    """Return a part of the state with the hash of an asset in place of its content.

    A secret is encrypted again whenever the state is written.
    """
    if isinstance(value, dict):
        if "ciphertext" in value:
            return "secret"
        return value.get("hash") or {key: by_hash(inner) for key, inner in value.items()}
    return value


def test_what_nobody_changed_is_read_back_unchanged(engine: Engine) -> None:
    for stack in ("prd", "dev"):
        before = engine.resources(stack)
        engine.run(
            *("preview", "--stack", stack, "--refresh", "--expect-no-changes", "--non-interactive")
        )
        engine.run("refresh", "--stack", stack, "--yes", "--expect-no-changes", "--non-interactive")
        after = engine.resources(stack)
        for name, resource in before.items():
            if not resource["type"].startswith("aws:"):
                continue  # the keys of a provider are encrypted again
            for part in ("inputs", "outputs"):
                assert by_hash(resource.get(part)) == by_hash(after[name].get(part)), name


def test_what_a_hand_changed_or_deleted_is_seen_and_corrected(engine: Engine) -> None:
    outputs = engine.outputs("dev")
    s3, logs = engine.cloud.client("s3"), engine.cloud.client("logs")
    data, group = outputs["dataBucket"], "/aws/lambda/iris-model-train"
    s3.put_bucket_versioning(Bucket=data, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=outputs["templateBucket"], Key=outputs["templateKey"], Body=b"by hand")
    logs.delete_log_group(logGroupName=group)
    assert engine.preview("dev") == {}
    seen = engine.preview("dev", "--refresh")
    assert {name: step["op"] for name, step in seen.items()} == {
        "lake-data-versioning": "update",
        "dev-template-object": "update",
        "train-logs": "create",
    }
    assert list(seen["lake-data-versioning"]["detailedDiff"]) == ["versioningConfiguration.status"]
    said = engine.up("dev", "--refresh")
    assert "+ 1 created" in said
    assert "~ 2 updated" in said
    assert s3.get_bucket_versioning(Bucket=data)["Status"] == "Enabled"
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] != []
    engine.run("preview", "--stack", "dev", "--refresh", "--expect-no-changes", "--non-interactive")


def test_a_setting_and_an_archive_change_what_they_touch(engine: Engine) -> None:
    with (engine.directory / "lambda_src/smoke_test.py").open("a") as source:
        source.write("# changed\n")
    said = engine.up("dev", "-c", "trainingMaxRuntimeSeconds=1800")
    assert "~ 2 updated" in said
    assert "smoke-test-function updated" in said
    function = engine.cloud.client("lambda").get_function(FunctionName="iris-model-smoke-test")
    assert function["Configuration"]["State"] == "Active"
    # The state holds the hash of the archive, and no content.
    code = engine.resources("dev")["smoke-test-function"]["inputs"]["code"]
    assert "changed" not in json.dumps(code)
    assert len(code["hash"]) == 64


CONNECTION = (
    "arn:aws:codeconnections:us-east-1:000000000000:connection/01234567-89ab-cdef-0123-456789abcdef"
)
SCHEDULE = '[{"name":"night","schedule":"cron(0 22 * * ? *)","min":1,"max":2,"timezone":"UTC"}]'
# Changed values of settings: each setting of Pulumi.yaml is in one of these runs. What `preview`
# says of them is the same for the engine and for the deployer.
CHANGED: list[tuple[str, dict[str, str]]] = [
    (
        "prd",
        {
            "owner": "somebody",
            "costCentre": "elsewhere",
            "notificationEmail": "owner@example.com",
            "monthlyBudgetUsd": "50",
            "accessLogs": "true",
            "instanceType": "ml.c5.large",
            "initialInstanceCount": "3",
            "minInstanceCount": "3",
            "maxInstanceCount": "8",
            "maxRequestsPerSecond": "6",
            "safetyFactor": "0.6",
            "scaleInCooldownSeconds": "200",
            "scaleOutCooldownSeconds": "90",
            "scheduledScaling": SCHEDULE,
            "trafficShifting": "LINEAR",
            "trafficStepPercent": "20",
            "bakeSeconds": "600",
            "latencyP99Milliseconds": "400",
            "errorRatePercent": "2",
            "noInvocationsMinutes": "30",
            "dataCapturePercent": "50",
            "monitorSchedule": "rate(2 hours)",
            "monitorInstanceType": "ml.c5.xlarge",
            "monitorInstanceCount": "2",
            "driftPsi": "0.5",
            "driftMinimumRows": "200",
            "driftAlarmRuns": "2",
            "minimumLiveAccuracy": "0.9",
            "networkIsolation": "false",
            "logRetentionDays": "365",
            "permissionsBoundary": "arn:aws:iam::000000000000:policy/boundary",
            "vpcSubnets": '["subnet-01234567"]',
            "vpcSecurityGroups": '["sg-01234567"]',
        },
    ),
    ("prd", {"scaling": "false"}),
    ("prd", {"scalingMetric": "concurrent-requests", "maxConcurrentRequests": "3"}),
    ("prd", {"encryption": "aws:kms", "deliveryAccount": "111111111111"}),
    ("dev", {"modelName": "wine-model", "productionStack": ""}),
    (
        "dev",
        {
            "approvalEmail": "ops@example.com",
            "approvalTimeoutMinutes": "60",
            "executionMode": "QUEUED",
            "minimumAccuracy": "0.5",
            "minimumMetric": '{"accuracy": 0.5}',
            "sourceBranch": "dev",
            "sourceApprovals": "1",
            "arm64Image": "true",
            "trainingInstanceType": "ml.m5.xlarge",
            "trainingMaxRuntimeSeconds": "1800",
            "hyperparameters": '{"n_estimators":"10"}',
            "dataShift": "stop",
            "promotionGate": "warn",
            "maximumRegression": "0.05",
            "functionConcurrency": "2",
            "tracing": "true",
            "imageScanSeverity": "HIGH",
            "rehearsal": "false",
            "retrainOn": "schedule",
            "retrainSchedule": "rate(30 days)",
            "retrainCooldownHours": "12",
            "trainOnUpload": "false",
        },
    ),
    ("dev", {"sourceRepository": "acme/iris", "sourceConnectionArn": CONNECTION}),
]
# Changed values that are refused, and what both say.
REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("dev", {"environment": "prod"}, "environment: bad value 'prod'"),
    (
        "dev",
        {"productionAccount": "111111111111", "encryption": "aws:kms"},
        "set the same encryption in both stacks",
    ),
    ("dev", {"rolePath": "/mlops/"}, "set the same rolePath in both stacks"),
    ("dev", {"modelName": "BAD"}, "modelName: bad value 'BAD'"),
]
OPERATIONS = {"create": "create", "update": "update", "delete": "delete", "replace": "replace"}


def options(settings: dict[str, str]) -> list[str]:
    return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]


@dataclass(frozen=True)
class Deployer:
    """The same program and stacks on another local cloud, by `localcloud up`."""

    directory: Path
    url: str

    def run(self, *arguments: str, status: tuple[int, ...] = (0,)) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments, "--endpoint-url", self.url],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode in status, ended.stderr
        return ended.stdout + ended.stderr

    def preview(self, stack: str, settings: dict[str, str]) -> dict[str, Any]:
        text = self.run("preview", stack, "--json", *options(settings), status=(0, 3))
        # What the program warns of follows it.
        found, _ = json.JSONDecoder().raw_decode(text)
        return {s["name"]: s for s in found["steps"] if s["change"] not in ("same", "retain")}


@pytest.fixture(scope="module")
def deployer(engine: Engine) -> Iterator[Deployer]:
    with local_cloud() as cloud:
        made = Deployer(engine.directory, cloud.url)
        for stack in ("prd", "dev"):
            made.run("up", stack)
        yield made


def test_every_setting_is_changed_by_one_of_the_runs() -> None:
    declared = set(yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"])
    changed = {key for _, settings in CHANGED for key in settings}
    changed |= {key for _, settings, _ in REFUSED for key in settings}
    assert declared == changed


def test_the_plans_of_the_engine_and_of_the_deployer_agree(
    engine: Engine, deployer: Deployer
) -> None:
    engine.up("dev")  # the setting of the test before was for that run only
    for stack, settings in CHANGED:
        planned = engine.preview(stack, *options(settings))
        expected = deployer.preview(stack, settings)
        engines = {
            name: OPERATIONS.get(step["op"].removesuffix("-replacement"), step["op"])
            for name, step in planned.items()
        }
        assert set(engines) == set(expected), settings
        for name, step in expected.items():
            if step["change"] == "update":
                assert engines[name] == "update", (name, settings)
                paths = sorted(difference["path"] for difference in step["differences"])
                assert paths == sorted(planned[name]["detailedDiff"]), (name, settings)


def test_what_is_refused_is_the_same_sentence_for_both(engine: Engine, deployer: Deployer) -> None:
    for stack, settings, said in REFUSED:
        by_engine = engine.run(
            *("preview", "--stack", stack, "--non-interactive", *options(settings)), status=1
        )
        assert said in by_engine, settings
        assert "Traceback" not in by_engine
        assert "to create" not in by_engine
        assert said in deployer.run("preview", stack, *options(settings), status=(1,))


def test_the_stacks_files_stay_as_they_are(engine: Engine) -> None:
    for path in ROOT.glob("Pulumi*.yaml"):
        assert (engine.directory / path.name).read_text() == path.read_text()


def test_a_bucket_and_a_role_are_imported(engine: Engine) -> None:
    engine.cloud.client("s3").create_bucket(Bucket="by-hand")
    engine.cloud.client("iam").create_role(
        RoleName="by-hand",
        AssumeRolePolicyDocument=TRUST,
        Tags=[{"Key": "by", "Value": "hand"}],
    )
    into = ("--stack", "prd", "--yes", "--non-interactive", "--generate-code=false")
    engine.run("import", "aws:s3/bucket:Bucket", "bucket", "by-hand", *into)
    engine.run("import", "aws:iam/role:Role", "role", "by-hand", *into)
    said = engine.run("import", "aws:iam/role:Role", "no", "not-there", *into, status=1)
    assert "resource 'not-there' does not exist" in said
    found = engine.resources("prd")
    assert found["bucket"]["inputs"] == {"bucket": "by-hand"}
    assert found["bucket"]["protect"]
    role = found["role"]["inputs"]
    assert (role["name"], role["tags"]) == ("by-hand", {"by": "hand"})
    assert json.loads(role["assumeRolePolicy"]) == json.loads(TRUST)
    for name in ("bucket", "role"):
        urn = found[name]["urn"]
        engine.run("state", "delete", urn, "--force", "--yes", "--stack", "prd")


def test_the_lab_runs_to_production_on_stacks_of_the_engine(engine: Engine) -> None:
    cloud = engine.cloud
    localcloud(
        cloud.url,
        *("image", "push", "model", "--repository", "iris-model"),
        *("--release", "/mlops/iris-model/image"),
    )
    lab = Lab(cloud, engine.outputs("dev"))
    assert lab.deliver(_iris(engine.directory)) == "Succeeded"
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=lab.outputs["productionEndpointName"],
        Body=b"5.1,3.5,1.4,0.2",
        ContentType="text/csv",
        Accept="text/csv",
    )
    assert answer["Body"].read().decode().strip() == "setosa"
    # What the pipeline wrote since is no change of the stacks.
    for stack in ("prd", "dev"):
        assert engine.preview(stack, "--refresh") == {}


def _iris(directory: Path) -> bytes:
    path = directory / "iris.zip"
    subprocess.run(
        [sys.executable, "-m", "model.dataset", "--table", "iris", "--out", str(path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return path.read_bytes()


def test_a_secret_stays_one_in_the_state(engine: Engine) -> None:
    passphrase = engine.directory / ".localcloud/pulumi/passphrase"
    assert 0o600 == passphrase.stat().st_mode & 0o777
    text = json.dumps(engine.deployment("dev"))
    assert passphrase.read_text() not in text
    assert "theirs" not in text


def teardown(engine: Engine, typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `localcloud teardown --aws` as on AWS, but with the local cloud in its place."""
    home = engine.directory / ".localcloud" / "pulumi"
    profile = home / "aws.ini"
    profile.write_text(
        "[profile lab]\nregion = us-east-1\n"
        "aws_access_key_id = 000000000000\naws_secret_access_key = test\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "localcloud", "teardown", "--aws", *arguments],
        cwd=home / "project",
        env={
            **os.environ,
            "PATH": f"{home / 'plugin'}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(home / "home"),
            "PULUMI_BACKEND_URL": f"file://{home / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
            "AWS_CONFIG_FILE": str(profile),
            "AWS_ENDPOINT_URL": engine.cloud.url,
        },
        input=typed,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_lab_is_torn_down_in_order(engine: Engine) -> None:
    cloud = engine.cloud
    # Production is protected.
    said = engine.run("destroy", "--stack", "prd", "--yes", "--non-interactive", status=1)
    assert "protect" in said
    assert "--profile" in teardown(engine, "").stderr
    refused = teardown(engine, "111111111111\n", "--profile", "lab", "--yes")
    assert refused.returncode == 1
    assert "nothing was deleted" in refused.stderr
    assert len(cloud.client("sagemaker").list_endpoints()["Endpoints"]) == 2
    ended = teardown(engine, "000000000000\n", "--profile", "lab")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    steps = [
        "CloudFormation stack mlops-deploy-iris-model-dev",
        "CloudFormation stack mlops-deploy-iris-model-prd",
        "Pulumi stack dev: ",
        "Pulumi stack prd: ",
        "Type its id",
        "deleted CloudFormation stack mlops-deploy-iris-model-dev",
        "deleted CloudFormation stack mlops-deploy-iris-model-prd",
        "deleted Pulumi stack dev",
        "deleted Pulumi stack prd",
        "left: log group /aws/sagemaker/TrainingJobs",
    ]
    places = [ended.stdout.find(step) for step in steps]
    assert -1 not in places, ended.stdout
    assert places == sorted(places)
    assert cloud.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert cloud.client("codepipeline").list_pipelines()["pipelines"] == []
    left = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    # What production captured is data, which stays.
    assert left == ["by-hand", "mlops-iris-model-capture-prd-000000000000-us-east-1"]
    assert "Nothing is deployed" in teardown(engine, "", "--profile", "lab").stdout


def test_an_address_that_is_not_this_machine_is_refused(engine: Engine) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "localcloud", "pulumi", "preview"],
        cwd=engine.directory,
        env={**os.environ, "AWS_ENDPOINT_URL": "https://s3.amazonaws.com"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == ended.returncode
    assert "this machine only" in ended.stderr
