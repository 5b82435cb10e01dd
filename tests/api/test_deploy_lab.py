"""Both stacks of the lab, deployed once with every component that a setting adds.

Changes and deletions by hand: `preview --refresh` shows, `refresh` saves, `up` corrects them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcloud.deploy.difference import differences
from localcloud.deploy.stacks import aws_at
from localcloud.deploy.state import ResourceState, StateStore
from localcloud.deploy.types import TYPES
from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, ROOT, TestCloud, local_cloud

pytestmark = pytest.mark.emulator_only
SETTINGS = {
    "encryption": "aws:kms",
    "monthlyBudgetUsd": "100",
    "notificationEmail": "owner@example.com",
}
Call = Callable[..., Any]
# Does something to a resource, by calls of boto3's operations.
Hand = Callable[[Call, ResourceState], object]


class Lab:
    """Both stacks on a local cloud of their own, driven by the command line."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.aws = aws_at(cloud.url, REGION)

    def answer(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the settings; those among the arguments win."""
        settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        return subprocess.run(
            [
                *(sys.executable, "-m", "localcloud", command),
                *("--endpoint-url", self.cloud.url, *(settings if command != "refresh" else [])),
                *arguments,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, command: str, *arguments: str) -> str:
        answer = self.answer(command, *arguments)
        assert answer.returncode in (0, 3), answer.stderr
        return answer.stdout

    def seen(self, *arguments: str) -> dict[str, tuple[str, list[str]]]:
        """Return a preview of the dev stack: the change and the paths of each resource."""
        found = json.loads(self.run("preview", "dev", "--json", *arguments))
        return {
            step["name"]: (step["change"], sorted(d["path"] for d in step["differences"]))
            for step in found["steps"]
            if step["change"] != "same"
        }

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call an operation as somebody who knows nothing of the stack."""
        return getattr(self.aws.client(service), operation)(**parameters)

    def state(self, stack: str) -> list[ResourceState]:
        return StateStore(self.cloud.url).load("mlops-lab", stack).resources


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with local_cloud() as cloud:
        made = Lab(cloud)
        made.run("up", "prd")
        made.run("up", "dev")
        yield made


def test_every_resource_of_both_stacks_reads_back_as_it_was_made(lab: Lab) -> None:
    read = 0
    for resource in lab.state("prd") + lab.state("dev"):
        found = TYPES[resource.type].read(lab.aws, resource.id, resource.inputs, resource.outputs)
        assert found is not None, resource.urn
        assert differences(resource.inputs, found[0]) == (), resource.urn
        assert found == (resource.inputs, resource.outputs)
        read += 1
    assert read > 80


# Changes by hand to resources of the dev stack, and the paths that differ then.
CHANGED: dict[str, tuple[Hand, set[str]]] = {
    "lake-data-versioning": (
        lambda call, bucket: call(
            "s3",
            "put_bucket_versioning",
            Bucket=bucket.id,
            VersioningConfiguration={"Status": "Suspended"},
        ),
        {"versioningConfiguration.status"},
    ),
    "lake-data-public-access-block": (
        lambda call, bucket: call(
            "s3",
            "put_public_access_block",
            Bucket=bucket.id,
            PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True},
        ),
        {"ignorePublicAcls", "restrictPublicBuckets"},
    ),
    "lake-data": (
        lambda call, bucket: call(
            "s3",
            "put_bucket_tagging",
            Bucket=bucket.id,
            Tagging={"TagSet": tags_with(bucket, {"owner": "nobody", "by": "hand"})},
        ),
        {"tags.owner", "tags.by"},
    ),
    "lake-data-lifecycle": (
        lambda call, bucket: call(
            "s3",
            "put_bucket_lifecycle_configuration",
            Bucket=bucket.id,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "short",
                        "Status": "Enabled",
                        "Filter": {"Prefix": "tmp/"},
                        "Expiration": {"Days": 1},
                    }
                ]
            },
        ),
        {"rules"},
    ),
    "dev-template-object": (
        lambda call, object_: call(
            "s3", "put_object", Bucket=object_.inputs["bucket"], Key=object_.id, Body=b"by hand"
        ),
        {"contentType", "source", "tags"},
    ),
    "train-policy": (
        lambda call, policy: call(
            "iam",
            "put_role_policy",
            RoleName=policy.inputs["role"],
            PolicyName=policy.inputs["name"],
            PolicyDocument=without_first_statement(policy.inputs["policy"]),
        ),
        {"policy"},
    ),
    "train-role": (
        lambda call, role: call(
            "iam", "tag_role", RoleName=role.id, Tags=[{"Key": "by", "Value": "hand"}]
        ),
        {"tags.by"},
    ),
    "dev-server-errors": (
        lambda call, alarm: call(
            "cloudwatch",
            "put_metric_alarm",
            **{**alarm_of(call, alarm), "Threshold": 77.0},
        ),
        {"threshold"},
    ),
    "dev-dashboard": (
        lambda call, dashboard: call(
            "cloudwatch",
            "put_dashboard",
            DashboardName=dashboard.id,
            DashboardBody='{"widgets": []}',
        ),
        {"dashboardBody"},
    ),
    "train-function": (
        lambda call, function: call(
            "lambda",
            "update_function_configuration",
            FunctionName=function.id,
            MemorySize=1024,
            Description="by hand",
        ),
        {"memorySize", "description"},
    ),
    "smoke-test-function": (
        lambda call, function: call(
            "lambda",
            "update_function_code",
            FunctionName=function.id,
            ZipFile=zip_of({"smoke_test.py": b"def handler(event, context): pass"}),
        ),
        {"code"},
    ),
    "train-logs": (
        lambda call, group: call("logs", "delete_retention_policy", logGroupName=group.id),
        {"retentionInDays"},
    ),
    "protection-key": (
        lambda call, key: call("kms", "disable_key_rotation", KeyId=key.id),
        {"enableKeyRotation"},
    ),
    "notifications-topic": (
        lambda call, topic: call(
            "sns",
            "set_topic_attributes",
            TopicArn=topic.id,
            AttributeName="DisplayName",
            AttributeValue="By hand",
        ),
        {"displayName"},
    ),
    "notifications-topic-policy": (
        lambda call, topic: call(
            "sns",
            "set_topic_attributes",
            TopicArn=topic.id,
            AttributeName="Policy",
            AttributeValue=without_first_statement(topic.inputs["policy"]),
        ),
        {"policy"},
    ),
    "dataset-uploaded": (
        lambda call, rule: call("events", "disable_rule", Name=rule.id),
        {"state"},
    ),
    "images-repository": (
        lambda call, repository: call(
            "ecr",
            "put_image_scanning_configuration",
            repositoryName=repository.id,
            imageScanningConfiguration={"scanOnPush": False},
        ),
        {"imageScanningConfiguration.scanOnPush"},
    ),
    "image-build-project": (
        lambda call, project: call(
            "codebuild",
            "update_project",
            name=project.inputs["name"],
            description="By hand",
            timeoutInMinutes=7,
        ),
        {"description", "buildTimeout"},
    ),
    "image-build-source": (
        lambda call, repository: call(
            "codecommit",
            "update_repository_description",
            repositoryName=repository.id,
            repositoryDescription="By hand",
        ),
        {"description"},
    ),
    "delivery": (
        lambda call, pipeline: call(
            "codepipeline",
            "update_pipeline",
            pipeline={
                **call("codepipeline", "get_pipeline", name=pipeline.id)["pipeline"],
                "executionMode": "QUEUED",
            },
        ),
        {"executionMode"},
    ),
    "images-released": (
        lambda call, parameter: call(
            "ssm",
            "put_parameter",
            Name=parameter.id,
            Value=parameter.inputs["value"],
            Description="By hand",
            Overwrite=True,
        ),
        {"description"},
    ),
    "budget": (
        lambda call, budget: call(
            "budgets",
            "update_budget",
            AccountId=ACCOUNT,
            NewBudget={
                "BudgetName": budget.inputs["name"],
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": "5", "Unit": "USD"},
            },
        ),
        {"limitAmount", "costFilters"},
    ),
}
# Deletions by hand.
DELETED: dict[str, Hand] = {
    "dev-latency-p99": lambda call, alarm: call(
        "cloudwatch", "delete_alarms", AlarmNames=[alarm.id]
    ),
    "lake-data-policy": lambda call, bucket: call("s3", "delete_bucket_policy", Bucket=bucket.id),
    "lake-data-ownership": lambda call, bucket: call(
        "s3", "delete_bucket_ownership_controls", Bucket=bucket.id
    ),
    "lake-events": lambda call, bucket: call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket=bucket.id,
        NotificationConfiguration={},
    ),
    "images-lifecycle": lambda call, repository: call(
        "ecr", "delete_lifecycle_policy", repositoryName=repository.id
    ),
    "failure-notice-target": lambda call, target: call(
        "events", "remove_targets", Rule=target.inputs["rule"], Ids=[target.inputs["targetId"]]
    ),
    "smoke-test-logs": lambda call, group: call("logs", "delete_log_group", logGroupName=group.id),
    "trigger-policy": lambda call, policy: call(
        "iam",
        "delete_role_policy",
        RoleName=policy.inputs["role"],
        PolicyName=policy.inputs["name"],
    ),
    "protection-key-alias": lambda call, alias: call("kms", "delete_alias", AliasName=alias.id),
}


def tags_with(resource: ResourceState, more: dict[str, str]) -> list[dict[str, str]]:
    tags = {**resource.inputs["tags"], **more}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def without_first_statement(text: str) -> str:
    document = json.loads(text)
    return json.dumps({**document, "Statement": document["Statement"][1:]})


def alarm_of(call: Call, alarm: ResourceState) -> dict[str, Any]:
    """Return an alarm as PutMetricAlarm takes it."""
    (found,) = call("cloudwatch", "describe_alarms", AlarmNames=[alarm.id])["MetricAlarms"]
    state = ("AlarmArn", "AlarmConfigurationUpdatedTimestamp", "EvaluationState")
    return {key: value for key, value in found.items() if key not in state and "State" not in key}


@pytest.mark.slow
def test_what_a_hand_changed_is_seen_and_corrected(lab: Lab) -> None:
    resources = {resource.name: resource for resource in lab.state("dev")}
    for name, (hand, _) in CHANGED.items():
        hand(lab.call, resources[name])
    for name, delete in DELETED.items():
        delete(lab.call, resources[name])
    # Without --refresh nothing is read.
    assert lab.seen() == {}
    found = lab.seen("--refresh")
    assert {name for name, (change, _) in found.items() if change == "create"} == set(DELETED)
    changed = {name: paths for name, (change, paths) in found.items() if change == "update"}
    assert set(changed) == set(CHANGED)
    for name, (_, expected) in CHANGED.items():
        unexpected = [p for p in changed[name] if not p.startswith(tuple(expected))]
        assert (name, []) == (name, unexpected)
        assert all(any(p.startswith(path) for p in changed[name]) for path in expected), name
    said = lab.run("up", "dev", "--refresh")
    assert f"{len(DELETED)} created" in said
    assert f"{len(CHANGED)} updated" in said
    assert lab.seen("--refresh") == {}
    assert lab.call("s3", "get_bucket_versioning", Bucket=resources["lake-data"].id)["Status"] == (
        "Enabled"
    )


def test_refresh_saves_what_a_hand_did_and_changes_no_resource(lab: Lab) -> None:
    resources = {resource.name: resource for resource in lab.state("prd")}
    alarm = resources["prd-server-errors"]
    lab.call("cloudwatch", "put_metric_alarm", **{**alarm_of(lab.call, alarm), "Threshold": 9.0})
    lab.call("cloudwatch", "delete_alarms", AlarmNames=[resources["prd-latency-p99"].id])
    said = lab.run("refresh", "prd")
    assert "updated MetricAlarm prd-server-errors" in said
    assert "(threshold)" in said
    assert "deleted MetricAlarm prd-latency-p99" in said
    after = {resource.name: resource for resource in lab.state("prd")}
    assert after["prd-server-errors"].inputs["threshold"] == 9
    assert "prd-latency-p99" not in after
    (kept,) = lab.call("cloudwatch", "describe_alarms", AlarmNames=[alarm.id])["MetricAlarms"]
    assert kept["Threshold"] == 9
    # The next deployment needs no --refresh now.
    said = lab.run("up", "prd")
    assert "1 created" in said
    assert "1 updated" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("modelName=other", "set the same modelName in both stacks"),
        ("encryption=AES256", "set the same encryption in both stacks"),
    ],
)
def test_what_does_not_fit_production_is_one_sentence(lab: Lab, setting: str, said: str) -> None:
    before = lab.cloud.get("/_localcloud/stacks/mlops-lab/dev")
    for command in ("preview", "up"):
        answer = lab.answer(command, "dev", "-c", setting)
        assert answer.returncode == 1
        assert said in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert answer.stdout.splitlines()[1:] == []
    assert before == lab.cloud.get("/_localcloud/stacks/mlops-lab/dev")
