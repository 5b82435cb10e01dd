"""The workflows: least permissions, no long-lived keys, production first."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.core.child_process import free_port

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    text = (ROOT / ".github/workflows" / f"{name}.yml").read_text()
    found: dict[Any, Any] = yaml.safe_load(text)
    # YAML reads the key `on` as a boolean.
    found["on"] = found.pop(True)
    return found


def steps(name: str) -> list[dict[str, Any]]:
    jobs = workflow(name)["jobs"].values()
    return [step for job in jobs for step in job.get("steps", [])]


def pulumi(name: str) -> list[dict[str, Any]]:
    return [s["with"] for s in steps(name) if s.get("uses", "").startswith("pulumi/actions@")]


def _step(script: str, directory: Path, **environment: str) -> int:
    """Run the script of a step as GitHub does; return its exit status."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=directory, env=given, check=False, timeout=20).returncode


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_its_jobs_ask_for_more(path: Path) -> None:
    assert workflow(path.stem)["permissions"] == {"contents": "read"}
    for job in workflow(path.stem)["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 30
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
    used = re.findall(r"uses: (\S+)(?: # (v[\d.]+))?", path.read_text())
    pinned = [re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action, _ in used]
    versions = [version for _, version in used]
    local = [action.startswith("./") for action, _ in used]
    assert all(
        is_local or (pin and tag)
        for pin, tag, is_local in zip(pinned, versions, local, strict=True)
    )
    makefile = (ROOT / "Makefile").read_text()
    for step in steps(path.stem):
        if step.get("run", "").startswith("make "):
            for target in step["run"].split()[1:]:
                assert f"\n{target.replace('.venv', '$(VENV)')}:" in makefile, target


@pytest.mark.parametrize("name", ["preview", "drift", "deploy", "deploy-stack"])
def test_aws_is_reached_by_openid_connect(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        uses = [s.get("uses", "").partition("@")[0] for s in job.get("steps", [])]
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
    scripts = {s["id"]: s["run"] for s in steps("drift") if "id" in s}
    assert "preview" in scripts["stack"]
    assert "--expect-no-changes" in scripts["stack"]
    assert "detect-stack-drift" in scripts["endpoint"]
    # Without a command, the action only installs Pulumi.
    assert [{"pulumi-version-file": ".pulumi-version"}] == pulumi("drift")


@pytest.mark.parametrize(
    ("output", "status", "drifted", "expected"),
    [
        ("Resources: 3 unchanged", 0, "false", 0),
        ("error: no changes were expected but changes were proposed", 255, "true", 0),
        ("error: ExpiredToken: the role cannot be assumed", 255, "", 255),
    ],
)
def test_an_error_of_the_comparison_is_no_drift(
    tmp_path: Path, output: str, status: int, drifted: str, expected: int
) -> None:
    (script,) = (s["run"] for s in steps("drift") if s.get("id") == "stack")
    fake = tmp_path / "pulumi"
    fake.write_text(f'#!/bin/sh\n[ "$1" = login ] && exit 0\necho "{output}"\nexit {status}\n')
    fake.chmod(0o755)
    (tmp_path / "output").touch()
    ended = _step(
        script,
        tmp_path,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        GITHUB_OUTPUT=str(tmp_path / "output"),
        STACK="prd",
        BACKEND="s3://state",
    )
    assert ended == expected
    assert (tmp_path / "output").read_text() == (f"drifted={drifted}\n" if drifted else "")


def test_a_merge_deploys_production_first_and_carries_out_the_plan_that_was_shown() -> None:
    jobs = workflow("deploy")["jobs"]
    assert jobs["prd"]["needs"] == "test"
    assert jobs["dev"]["needs"] == "prd"
    assert (jobs["prd"]["with"]["stack"], jobs["dev"]["with"]["stack"]) == ("prd", "dev")
    assert workflow("deploy")["concurrency"]["cancel-in-progress"] is False
    parts = workflow("deploy-stack")["jobs"]
    assert parts["plan"]["environment"] == "${{ inputs.stack }}-preview"
    assert (parts["up"]["environment"], parts["up"]["needs"]) == ("${{ inputs.stack }}", "plan")
    plan, up = pulumi("deploy-stack")
    assert (plan["command"], up["command"]) == ("preview", "up")
    assert plan["plan"] == up["plan"] == "plan.json"


def test_changes_of_the_container_reach_aws() -> None:
    deploy = workflow("deploy")
    assert "model/**" in deploy["on"]["push"]["paths"]
    assert deploy["jobs"]["source"]["needs"] == "dev"


def test_the_policy_pack_starts_wherever_pulumi_is_given_it() -> None:
    pack = yaml.safe_load((ROOT / "policy/PulumiPolicy.yaml").read_text())
    assert pack["runtime"] == {
        "name": "python",
        "options": {"toolchain": "pip", "virtualenv": ".venv"},
    }
    for name in ("preview", "deploy-stack"):
        for job in workflow(name)["jobs"].values():
            runs = " ".join(s.get("run", "") for s in job["steps"])
            assert "policy-pack" in runs, name


def test_pulumis_version_is_that_of_the_lock() -> None:
    version = (ROOT / ".pulumi-version").read_text().strip()
    assert f"\npulumi=={version} " in (ROOT / "requirements.lock").read_text()
    for name in ("preview", "deploy-stack", "drift"):
        assert all(a["pulumi-version-file"] == ".pulumi-version" for a in pulumi(name)), name


def test_pulumi_installs_the_lock() -> None:
    text = (ROOT / "requirements.txt").read_text()
    options = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert options == ["--require-hashes", "--requirement requirements.lock"]


def test_forks_get_the_comparison_and_no_token() -> None:
    job = workflow("diff")["jobs"]["diff"]
    assert "if" not in job
    assert "permissions" not in job
    assert "environment" not in job
    assert workflow("diff-comment")["on"]["workflow_run"]["workflows"] == ["diff"]
    # What has a token runs nothing of the pull request.
    assert [s for s in steps("diff-comment") if "uses" in s] == []


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (3, 0), (1, 1), (2, 2)])
def test_a_change_is_no_failure_of_the_comparison(
    tmp_path: Path, status: int, expected: int
) -> None:
    (script,) = (s["run"] for s in steps("diff") if s.get("name") == "Compare")
    fake = tmp_path / ".venv" / "bin" / "localcloud"
    fake.parent.mkdir(parents=True)
    fake.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
    fake.chmod(0o755)
    ended = _step(script, tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert ended == expected
    # A run that failed is in the summary, too.
    assert (tmp_path / "summary").read_text() == "diff HEAD^1 HEAD --run --markdown\n"


GH = """#!/bin/sh
echo "$*" >> calls
case "$*" in
  "run download"*) printf '%070000d' 0 > diff.md ;;
  *pulls*) echo "$NUMBER" ;;
  *--paginate*) echo "$COMMENT" ;;
esac
"""


@pytest.mark.parametrize(
    ("number", "comment", "last"),
    [
        ("7", "", "--method POST repos/lab/issues/7/comments --field body=@body.md"),
        ("7", "42", "--method PATCH repos/lab/issues/comments/42 --field body=@body.md"),
        ("", "", "--method GET repos/lab/pulls"),
    ],
)
def test_a_pull_request_has_one_comment(
    tmp_path: Path, number: str, comment: str, last: str
) -> None:
    (script,) = (s["run"] for s in steps("diff-comment"))
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    given = {"REPOSITORY": "lab", "RUN": "1", "BRANCH": "a:b", "COMMIT": "c"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert _step(script, tmp_path, PATH=path, NUMBER=number, COMMENT=comment, **given) == 0
    assert (tmp_path / "calls").read_text().splitlines()[-1].startswith(f"api {last}")
    if number:
        # The mark, and as much as GitHub takes in a comment.
        assert 60_000 < (tmp_path / "body.md").stat().st_size < 65_536


ACTION = ROOT / ".github" / "actions" / "localcloud"


def test_a_release_is_published_by_openid_connect_from_what_was_checked() -> None:
    release = workflow("release")
    assert list(release["on"]) == ["push"]
    assert list(release["on"]["push"]) == ["tags"]
    jobs = release["jobs"]
    assert {"id-token": "write"} == jobs["publish"]["permissions"]
    assert {"attestations": "write", "id-token": "write"} == jobs["attest"]["permissions"]
    assert "permissions" not in jobs["build"]
    assert ("attest", "pypi") == (
        jobs["publish"]["needs"],
        jobs["publish"]["environment"]["name"],
    )
    # What is published is what was built and checked; nothing is checked out again.
    uses = [s["uses"].partition("@")[0] for s in jobs["publish"]["steps"]]
    assert ["actions/download-artifact", "pypa/gh-action-pypi-publish"] == uses


@pytest.mark.parametrize(
    ("tag", "status"), [("v0.1.0", 0), ("v9.9.9", 1), ("v0.1.0; touch hostile", 1)]
)
def test_a_tag_that_is_not_the_version_is_not_released(
    tmp_path: Path, tag: str, status: int
) -> None:
    (script,) = (s["run"] for s in steps("release") if "tag" in s.get("name", ""))
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert _step(script, tmp_path, PATH=path, GITHUB_REF_NAME=tag) == status
    assert ["pyproject.toml"] == [p.name for p in tmp_path.iterdir()]


def test_the_action_passes_its_inputs_as_variables() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    given = action["runs"]["steps"][0]["env"]
    assert {"VERSION", "PORT", "SPEED", "INIT", "ACTION"} == set(given)


def test_the_action_starts_a_local_cloud_for_the_steps_after_it(tmp_path: Path) -> None:
    # In place of the environment that the action makes: this one's.
    bin_ = tmp_path / "localcloud" / "venv" / "bin"
    bin_.mkdir(parents=True)
    program = bin_ / "localcloud"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m localcloud "$@"\n'
    )
    program.chmod(0o755)
    port = str(free_port())
    given = {
        "VERSION": "none",
        "PORT": port,
        "SPEED": "60",
        "INIT": "",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ENV": str(tmp_path / "env"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    assert _step(f'bash "{ACTION / "start.sh"}"', tmp_path, **given) == 0
    url = f"http://127.0.0.1:{port}"
    lines = (tmp_path / "env").read_text().splitlines()
    exported = dict(line.split("=", 1) for line in lines)
    assert exported["AWS_ENDPOINT_URL"] == url
    assert (tmp_path / "output").read_text() == f"endpoint-url={url}\n"
    stop = {"RUNNER_TEMP": str(tmp_path), **exported}
    assert _step(f'bash "{ACTION / "stop.sh"}"', tmp_path, **stop) == 0
    assert "is ready on" in (tmp_path / "localcloud" / "localcloud.log").read_text()


def test_the_development_container_makes_what_the_course_needs() -> None:
    document = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    command, target = document["postCreateCommand"].split()
    assert command == "make"
    makefile = (ROOT / "Makefile").read_text()
    assert f"\n{target.replace('.venv', '$(VENV)')}:" in makefile
    assert document["forwardPorts"] == [4566]
