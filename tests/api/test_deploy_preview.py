"""`up`, `preview` and `down` of a small program: options of its resources, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud

pytestmark = pytest.mark.emulator_only

PROGRAM = """
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
bucket = aws.s3.Bucket(
    "bucket",
    bucket="preview-" + (config.get("bucket") or "a"),
    tags={"tag": config.get("tag") or "one"},
    opts=pulumi.ResourceOptions(protect=config.get_bool("protect") or False),
)
versioning = aws.s3.BucketVersioning(
    "versioning", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}
)
topic = aws.sns.Topic(
    "topic", name="preview", opts=pulumi.ResourceOptions(retain_on_delete=True)
)
if config.get("parameter") != "no":
    parameter = aws.ssm.Parameter(
        "parameter",
        name="/preview",
        type="String",
        value=config.get("value") or "none",
        description=pulumi.Output.concat("of ", bucket.arn),
        opts=pulumi.ResourceOptions(ignore_changes=["value"]),
    )
    hidden = aws.ssm.Parameter(
        "hidden",
        name="/preview/hidden",
        type="String",
        value=pulumi.Output.secret(config.get("secret") or "hush"),
    )
pulumi.export("bucket", bucket.bucket)
"""
# What `preview` calls a change, and what `up` does.
WORDS = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "retain": "retained",
}


class Stack:
    """The small program's stack, driven by the command line."""

    def __init__(self, cloud: TestCloud, directory: Path) -> None:
        self.cloud, self.directory = cloud, directory
        self.status = 0
        (directory / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
        (directory / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
        (directory / "__main__.py").write_text(PROGRAM)

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run a command; return what it printed, or its one line of error."""
        answer = subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments, "--endpoint-url", self.cloud.url],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.status = answer.returncode
        assert "Traceback" not in answer.stderr
        if fails:
            assert self.status == 1, answer.stdout
            assert len(answer.stderr.strip().splitlines()) == 1
            return answer.stderr
        assert self.status in (0, 2), answer.stderr
        return answer.stdout

    def preview(self, *settings: str) -> dict[str, Any]:
        """Return a preview as JSON, without what stays the same."""
        text = self.run("preview", "test", "--json", *_config(settings))
        found: dict[str, Any] = json.loads(text)
        found["changes"].pop("same", None)
        found["steps"] = [step for step in found["steps"] if step["change"] != "same"]
        assert self.status == (2 if found["steps"] else 0)
        return found

    def up(self, *settings: str) -> list[str]:
        """Deploy; return change, type and name of each resource but the unchanged ones."""
        text = self.run("up", "test", *_config(settings))
        lines = [line.split() for line in text.splitlines() if line.startswith("  ")]
        return [" ".join(words[:3]) for words in lines if words[0] in WORDS.values()]


def _config(settings: tuple[str, ...]) -> list[str]:
    return [word for setting in settings for word in ("--config", setting)]


def steps(found: dict[str, Any]) -> list[str]:
    """Return a preview's steps as `up` says them."""
    return [
        f"{WORDS[step['change']]} {step['type'].rpartition(':')[2]} {step['name']}"
        for step in found["steps"]
    ]


@pytest.fixture
def stack(cloud: TestCloud, tmp_path: Path) -> Iterator[Stack]:
    if not cloud.ours:
        pytest.skip("the deployer deploys to a local cloud")
    made = Stack(cloud, tmp_path)
    yield made
    made.run("down", "test", "--unprotect")
    sns = cloud.client("sns")
    for topic in sns.list_topics()["Topics"]:  # retained on delete
        if topic["TopicArn"].endswith(":preview"):
            sns.delete_topic(TopicArn=topic["TopicArn"])


def test_a_preview_says_what_up_then_does(stack: Stack) -> None:
    runs: list[tuple[tuple[str, ...], dict[str, int]]] = [
        ((), {"create": 5}),
        ((), {}),
        (("tag=two",), {"update": 1}),
        (("tag=two", "parameter=no"), {"delete": 2}),
        # A replacement, and that of what is set on it.
        (("tag=two", "bucket=b", "parameter=no"), {"replace": 2, "delete": 2}),
    ]
    for settings, changes in runs:
        before = stack.cloud.get("/_localcloud/stacks/test")
        found = stack.preview(*settings)
        assert (changes, before) == (found["changes"], stack.cloud.get("/_localcloud/stacks/test"))
        assert sorted(steps(found)) == sorted(stack.up(*settings))
    buckets = [b["Name"] for b in stack.cloud.client("s3").list_buckets()["Buckets"]]
    assert [name for name in buckets if name.startswith("preview-")] == ["preview-b"]


def test_a_preview_shows_what_differs_and_no_secret(stack: Stack) -> None:
    stack.up()
    text = stack.run("preview", "test", *_config(("tag=two", "secret=louder")))
    assert "\x1b[" not in text
    assert "  ~  update Bucket bucket preview-a" in text
    assert "       tags.tag: one → two" in text
    assert "       value: <secret> → <secret>" in text
    assert "louder" not in text
    assert "hush" not in text
    assert text.endswith("2 to update; 3 unchanged.\n")


def test_what_a_new_resource_computes_is_not_known_beforehand(stack: Stack) -> None:
    stack.up()
    (update,) = [s for s in stack.preview("bucket=b")["steps"] if s["change"] == "update"]
    assert update["name"] == "parameter"
    assert update["differences"] == [
        {"path": "description", "before": "of arn:aws:s3:::preview-a", "after": "<computed>"}
    ]


def test_an_ignored_change_stays_with_who_wrote_it(stack: Stack) -> None:
    stack.up()
    ssm = stack.cloud.client("ssm")
    ssm.put_parameter(Name="/preview", Value="written", Overwrite=True)
    assert stack.preview("value=other")["changes"] == {}
    assert stack.up("value=other") == []
    stack.up("value=other", "bucket=b")
    assert ssm.get_parameter(Name="/preview")["Parameter"]["Value"] == "written"


def test_a_protected_resource_refuses_before_anything_is_deleted(stack: Stack) -> None:
    stack.up("protect=true")
    refused = stack.run("down", "test", fails=True)
    assert "Bucket 'bucket' (preview-a)" in refused
    assert "localcloud down test --unprotect" in refused
    for command in ("preview", "up"):
        settings = _config(("protect=true", "bucket=b", "parameter=no"))
        assert "Bucket 'bucket'" in stack.run(command, "test", *settings, fails=True)
    assert stack.preview("protect=true")["changes"] == {}
    text = stack.run("down", "test", "--unprotect")
    assert "deleted Bucket bucket" in text
    assert "retained Topic topic" in text
    topics = [t["TopicArn"] for t in stack.cloud.client("sns").list_topics()["Topics"]]
    assert any(arn.endswith(":preview") for arn in topics)
