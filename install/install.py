"""Sets up an environment from a lock: says what it will do, what is missing, and how far it is.

    python3 -m install.install .venv requirements-demo.lock

Uses uv where it is on the PATH, and pip otherwise. The standard library only, and syntax that
Python 3.7 reads, so that an old Python gets a sentence and not a traceback.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from typing import IO

from install.needs import LINUX, LINUX_ARM, MAC, expected

OLDEST, NEWEST = (3, 11), (3, 14)
# Of each lock: MB to download and on the disk, as pip leaves it on Linux x86-64.
SIZES = {"requirements-demo.lock": (210, 1100), "requirements.lock": (260, 1300)}
_MACHINES = {
    ("Linux", "x86_64"): LINUX,
    ("Linux", "aarch64"): LINUX_ARM,
    ("Darwin", "arm64"): MAC,
}
# What pip says of a package, and once it has all of them.
_STEP = re.compile(r"^(Collecting|Processing|Installing collected) (?:\S*/)?(\S+)")
_TREE_WALK = "model/tree_walk"
_TICK_SECONDS, _COLUMNS, _LINES = 0.5, 78, 20


def main(arguments: list[str]) -> int:
    """Set up the environment; return the exit status."""
    environment, lock = arguments
    version = sys.version_info[:2]
    if version < OLDEST:
        return _fail(
            f"Python 3.11 or newer is needed; {sys.executable} is {version[0]}.{version[1]}. "
            "Name another one: make PYTHON=python3.12"
        )
    uv = shutil.which("uv")
    packages = _packages(lock)
    _say(_plan(lock, len(packages), environment, uv))
    problem = missing_programs(packages, version)
    if problem:
        return _fail(problem)
    began = time.monotonic()
    python = os.path.join(environment, "bin", "python")
    # With the setuptools of the lock, and not one of the build's own.
    build = ["--quiet", "--no-deps", "--no-build-isolation"]
    if uv:
        make = [uv, "venv", "--quiet", "--allow-existing", "--seed", "--python", sys.executable]
        install = [uv, "pip", "install", "--python", python]
    else:
        make = [sys.executable, "-m", "venv"]
        install = [python, "-m", "pip", "install"]
    for command, count in (
        ([*make, environment], 0),
        ([*install, "--require-hashes", "--requirement", lock], len(packages)),
        ([*install, *build, "--editable", "."], 0),
        # Without a compiler this installs nothing, and ONNX Runtime scores trees, too.
        ([*install, *build, f"./{_TREE_WALK}"], 0),
    ):
        if _run(command, count, shows_itself=bool(uv)):
            return _fail(
                f"the installation failed at: {' '.join(command)}. Without a connection to PyPI, "
                "name another index by PIP_INDEX_URL (uv: UV_INDEX_URL); make clean starts over"
            )
    if not glob.glob(os.path.join(environment, "lib", "*", "site-packages", "tree_walk*.so")):
        _say(
            "There is no C compiler or no Python.h: endpoints will score trees by ONNX Runtime, "
            "slower and in more memory. With one, make clean and start over"
        )
    _say(f"Installed in {time.monotonic() - began:.0f} s.")
    return 0


def _plan(lock: str, count: int, environment: str, uv: str | None) -> str:
    download, disk = SIZES.get(os.path.basename(lock), (0, 0))
    sizes = f", about {download} MB to download and {disk} MB on the disk" if disk else ""
    tool = "uv" if uv else "pip (uv on the PATH would be several times faster)"
    return f"Installing {count} packages into {environment} by {tool}{sizes}."


def _packages(lock: str) -> set[str]:
    with open(lock, encoding="utf-8") as file:
        return {line.partition("==")[0].lower() for line in file if "==" in line}


def missing_programs(packages: set[str], version: tuple[int, int]) -> str:
    """Return what a package without a wheel needs and this machine lacks, or an empty string."""
    if platform.system() == "Windows":
        return "Windows is not supported; use WSL 2, where everything runs as on Linux"
    machine = _MACHINES.get((platform.system(), platform.machine()))
    if machine is None or version > NEWEST:
        _say("Not tried on this machine or Python: what has no wheel is built from source.")
        return ""
    lines = []
    for package, programs in sorted(expected(f"{version[0]}.{version[1]}", machine).items()):
        lacking = [program for program in programs if not shutil.which(program)]
        if package in packages and lacking:
            lines.append(f"{package} is built from source, which needs {' and '.join(lacking)}")
    if not lines:
        return ""
    how = (
        "xcode-select --install && brew install cmake"
        if machine == MAC
        else "sudo apt install build-essential; or take another Python: make PYTHON=python3.13"
    )
    return f"{'; '.join(lines)}. Install them first: {how}"


def _run(command: list[str], count: int, *, shows_itself: bool) -> int:
    """Run a command; in a terminal with one line that shows how far it is."""
    if shows_itself or not sys.stdout.isatty():
        return subprocess.call(command)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    ) as child:
        line = _Line(count)
        try:
            said = line.read(child.stdout) if child.stdout is not None else []
        finally:
            line.end()
    if child.returncode:
        sys.stdout.write("".join(said[-_LINES:]))
    return child.returncode


class _Line:
    """The line that shows how far pip is, twice a second."""

    def __init__(self, count: int) -> None:
        self._count, self._seen, self._what = count, 0, ""
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick)
        self._ticker.start()

    def read(self, output: IO[str]) -> list[str]:
        """Follow what pip prints to its end; return its lines."""
        lines = []
        for line in output:
            lines.append(line)
            match = _STEP.match(line)
            if match and match[1].startswith("Installing"):
                self._seen, self._what = self._count, "all are here; unpacking"
            elif match:
                self._seen = min(self._seen + 1, self._count)
                self._what = re.split("[=<>!;-]", match[2])[0]
        return lines

    def end(self) -> None:
        """Remove the line."""
        self._ended.set()
        self._ticker.join()

    def _tick(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(_TICK_SECONDS):
            text = f"{time.monotonic() - began:4.0f} s  "
            if self._count:
                text += f"{self._seen} of {self._count} packages  {self._what}"
            sys.stdout.write("\r\033[K" + text[:_COLUMNS])
            sys.stdout.flush()
        sys.stdout.write("\r\033[K")
        sys.stdout.flush()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(f"error: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
