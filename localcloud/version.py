"""The version with the commit that runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from localcloud import __version__


def version() -> str:
    """Return the version; in a clone with its commit, and a plus if files were changed."""
    root = Path(__file__).parents[1]
    # Not of a repository that this package only happens to be installed in.
    if not (root / ".git").exists():
        return __version__
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__} (commit {commit})"
