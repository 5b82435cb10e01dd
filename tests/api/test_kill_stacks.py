"""A stack whose operation a `kill -9` interrupts, at each of its events, goes on to its end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import TestCloud, configured_url, local_cloud, wait_for
from tests.sagemaker import ROLE, prepare

pytestmark = pytest.mark.emulator_only
BUCKET = "kill-stack-tests"
NAME = "kept"


def template(image: str, version: int, *, broken: bool = False) -> str:
    """Return a stack of each kind of name: generated, given, and made by another resource."""
    variant = {
        "VariantName": "v",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    data = f"s3://{BUCKET}/one/model.tar.gz"
    model = {
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": image,
            "ModelDataUrl": data,
            "Environment": {"VERSION": str(version)},
        },
    }
    days = 7 if version == 1 else 14
    resources: dict[str, Any] = {
        "Group": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": "/kept", "RetentionInDays": days},
        },
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": model, "DependsOn": "Group"},
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant]},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": "kept",
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
    }
    if broken:
        resources["Broken"] = {
            "Type": "AWS::SageMaker::EndpointConfig",
            "DependsOn": "Endpoint",
            "Properties": {"ProductionVariants": [{**variant, "ModelName": "no-such-model"}]},
        }
    return json.dumps({"Resources": resources})


def events(cloud: TestCloud) -> list[str]:
    found = cloud.client("cloudformation").describe_stack_events(StackName=NAME)["StackEvents"]
    return [f"{e['LogicalResourceId']} {e['ResourceStatus']}" for e in reversed(found)]


def killed_at(cloud: TestCloud, event: str, after: int = 0) -> None:
    wait_for(event, lambda: event in events(cloud)[after:] or None, 60)
    assert cloud.pid is not None
    os.kill(cloud.pid, signal.SIGKILL)


def settled(cloud: TestCloud) -> str:
    client = cloud.client("cloudformation")

    def probe() -> str | None:
        status = str(client.describe_stacks(StackName=NAME)["Stacks"][0]["StackStatus"])
        return None if status.endswith("IN_PROGRESS") else status

    return wait_for("the stack to settle", probe, 90)


def made(cloud: TestCloud) -> dict[str, int]:
    """Count what exists: nothing may have been created twice, or be left over."""
    sagemaker = cloud.client("sagemaker")
    return {
        "groups": len(kept_groups(cloud)),
        "models": len(sagemaker.list_models()["Models"]),
        "configs": len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        "endpoints": len(sagemaker.list_endpoints()["Endpoints"]),
    }


def kept_groups(cloud: TestCloud) -> list[dict[str, Any]]:
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/kept")
    groups: list[dict[str, Any]] = found["logGroups"]
    return groups


ONE_OF_EACH = {"groups": 1, "models": 1, "configs": 1, "endpoints": 1}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    return tmp_path


def begin(cloud: TestCloud, body: str) -> None:
    cloud.client("cloudformation").create_stack(StackName=NAME, TemplateBody=body)


def test_a_creation_that_is_killed_at_each_of_its_events_completes(directory: Path) -> None:
    at = [
        "Group CREATE_IN_PROGRESS",
        "Model CREATE_IN_PROGRESS",
        "Config CREATE_IN_PROGRESS",
        "Endpoint CREATE_IN_PROGRESS",
    ]
    with local_cloud(state_dir=directory) as cloud:
        image = prepare(cloud, BUCKET)
        begin(cloud, template(image, 1))
        killed_at(cloud, at[0])
    for event in at[1:]:
        with local_cloud(state_dir=directory) as cloud:
            killed_at(cloud, event)
    with local_cloud(state_dir=directory) as cloud:
        assert settled(cloud) == "CREATE_COMPLETE", events(cloud)
        assert made(cloud) == ONE_OF_EACH
        cloud.client("cloudformation").delete_stack(StackName=NAME)
        killed_at(cloud, "Endpoint DELETE_IN_PROGRESS")
    with local_cloud(state_dir=directory) as cloud:
        wait_for("the deletion", lambda: made(cloud) == dict.fromkeys(ONE_OF_EACH, 0) or None, 60)


@pytest.mark.parametrize(
    "event",
    [
        "Group UPDATE_IN_PROGRESS",
        "Model UPDATE_IN_PROGRESS",
        "Endpoint UPDATE_IN_PROGRESS",
        f"{NAME} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    ],
)
def test_an_update_that_is_killed_completes(directory: Path, event: str) -> None:
    with local_cloud(state_dir=directory) as cloud:
        image = prepare(cloud, BUCKET)
        begin(cloud, template(image, 1))
        assert settled(cloud) == "CREATE_COMPLETE"
        client = cloud.client("cloudformation")
        client.update_stack(StackName=NAME, TemplateBody=template(image, 2))
        killed_at(cloud, event)
    with local_cloud(state_dir=directory) as cloud:
        assert settled(cloud) == "UPDATE_COMPLETE", events(cloud)
        assert made(cloud) == ONE_OF_EACH
        (group,) = kept_groups(cloud)
        assert group["retentionInDays"] == 14
        endpoint = cloud.client("sagemaker").describe_endpoint(EndpointName="kept")
        (config,) = cloud.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
        assert endpoint["EndpointConfigName"] == config["EndpointConfigName"]


@pytest.mark.parametrize("creation", [True, False])
def test_a_rollback_that_is_killed_completes(directory: Path, creation: bool) -> None:
    begun = "ROLLBACK_IN_PROGRESS" if creation else "UPDATE_ROLLBACK_IN_PROGRESS"
    with local_cloud(state_dir=directory) as cloud:
        image = prepare(cloud, BUCKET)
        begin(cloud, template(image, 1, broken=creation))
        if not creation:
            assert settled(cloud) == "CREATE_COMPLETE"
            client = cloud.client("cloudformation")
            client.update_stack(StackName=NAME, TemplateBody=template(image, 2, broken=True))
        killed_at(cloud, f"{NAME} {begun}")
    with local_cloud(state_dir=directory) as cloud:
        assert settled(cloud) == begun.replace("IN_PROGRESS", "COMPLETE"), events(cloud)
        expected = dict.fromkeys(ONE_OF_EACH, 0) if creation else ONE_OF_EACH
        assert made(cloud) == expected
        if not creation:
            (group,) = kept_groups(cloud)
            assert group["retentionInDays"] == 7
