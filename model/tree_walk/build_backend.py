"""setuptools, in a directory of its own, and with a compiler from PyPI where the machine has none.

A slim image has no compiler. The directory keeps the build's files out of the source, which is a
part of the image's context.

Source: https://peps.python.org/pep-0517/
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
from typing import Any

from setuptools import build_meta

# A C compiler as a wheel, for Linux and macOS on both architectures.
_COMPILER = "ziglang==0.15.1"
_FILES = ("pyproject.toml", "setup.py", "build_backend.py", "tree_walk.c")


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what the build needs beside setuptools."""
    return [] if _has_compiler() else [_COMPILER]


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel; return its file name."""
    target = os.path.abspath(wheel_directory)
    source = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        if not _has_compiler():
            # For any processor of this architecture, and not for the one that builds.
            os.environ["CC"] = f"{shlex.quote(sys.executable)} -m ziglang cc -mcpu=baseline"
            os.environ["ZIG_GLOBAL_CACHE_DIR"] = os.path.join(directory, "cache")
        for name in _FILES:
            shutil.copy(name, directory)
        os.chdir(directory)
        try:
            name = build_meta.build_wheel(target, config_settings)
        finally:
            os.chdir(source)
    return str(name)


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build the source distribution; return its file name."""
    return str(build_meta.build_sdist(sdist_directory, config_settings))


def _has_compiler() -> bool:
    usual = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    return bool(os.environ.get("CC") or shutil.which(usual))
