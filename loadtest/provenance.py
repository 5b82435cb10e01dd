"""The command, version and machine of a run, so that somebody can repeat it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

_PASSWORD = re.compile(r"(://)[^/@\s]+@")
_GIT_SECONDS = 5


def command_line(arguments: Sequence[str]) -> str:
    """Return the command of a run as a shell takes it, without the passwords of URLs."""
    joined = shlex.join(["python", "-m", "loadtest", *arguments])
    return _PASSWORD.sub(r"\1…@", joined)


def version() -> str:
    """Return the project's version, and its commit if this is a git work tree."""
    try:
        found = metadata.version("mlops-lab")
    except metadata.PackageNotFoundError:
        found = "unknown version"
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return found
    changed = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{found}, commit {commit}{changed}"


def machine() -> str:
    """Return the load generator's machine in words."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}"
    )


def _git(*arguments: str) -> str:
    place = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
