"""The files of a revision, as Git has them, in a directory of their own."""

from __future__ import annotations

import contextlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from localcloud.cli.console import CommandError

_GIT_SECONDS = 60
WORKING_TREE = "the working tree"


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision and where its project lies.

    Attributes:
        name: as it was given, such as `main`.
        commit: the full hash; empty for the working tree.
        directory: the project's directory.
    """

    name: str
    commit: str
    directory: Path


def working_tree(project: Path) -> Revision:
    """Return the project as it lies there, with changes that are not committed."""
    return Revision(WORKING_TREE, "", project)


def check_out(project: Path, name: str, parent: Path) -> Revision:
    """Write the project's files of a revision to a new directory below `parent`.

    The repository's own index and working tree stay as they are.

    Raises:
        CommandError: the project is in no Git repository, or there is no such revision, or the
            project is not in it.
    """
    find = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    commit = _git(project, *find, f"{name}^{{commit}}")
    if not commit:
        raise CommandError(
            f"{name!r} is no revision of the Git repository of {project}; give a branch, a tag or "
            "a commit, and fetch it first if it is on a remote"
        )
    directory = Path(tempfile.mkdtemp(prefix="revision-", dir=parent))
    archive = parent / f"{commit}.tar"
    # In a directory of the repository, Git archives that directory alone.
    _git(project, "archive", "--format=tar", f"--output={archive}", commit)
    if archive.exists():
        # tarfile takes an archive without a file for a broken one.
        with contextlib.suppress(tarfile.ReadError), tarfile.open(archive) as files:
            files.extractall(directory, filter="data")
        archive.unlink()
    if not (directory / "Pulumi.yaml").is_file():
        where = _git(project, "rev-parse", "--show-prefix") or "its root"
        raise CommandError(f"revision {name} has no Pulumi.yaml in {where}")
    return Revision(name, commit, directory)


def _git(project: Path, *arguments: str) -> str:
    """Return what a Git command prints; an empty text if it fails.

    Raises:
        CommandError: there is no `git`, or the project is in no repository.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise CommandError("there is no `git` on the PATH, which `localcloud diff` needs") from None
    if "not a git repository" in done.stderr:
        raise CommandError(
            f"{project} is in no Git repository; `localcloud diff` compares revisions"
        )
    return done.stdout.strip() if done.returncode == 0 else ""
