"""`localcloud diff`: a change of the program, as its reviewers see it before it is deployed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cloud import ROOT, configured_url
from tests.e2e.conftest import needs_git

pytestmark = [needs_git, pytest.mark.e2e, pytest.mark.emulator_only]

PARTS = ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prd.yaml")
FOLDERS = ("components", "lambda_src", "model", "policy")


def git(directory: Path, *arguments: str) -> None:
    author = ("-c", "user.name=lab", "-c", "user.email=lab@example.com")
    subprocess.run(["git", *author, *arguments], cwd=directory, check=True, timeout=60)


def temporary(project: Path) -> Path:
    """Return the directory where a comparison puts what is its own."""
    found = project.with_name(f"{project.name}-temporary")
    found.mkdir(exist_ok=True)
    return found


def diff(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a token in its environment, as a job has one."""
    kept = {k: v for k, v in os.environ.items() if k not in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "localcloud", "diff", *arguments],
        cwd=project,
        env={**kept, "GITHUB_TOKEN": "s3cret", "TMPDIR": str(temporary(project))},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab in a repository of its own, with one commit on `main`."""
    if configured_url() is not None:
        pytest.skip("the command starts a local cloud of its own")
    found = tmp_path_factory.mktemp("project")
    for name in PARTS:
        shutil.copy(ROOT / name, found)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, found / name, ignore=shutil.ignore_patterns("__pycache__", ".venv")
        )
    git(found, "init", "--quiet", "--initial-branch=main")
    git(found, "add", "--all")
    git(found, "commit", "--quiet", "--message", "Begin")
    return found


@pytest.mark.slow
def test_a_change_is_shown_by_value_cost_permission_rule_and_template(project: Path) -> None:
    settings = project / "Pulumi.prd.yaml"
    settings.write_text(settings.read_text().replace("ml.m5.large", "ml.r5.large"))
    grants = project / "components" / "policies.py"
    grants.write_text(grants.read_text().replace('"logs:PutLogEvents"', '"logs:*"'))
    # A program of a stranger, who would like to have the token.
    program = project / "__main__.py"
    wired = "provider = endpoint_provider"
    assert wired in program.read_text()
    line = 'tags = {**tags, "stolen": os.environ.get("GITHUB_TOKEN", "nothing")}\n'
    program.write_text(program.read_text().replace(wired, line + wired))
    git(project, "switch", "--quiet", "--create", "change")
    git(project, "commit", "--quiet", "--all", "--message", "Change")

    answer = diff(project, "main", "change", "--json")
    assert answer.returncode == 3, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    assert "s3cret" not in answer.stdout + answer.stderr
    stolen = {
        difference["after"]
        for stack in found["stacks"]
        for step in stack["steps"]
        for difference in step["differences"]
        if difference["path"] == "tags.stolen"
    }
    assert stolen == {"nothing"}

    steps = {step["name"]: step["change"] for s in found["stacks"] for step in s["steps"]}
    assert steps["prd-template-object"] == "update"
    assert set(steps.values()) == {"update"}
    assert {item["stack"] for item in found["cost"]["items"]} == {"prd"}
    assert 0 < found["cost"]["before"] < found["cost"]["after"]
    assert all(
        grant["action"] == "logs:*" for held in found["permissions"] for grant in held["gained"]
    )
    assert any(held["gained"] and held["lost"] for held in found["permissions"])
    assert "ml.r5.large" in [d["after"] for t in found["templates"] for d in t["differences"]]
    assert {v["rule"] for v in found["violations"] if v["new"]} == {"wildcard-iam"}


@pytest.mark.slow
def test_the_working_tree_is_compared_with_the_last_commit(project: Path) -> None:
    git(project, "switch", "--quiet", "--force", "main")
    answer = diff(project)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == (
        answer.stdout.splitlines()[0]
        + "\n\nNothing that is deployed changes.\n**Rules**: none is violated.\n"
    )
    (project / "__main__.py").write_text("raise SystemExit('no program')\n")
    answer = diff(project)
    git(project, "checkout", "--quiet", ".")
    assert answer.returncode == 1
    assert "preview prd of the working tree failed: " in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_run_of_the_head_marks_the_grants_that_it_used(project: Path) -> None:
    git(project, "switch", "--quiet", "--force", "main")
    grants = project / "components" / "policies.py"
    # Functions of the pipeline write their logs; that of the monitor waits for its schedule.
    own = '["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]'
    assert own in grants.read_text()
    grants.write_text(grants.read_text().replace(own, own.replace("Put", "*Put")))
    try:
        answer = diff(project, "--run", "--json")
        assert answer.returncode == 3, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        assert found["run"] == {"status": "Succeeded", "reason": "", "denied": []}
        gained = {held["holder"]: held["gained"] for held in found["permissions"]}
        used = {
            holder.removeprefix("role mlops-iris-model-").removesuffix("-us-east-1"): {
                grant["used"] for grant in grants
            }
            for holder, grants in gained.items()
        }
        assert used["train"] == {True}
        assert used["prd-monitor"] == {False}
    finally:
        git(project, "checkout", "--quiet", ".")


@pytest.mark.slow
def test_a_run_that_is_denied_a_call_is_an_error_that_names_it(project: Path) -> None:
    grants = project / "components" / "policies.py"
    needed = '"sagemaker:CreateTrainingJob", '
    assert needed in grants.read_text()
    grants.write_text(grants.read_text().replace(needed, ""))
    try:
        answer = diff(project, "--run", "--markdown")
    finally:
        git(project, "checkout", "--quiet", ".")
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("error: the lab's run of the working tree failed: iris-model-pipeline ")
    assert "is not authorized to perform: sagemaker:CreateTrainingJob" in line
    assert "**The lab's run failed**; 1 call denied\n" in answer.stdout
    denied = "! mlops-iris-model-train-us-east-1: sagemaker:CreateTrainingJob on arn:aws:"
    assert denied in answer.stdout
    assert list(temporary(project).iterdir()) == []
    assert running_in(temporary(project)) == []


def running_in(directory: Path) -> list[str]:
    """Return the commands of the running processes whose home is in a directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.environ().get("HOME", "")).is_relative_to(directory):
                found.append(" ".join(process.cmdline()))
    return found
