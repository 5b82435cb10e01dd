"""Puts the template of `localcloud init` into the wheel; everything else is in pyproject.toml."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithTemplate(build_py):
    """Copies the files of a project into the package that writes projects."""

    def run(self) -> None:
        """Build the packages, and the template unless the installation is editable."""
        super().run()
        if self.editable_mode:
            return
        listed = runpy.run_path(str(ROOT / "localcloud" / "project" / "files.py"))
        for name, source in listed["project_files"](ROOT):
            target = Path(self.build_lib) / "localcloud" / "project" / "template" / name
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithTemplate})
