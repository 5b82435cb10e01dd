"""A small program by Pulumi's own engine: protection, replacement, secrets, and interruptions."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cloud import TestCloud, local_cloud, wait_for
from tests.engine.conftest import UP, Engine, use_home

pytestmark = pytest.mark.emulator_only
PROGRAM = """
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
bucket = aws.s3.Bucket(
    "bucket",
    bucket="small-" + (config.get("bucket") or "a"),
    opts=pulumi.ResourceOptions(protect=config.get_bool("protect") or False),
)
aws.s3.BucketVersioning(
    "versioning", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}
)
aws.ssm.Parameter(
    "hidden", name="/small/hidden", type="String", value=pulumi.Output.secret("hush")
)
aws.cloudwatch.LogGroup(
    "group", name="/small/group", retention_in_days=config.get_int("days") or 7
)
"""
UNKNOWN = {
    "type": (
        'aws.sqs.Queue("queue", name="queue")',
        "the local cloud does not support the type aws:sqs/queue:Queue",
    ),
    "input": (
        'aws.sns.Topic("topic", name="topic", fifo_topic=True)',
        "fifoTopic",
    ),
    "function": ("aws.get_availability_zones()", "getAvailabilityZones"),
}
# One after the other, so that there is a middle in which `up` can be interrupted.
CHAIN = """
import pulumi
import pulumi_aws as aws

made = []
for number in range(40):
    made.append(
        aws.ssm.Parameter(
            f"p{number}",
            name=f"/chain/{number}",
            type="String",
            value=str(number),
            opts=pulumi.ResourceOptions(depends_on=made[-1:]),
        )
    )
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Engine]:
    """A project whose program each test writes."""
    directory = tmp_path_factory.mktemp("small")
    use_home(directory, pulumi_home)
    (directory / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {virtualenv: .venv}}\n"
    )
    (directory / ".venv").symlink_to(sys.prefix)
    with local_cloud() as cloud:
        yield Engine(directory, cloud)


def begin(engine: Engine, stack: str, program: str) -> str:
    """Write the program and make a stack for it; return the stack's name."""
    (engine.directory / "__main__.py").write_text(program)
    (engine.directory / f"Pulumi.{stack}.yaml").write_text("config:\n  aws:region: us-east-1\n")
    engine.run("stack", "init", stack)
    return stack


def buckets(cloud: TestCloud) -> list[str]:
    return [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]


def parameters(cloud: TestCloud) -> set[str]:
    pages = cloud.client("ssm").get_paginator("describe_parameters").paginate()
    found = [p["Name"] for page in pages for p in page["Parameters"]]
    return {name for name in found if name.startswith("/chain/")}


def test_a_resource_is_protected_replaced_and_deleted_and_a_secret_stays_one(
    small: Engine,
) -> None:
    stack = begin(small, "plain", PROGRAM)
    small.up(stack, "-c", "protect=true")
    refused = small.run("destroy", "--stack", stack, "--yes", "--non-interactive", status=1)
    assert "protected" in refused
    assert buckets(small.cloud) == ["small-a"]
    said = small.up(stack, "-c", "bucket=b")
    assert "+-2 replaced" in said
    assert buckets(small.cloud) == ["small-b"]
    small.run("refresh", "--stack", stack, "--yes", "--non-interactive")
    state = json.dumps(small.deployment(stack))
    assert "hush" not in state
    assert small.cloud.client("ssm").get_parameter(Name="/small/hidden")["Parameter"]["Value"] == (
        "hush"
    )
    small.run("destroy", "--stack", stack, "--yes", "--non-interactive")
    assert buckets(small.cloud) == []


def test_what_was_created_half_way_is_completed_by_the_next_up(small: Engine) -> None:
    stack = begin(small, "half", PROGRAM)
    # CloudWatch Logs keeps events for 30 days or 60, and not for 31.
    said = small.up(stack, "-c", "days=31", status=1)
    assert "/small/group was created, but not all of it" in said
    # Pulumi's own SDK prints a traceback if the engine ends while the program still registers.
    assert "localcloud/deploy" not in said
    assert small.resources(stack)["group"]["id"] == "/small/group"
    small.up(stack, "-c", "days=30")
    (group,) = small.cloud.client("logs").describe_log_groups(logGroupNamePrefix="/small/group")[
        "logGroups"
    ]
    assert group["retentionInDays"] == 30
    small.run("destroy", "--stack", stack, "--yes", "--non-interactive")


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_supported_is_named_at_preview(small: Engine, kind: str) -> None:
    line, message = UNKNOWN[kind]
    stack = begin(small, f"unknown-{kind}", f"import pulumi_aws as aws\n{line}\n")
    said = small.run("preview", "--stack", stack, "--non-interactive", status=1)
    assert message in said


def interrupted(engine: Engine, stack: str, how: signal.Signals) -> str:
    """Interrupt `up` in the middle; return what it printed."""
    running = engine.start(*UP, "--stack", stack)
    try:
        wait_for("some of the parameters", lambda: len(parameters(engine.cloud)) > 5, 60)
    finally:
        # The engine's language host has a group of its own, and outlives a killed engine.
        hosts = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, how)
        said, _ = running.communicate(timeout=60)
        for host in hosts:
            with suppress(psutil.NoSuchProcess):
                host.kill()
    assert running.returncode != 0
    return said


def pending(engine: Engine, stack: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.deployment(stack).get("pending_operations") or []
    return found


def test_after_a_kill_the_next_up_goes_on(small: Engine) -> None:
    stack = begin(small, "killed", CHAIN)
    interrupted(small, stack, signal.SIGKILL)
    assert 5 < len(parameters(small.cloud)) < 40
    # The lock is the killed engine's.
    small.run("cancel", "--yes", "--stack", stack)
    known = ("--stack", stack, "--yes", "--non-interactive", "--skip-preview")
    small.run("refresh", *known, "--clear-pending-creates")
    # The last one may exist without the state knowing it: the engine died before it wrote that.
    recorded = {resource.get("id") for resource in small.resources(stack).values()}
    lost = parameters(small.cloud) - recorded
    for name in lost:
        logical = f"p{name.rpartition('/')[2]}"
        what = ("import", "aws:ssm/parameter:Parameter", logical, name)
        small.run(*what, *known, "--generate-code=false", "--protect=false")
    small.up(stack)
    assert len(parameters(small.cloud)) == 40
    resources = [r for r in small.resources(stack).values() if r["type"].startswith("aws:ssm")]
    assert len(resources) == 40
    assert pending(small, stack) == []
    small.run("destroy", "--stack", stack, "--yes", "--non-interactive", "--skip-preview")
    assert parameters(small.cloud) == set()


def test_what_is_cancelled_goes_on_with_the_next_up(small: Engine) -> None:
    stack = begin(small, "cancelled", CHAIN)
    # Ctrl-C reaches every process of the terminal.
    interrupted(small, stack, signal.SIGINT)
    assert 5 < len(parameters(small.cloud)) < 40
    assert pending(small, stack) == []
    small.up(stack)
    assert len(parameters(small.cloud)) == 40
    small.run("destroy", "--stack", stack, "--yes", "--non-interactive", "--skip-preview")
    assert parameters(small.cloud) == set()
