"""`up`, `preview` and `down` of a small program: options of its resources, by the command line."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud, local_cloud

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
pulumi.export("secret", {"nested": [pulumi.Output.secret("hush-hush")]})
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

    def __init__(
        self, cloud: TestCloud, directory: Path, name: str = "small", program: str = PROGRAM
    ) -> None:
        self.cloud, self.directory = cloud, directory
        self.status = 0
        (directory / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
        (directory / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
        (directory / "__main__.py").write_text(program)

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
        assert self.status in (0, 3), answer.stderr
        return answer.stdout

    def preview(self, *settings: str) -> dict[str, Any]:
        """Return a preview as JSON, without what stays the same."""
        text = self.run("preview", "test", "--json", *_config(settings))
        found: dict[str, Any] = json.loads(text)
        found["changes"].pop("same", None)
        found["steps"] = [step for step in found["steps"] if step["change"] != "same"]
        assert self.status == (3 if found["steps"] else 0)
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
        before = stack.cloud.get("/_localcloud/stacks/small/test")
        found = stack.preview(*settings)
        assert (changes, before) == (
            found["changes"],
            stack.cloud.get("/_localcloud/stacks/small/test"),
        )
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


def test_a_secret_output_is_shown_as_one_and_stays_one_for_another_stack(
    stack: Stack, tmp_path: Path
) -> None:
    assert "hush" not in stack.run("up", "test")
    assert "secret = [secret]" in stack.run("up", "test")
    other = tmp_path / "other"
    other.mkdir()
    reader = Stack(stack.cloud, other, name="reader", program=READER)
    text = reader.run("up", "test")
    assert "hush" not in text
    assert "copy = [secret]" in text
    assert "bucket = preview-a" in text
    reader.run("down", "test")


READER = """
import pulumi
other = pulumi.StackReference("organization/small/test")
pulumi.export("copy", other.get_output("secret"))
pulumi.export("bucket", other.get_output("bucket"))
"""
TOPIC = """
import pulumi
import pulumi_aws as aws
topic = aws.sns.Topic("topic", name="{name}")
pulumi.export("topic", topic.name)
"""


RENAMED = """
import pulumi
import pulumi_aws as aws
config = pulumi.Config()
name, how = config.require("name"), config.get("how")
aliases = {
    "name": [pulumi.Alias(name="old")],
    "urn": ["urn:pulumi:test::renamed::aws:s3/bucket:Bucket::old"],
    "elsewhere": [pulumi.Alias(name="old", project="another")],
}.get(how, [])
opts = pulumi.ResourceOptions(aliases=aliases)
bucket = aws.s3.Bucket(name, bucket="renamed-" + (how or "not"), opts=opts)
"""


@pytest.mark.parametrize("how", ["name", "urn"])
def test_a_resource_renamed_by_an_alias_stays_the_same(
    stack: Stack, tmp_path: Path, how: str
) -> None:
    (tmp_path / "renamed").mkdir()
    renamed = Stack(stack.cloud, tmp_path / "renamed", name="renamed", program=RENAMED)
    renamed.run("up", "test", "-c", "name=old", "-c", f"how={how}")
    s3 = stack.cloud.client("s3")
    s3.put_object(Bucket=f"renamed-{how}", Key="kept", Body=b"x")
    for settings in (("-c", "name=new", "-c", f"how={how}"),) * 2:
        assert "Nothing to do; 1 unchanged" in renamed.run("preview", "test", *settings)
        assert "Done: 1 unchanged" in renamed.run("up", "test", *settings)
    assert s3.get_object(Bucket=f"renamed-{how}", Key="kept")["Body"].read() == b"x"
    s3.delete_object(Bucket=f"renamed-{how}", Key="kept")
    assert "1 deleted" in renamed.run("down", "test")


def test_two_projects_may_have_a_stack_of_one_name(stack: Stack, tmp_path: Path) -> None:
    stacks = []
    for project in ("first", "second"):
        (tmp_path / project).mkdir()
        program = TOPIC.format(name=project)
        stacks.append(Stack(stack.cloud, tmp_path / project, name=project, program=program))
        assert "1 created" in stacks[-1].run("up", "test")
    (tmp_path / "nowhere").mkdir()
    outside = Stack(stack.cloud, tmp_path / "nowhere", name="third", program="")
    for file in outside.directory.glob("Pulumi*"):
        file.unlink()
    text = outside.run("down", "test", fails=True)
    assert "the stack test exists in the projects first, second" in text
    assert "1 deleted" in stacks[0].run("down", "test")
    assert "1 unchanged" in stacks[1].run("up", "test")
    assert "1 deleted" in outside.run("down", "test")  # only one project has such a stack now


def test_a_stack_stays_in_its_account(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    there = Stack(stack.cloud, tmp_path, name="there", program=TOPIC.format(name="there"))
    assert "1 created" in there.run("up", "test")
    topics = replace(stack.cloud, account="222222222222").client("sns").list_topics()["Topics"]
    assert [t["TopicArn"] for t in topics] == ["arn:aws:sns:us-east-1:222222222222:there"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    for command in ("up", "preview"):
        text = " ".join(there.run(command, "test", fails=True).split())
        assert "stack test is in account 222222222222" in text
        assert "set AWS_ACCESS_KEY_ID=222222222222" in text
    assert "1 deleted" in there.run("down", "test")


def test_a_stack_of_an_older_version_is_found_by_its_project(tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path / "state") as cloud:
        (tmp_path / "p").mkdir()
        made = Stack(cloud, tmp_path / "p", name="first", program=TOPIC.format(name="old"))
        made.run("up", "test")
    with closing(sqlite3.connect(tmp_path / "state" / "state.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE record SET key = 'test' WHERE collection = 'deployed-stack' "
            "AND key = 'first/test'"
        )
    with local_cloud(state_dir=tmp_path / "state") as cloud:
        made.cloud = cloud
        assert "1 unchanged" in made.run("up", "test")


REFUSED = {
    "aliases of a component": (
        'pulumi.ComponentResource("x:y:Z", "c", opts=pulumi.ResourceOptions('
        'aliases=[pulumi.Alias(name="a")]))',
        "x:y:Z 'c' uses aliases of a component",
    ),
    "import": (
        'aws.sns.Topic("b", name="b", opts=pulumi.ResourceOptions(import_="arn"))',
        "aws:sns/topic:Topic 'b' uses import_",
    ),
    "transforms": (
        'aws.sns.Topic("b", name="b", opts=pulumi.ResourceOptions(transforms=[lambda args: None]))',
        "uses transforms",
    ),
    "transforms of the stack": (
        "pulumi.runtime.register_resource_transform(lambda args: None)",
        "registers transforms of the stack",
    ),
    "deleted_with": (
        'aws.sns.Topic("b", name="b", opts=pulumi.ResourceOptions(deleted_with=topic))',
        "uses deleted_with",
    ),
    "default_tags": (
        'aws.Provider("tagged", region="us-east-1", '
        'default_tags=aws.ProviderDefaultTagsArgs(tags={"a": "b"}))',
        "the provider 'tagged' sets defaultTags",
    ),
    "another region": (
        'aws.Provider("west", region="us-west-2")',
        "the provider 'west' is for the region us-west-2",
    ),
    "a name twice": (
        'aws.sns.Topic("topic", name="b")',
        "Duplicate resource URN 'urn:pulumi:test::refused::aws:sns/topic:Topic::topic'",
    ),
    "no name": ('aws.sns.Topic("b")', "the input name is missing"),
    "no bucket name": ('aws.s3.Bucket("b")', "the input bucket is missing"),
    "a function": ("aws.get_availability_zones()", "getAvailabilityZones"),
    "a read": (
        'aws.sns.Topic.get("b", "arn:aws:sns:us-east-1:000000000000:b")',
        "aws:sns/topic:Topic.get('b') reads an existing resource",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_carried_out_is_refused_before_anything_is_touched(
    stack: Stack, tmp_path: Path, kind: str
) -> None:
    line, message = REFUSED[kind]
    (tmp_path / "refused").mkdir()
    program = TOPIC.format(name="refused") + line + "\n"
    refused = Stack(stack.cloud, tmp_path / "refused", name="refused", program=program)
    for command in ("preview", "up"):
        assert message in refused.run(command, "test", fails=True)
    topics = stack.cloud.client("sns").list_topics()["Topics"]
    assert not [t for t in topics if t["TopicArn"].endswith((":refused", ":b"))]
