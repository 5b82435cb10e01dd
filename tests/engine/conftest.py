"""Pulumi's own engine on a local cloud, driven by `localcloud pulumi`.

Every test is skipped where there is no `pulumi` on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud

NOT_COPIED = shutil.ignore_patterns(".*", "build", "__pycache__")
UP = ("up", "--yes", "--non-interactive", "--skip-preview")
# What a user's shell has, and the command must not see.
FOREIGN = {
    "AWS_PROFILE": "work",
    "AWS_SESSION_TOKEN": "theirs",
    "PULUMI_ACCESS_TOKEN": "theirs",
    "PULUMI_BACKEND_URL": "s3://theirs",
}


@dataclass(frozen=True)
class Engine:
    """A project, and the local cloud that it is deployed to."""

    directory: Path
    cloud: TestCloud

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `localcloud pulumi` as the leader of a group of processes."""
        return subprocess.Popen(
            [sys.executable, "-m", "localcloud", "pulumi", *arguments],
            cwd=self.directory,
            env={**os.environ, **FOREIGN, "AWS_ENDPOINT_URL": self.cloud.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run `localcloud pulumi`; return its output."""
        running = self.start(*arguments)
        said, _ = running.communicate(timeout=240)
        assert status == running.returncode, said[-4000:]
        return said

    def up(self, stack: str, *arguments: str, status: int = 0) -> str:
        return self.run(*UP, "--stack", stack, *arguments, status=status)

    def preview(self, stack: str, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return the steps of a preview that change something, by the resource's name."""
        said = self.run("preview", "--stack", stack, "--non-interactive", "--json", *arguments)
        plan = json.loads(said[said.index("{") : said.rindex("}") + 1])
        unchanged = ("same", "read", "refresh")
        return {
            step["urn"].rpartition("::")[2]: step
            for step in plan["steps"]
            if step["op"] not in unchanged and "aws:" in step["urn"]
        }

    def deployment(self, stack: str) -> dict[str, Any]:
        """Return the exported state."""
        exported = self.run("stack", "export", "--stack", stack)
        found: dict[str, Any] = json.loads(exported[exported.index("{") :])["deployment"]
        return found

    def resources(self, stack: str) -> dict[str, dict[str, Any]]:
        """Return the resources of the state, by name."""
        found = self.deployment(stack)["resources"]
        return {resource["urn"].rpartition("::")[2]: resource for resource in found}

    def outputs(self, stack: str) -> dict[str, Any]:
        said = self.run("stack", "output", "--stack", stack, "--json")
        found: dict[str, Any] = json.loads(said[said.index("{") : said.rindex("}") + 1])
        return found


def copy_of_the_lab(directory: Path) -> Path:
    """Copy the project; its environment is the one of the tests."""
    shutil.copytree(ROOT, directory, ignore=NOT_COPIED)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def use_home(directory: Path, home: Path) -> None:
    """Give a project a PULUMI_HOME that others have, too: the language host is installed once."""
    state = directory / ".localcloud" / "pulumi"
    state.mkdir(parents=True)
    (state / "home").symlink_to(home)


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for what Pulumi installs."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session", autouse=True)
def _needs_pulumi() -> None:
    if shutil.which("pulumi") is None:
        pytest.skip("there is no `pulumi` on the PATH")
