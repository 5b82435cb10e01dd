"""Terraform on the program's resources: where it is, and a configuration of both stacks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud import ROOT, TestCloud
from tests.provider.render import PROVIDER

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
        "logRetentionDays": "365",
        "functionConcurrency": "2",
        "tracing": "true",
        "vpcSubnets": '["subnet-01234567"]',
        "vpcSecurityGroups": '["sg-01234567"]',
        "imageScanSeverity": "HIGH",
    },
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
