"""The real AWS provider deploys the program's resources to a local cloud: it finds what mocks hide.

Terraform and a mirror of hashicorp/aws are needed: `TF_PLUGIN_MIRROR` names a directory that holds
`registry.terraform.io/hashicorp/aws/VERSION/PLATFORM`. Without them every test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud, local_cloud
from tests.listing import resources
from tests.provider.render import PROVIDER

pytestmark = [pytest.mark.provider, pytest.mark.emulator_only, pytest.mark.timeout(900)]

MIRROR = os.environ.get("TF_PLUGIN_MIRROR", "")
# The stacks as their files have them, and with all that a setting can add.
VARIANTS: dict[str, dict[str, str]] = {
    "as the files say": {},
    "all on": {
        "encryption": "aws:kms",
        "accessLogs": "true",
        "dataCapturePercent": "10",
        "monthlyBudgetUsd": "50",
        "notificationEmail": "team@example.com",
        "approvalEmail": "lead@example.com",
    },
}
CHANGED = {
    "trainingMaxRuntimeSeconds": "1800",
    "latencyP99Milliseconds": "700",
    "approvalTimeoutMinutes": "600",
}
# What these settings are in, and nothing else.
TOUCHED = {
    "aws_cloudwatch_dashboard.dev_dev_dashboard",
    "aws_cloudwatch_dashboard.prd_prd_dashboard",
    "aws_cloudwatch_metric_alarm.dev_dev_latency_p99",
    "aws_cloudwatch_metric_alarm.prd_prd_latency_p99",
    "aws_codepipeline.dev_delivery",
}


def missing() -> str:
    """Return why the provider cannot be run here; nothing when it can."""
    if shutil.which("terraform") is None:
        return "terraform is not on PATH"
    if not MIRROR:
        return "TF_PLUGIN_MIRROR is not set"
    if not list(Path(MIRROR).glob(f"{PROVIDER}/*/*")):
        return f"TF_PLUGIN_MIRROR={MIRROR} does not hold {PROVIDER}/VERSION/PLATFORM"
    return ""


@dataclass(frozen=True, slots=True)
class Terraform:
    """A Terraform configuration of both stacks, applied to a cloud of its own."""

    cloud: TestCloud
    directory: Path
    settings: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run terraform without colours and questions."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env={
                **clean,
                "TF_CLI_CONFIG_FILE": str(self.directory / "terraform.rc"),
                "TF_IN_AUTOMATION": "1",
                "TF_INPUT": "0",
                "CHECKPOINT_DISABLE": "1",
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """Run terraform; return what it printed."""
        answer = self.run(*arguments, "-no-color")
        assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
        return answer.stdout

    def init(self) -> None:
        """Install the provider from the mirror, and keep its schema."""
        (self.directory / "terraform.rc").write_text(
            f'provider_installation {{ filesystem_mirror {{ path = "{MIRROR}" }} }}\n'
        )
        needed = {"required_providers": {"aws": {"source": "hashicorp/aws"}}}
        (self.directory / "main.tf.json").write_text(json.dumps({"terraform": needed}))
        self.done("init")
        schema = self.run("providers", "schema", "-json")
        (self.directory / "schema.json").write_text(schema.stdout)

    def render(self, **changed: str) -> None:
        """Write both stacks' resources, with settings over the variant's."""
        settings = {**self.settings, **changed}
        arguments = [f"{key}={value}" for key, value in settings.items()]
        schema = str(self.directory / "schema.json")
        answer = subprocess.run(
            [
                *(sys.executable, "-m", "tests.provider.render"),
                *(schema, str(self.directory), self.cloud.url, *arguments),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr

    def plan(self) -> dict[str, list[str]]:
        """Return what a plan would do, by address; what stays is left out."""
        answer = self.run("plan", "-no-color", "-detailed-exitcode", "-out=plan")
        assert answer.returncode in (0, 2), answer.stdout[-4000:] + answer.stderr[-4000:]
        shown: dict[str, Any] = json.loads(self.done("show", "-json", "plan"))
        changes = {c["address"]: c["change"]["actions"] for c in shown["resource_changes"]}
        found = {address: done for address, done in changes.items() if done != ["no-op"]}
        assert bool(found) == (answer.returncode == 2)
        return found

    def count(self) -> int:
        """Return how many resources the configuration has."""
        document = json.loads((self.directory / "main.tf.json").read_text())
        return sum(len(labelled) for labelled in document["resource"].values())


@pytest.fixture(scope="module", params=VARIANTS)
def terraform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terraform]:
    """Both stacks, applied; the tests of a variant go on from each other."""
    why = missing()
    if why:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("terraform")
    log = directory / "localcloud.log"
    with local_cloud(speed=60.0, log=log) as cloud:
        made = Terraform(cloud, directory, VARIANTS[request.param])
        made.init()
        made.render()
        made.done("apply", "-auto-approve")
        yield made
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


def test_what_was_applied_needs_no_change(terraform: Terraform) -> None:
    assert terraform.count() > 80
    assert terraform.plan() == {}


def test_a_changed_setting_updates_in_place_what_it_touches(terraform: Terraform) -> None:
    terraform.render(**CHANGED)
    assert terraform.plan() == {address: ["update"] for address in TOUCHED}
    terraform.done("apply", "plan")
    assert terraform.plan() == {}


def test_a_changed_tag_reaches_each_resource_in_place(terraform: Terraform) -> None:
    terraform.render(**CHANGED, owner="somebody-else")
    planned = terraform.plan()
    assert {tuple(actions) for actions in planned.values()} == {("update",)}
    assert len(planned) >= 40
    terraform.done("apply", "plan")
    assert terraform.plan() == {}


def test_what_is_destroyed_leaves_nothing(terraform: Terraform) -> None:
    terraform.done("destroy", "-auto-approve")
    assert resources(terraform.cloud) == {}
