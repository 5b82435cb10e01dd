"""The files of a revision come from Git, and nothing in the repository changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localcloud.cli.console import CommandError
from localcloud.review.revisions import check_out
from tests.e2e.conftest import needs_git

pytestmark = [pytest.mark.emulator_only, needs_git]


def git(directory: Path, *arguments: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *author, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    found = tmp_path / "repository"
    (found / "lab").mkdir(parents=True)
    git(found, "init", "--quiet", "--initial-branch=main")
    for text in ("first", "second"):
        for project in (found, found / "lab"):
            (project / "Pulumi.yaml").write_text(f"name: {text}")
        git(found, "add", "--all")
        git(found, "commit", "--quiet", "--message", text)
    (found / "Pulumi.yaml").write_text("name: dirty")
    return found


def test_a_revision_has_its_own_files(repository: Path, tmp_path: Path) -> None:
    found = check_out(repository, "HEAD~1", tmp_path)
    assert (found.directory / "Pulumi.yaml").read_text() == "name: first"
    assert found.commit == git(repository, "rev-parse", "HEAD~1").strip()
    assert (repository / "Pulumi.yaml").read_text() == "name: dirty"
    assert git(repository, "status", "--porcelain").split() == ["M", "Pulumi.yaml"]


def test_a_project_below_the_root_is_found_there(repository: Path, tmp_path: Path) -> None:
    found = check_out(repository / "lab", "main", tmp_path)
    assert [path.name for path in found.directory.iterdir()] == ["Pulumi.yaml"]
    assert (found.directory / "Pulumi.yaml").read_text() == "name: second"


@pytest.mark.parametrize("name", ["nowhere", "--output=/tmp/x", "", "HEAD~99", "main:Pulumi.yaml"])
def test_what_is_no_revision_is_named(repository: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="is no revision of the Git repository"):
        check_out(repository, name, tmp_path)


def test_a_revision_without_a_project_is_named(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "--orphan", "empty")
    git(repository, "rm", "--quiet", "-r", "--force", ".")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "empty")
    with pytest.raises(CommandError, match="revision empty has no Pulumi"):
        check_out(repository, "empty", tmp_path)


def test_a_directory_outside_of_git_is_named(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    with pytest.raises(CommandError, match="is in no Git repository"):
        check_out(tmp_path / "alone", "main", tmp_path)
