"""Scanners of other makers find nothing in the program, but for what is allowed with its reason.

`make scan` sets up their environment. checkov reads the resources as Terraform JSON, which takes
the provider's schema: without Terraform and a mirror (see tests/provider) those tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud
from tests.provider.terraform import VARIANTS, Terraform, missing
from tests.unit.components.recording import PRODUCTION_OUTPUTS, record

SCANNERS = Path(__file__).parent / ".venv" / "bin"
ALLOWED: dict[str, dict[str, str]] = tomllib.loads(
    (Path(__file__).parent / "allowed.toml").read_text()
)

pytestmark = [
    pytest.mark.emulator_only,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not SCANNERS.exists(), reason="`make scan` sets up the scanners"),
]

# parliament's findings, by role policy.
PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
for name, policy in json.load(sys.stdin).items():
    for finding in analyze_policy_string(policy).findings:
        print(f"{name}: {finding.issue} {finding.detail} {finding.location}")
"""


@pytest.fixture(scope="module", params=VARIANTS)
def rendered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Return the name of a variant, and a directory with its Terraform JSON and its templates."""
    why = missing()
    if why:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("scanned")
    terraform = Terraform(
        TestCloud("http://127.0.0.1:4566", ours=True), directory, VARIANTS[request.param]
    )
    terraform.init()
    terraform.render()
    for archive in directory.glob("*_template_object.zip"):
        with zipfile.ZipFile(archive) as files:
            (directory / f"{archive.stem}.template.json").write_bytes(files.read("template.json"))
    return request.param, directory


def checkov(framework: str, *files: Path) -> set[tuple[str, str]]:
    """Return the failed checks, each with the resource."""
    arguments = [part for file in files for part in ("--file", str(file))]
    done = subprocess.run(
        [
            *(str(SCANNERS / "checkov"), "--framework", framework, "--skip-download"),
            *("--output", "json", "--quiet", "--compact", *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    found = json.loads(done.stdout)
    reports = found if isinstance(found, list) else [found]
    summaries = [report["summary"] for report in reports]
    assert sum(summary["passed"] + summary["failed"] for summary in summaries) > 0
    assert sum(summary["parsing_errors"] for summary in summaries) == 0
    return {
        (check["check_id"], check["resource"])
        for report in reports
        for check in report["results"]["failed_checks"]
    }


def allowed(variant: str) -> dict[str, str]:
    """Return the checks that may fail, with the reasons: of every variant, and of this one."""
    return {**ALLOWED.get("always", {}), **ALLOWED.get(variant, {})}


def test_checkov_finds_nothing_else_in_the_resources(rendered: tuple[str, Path]) -> None:
    variant, directory = rendered
    found = checkov("terraform_json", directory / "main.tf.json")
    reasons = allowed(variant)
    assert {f"{check} {resource}" for check, resource in found if check not in reasons} == set()
    assert set(reasons) - {check for check, _ in found} == set()


def test_checkov_finds_nothing_in_the_endpoints_templates(rendered: tuple[str, Path]) -> None:
    _, directory = rendered
    templates = sorted(directory.glob("*.template.json"))
    assert len(templates) == 2
    found = checkov("cloudformation", *templates)
    assert {f"{check} {resource}" for check, resource in found} == set()


def test_parliament_finds_nothing_in_the_roles() -> None:
    kms = {"encryption": "aws:kms"}
    outputs = {**PRODUCTION_OUTPUTS, "encryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/p"}
    everything = {"accessLogs": "true", "dataCapturePercent": "10", **kms}
    recordings = {
        "prd": record("prd", everything),
        "dev": record("dev", everything, production=outputs),
    }
    policies: dict[str, Any] = {
        f"{stack} {made.name}": made.inputs["policy"]
        for stack, recording in recordings.items()
        for made in recording.registrations
        if made.type == "aws:iam/rolePolicy:RolePolicy"
    }
    assert len(policies) >= 10
    done = subprocess.run(
        [str(SCANNERS / "python"), "-c", PARLIAMENT],
        input=json.dumps(policies),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = done.stdout.splitlines()
    reasons = ALLOWED["parliament"]
    assert [line for line in found if not any(text in line for text in reasons)] == []
    assert [text for text in reasons if not any(text in line for line in found)] == []
