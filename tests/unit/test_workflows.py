"""The workflows: least permissions, no long-lived keys, production first."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    text = (ROOT / ".github/workflows" / f"{name}.yml").read_text()
    found: dict[Any, Any] = yaml.safe_load(text)
    # YAML reads the key `on` as a boolean.
    found["on"] = found.pop(True)
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def pulumi(name: str) -> list[dict[str, Any]]:
    return [s["with"] for s in steps(name) if s.get("uses", "").startswith("pulumi/actions@")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_its_jobs_ask_for_more(path: Path) -> None:
    assert workflow(path.stem)["permissions"] == {"contents": "read"}
    for job in workflow(path.stem)["jobs"].values():
        assert job["timeout-minutes"] <= 30
        assert set(job.get("permissions", {}).values()) <= {"read", "write"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_holds_a_key_or_runs_text_of_a_pull_request(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert "access-key" not in text.lower()
    assert "pull_request_target" not in text
    # Expressions reach a shell as environment variables, never as part of the script.
    assert [s for s in steps(path.stem) if "${{" in s.get("run", "")] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_has_a_version_and_every_make_target_exists(path: Path) -> None:
    used = [s["uses"] for s in steps(path.stem) if "uses" in s]
    assert [action for action in used if not action.rpartition("@")[2].startswith("v")] == []
    makefile = (ROOT / "Makefile").read_text()
    for step in steps(path.stem):
        if step.get("run", "").startswith("make "):
            for target in step["run"].split()[1:]:
                assert f"\n{target.replace('.venv', '$(VENV)')}:" in makefile, target


@pytest.mark.parametrize("name", ["preview", "drift", "deploy"])
def test_aws_is_reached_by_openid_connect(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        uses = [s.get("uses", "").partition("@")[0] for s in job["steps"]]
        if "aws-actions/configure-aws-credentials" in uses:
            assert job["permissions"]["id-token"] == "write"
            assert "environment" in job


def test_a_pull_request_gets_a_preview_of_both_stacks() -> None:
    job = workflow("preview")["jobs"]["preview"]
    assert job["strategy"]["matrix"]["stack"] == ["prd", "dev"]
    (arguments,) = pulumi("preview")
    assert arguments["command"] == "preview"
    assert arguments["comment-on-pr"] is True
    assert arguments["policyPacks"] == "policy"
    # A fork's code never gets credentials.
    assert "head.repo.full_name == github.repository" in job["if"]


def test_drift_is_looked_for_by_the_clock_and_changes_nothing() -> None:
    assert workflow("drift")["on"]["schedule"]
    (arguments,) = pulumi("drift")
    assert arguments["command"] == "preview"
    assert arguments["refresh"] is True
    assert arguments["expect-no-changes"] is True


def test_a_merge_deploys_production_first_each_behind_its_environment() -> None:
    jobs = workflow("deploy")["jobs"]
    assert jobs["prd"]["needs"] == "test"
    assert jobs["dev"]["needs"] == "prd"
    assert (jobs["prd"]["environment"], jobs["dev"]["environment"]) == ("prd", "dev")
    assert {a["command"] for a in pulumi("deploy")} == {"up"}
    assert workflow("deploy")["concurrency"]["cancel-in-progress"] is False
