"""Checks that the packages of a lock have wheels for every Python and machine, without installing.

    python -m install.wheels requirements.lock

`uv` resolves the pins for each of them by the packages' metadata. Needs uv on the PATH, and PyPI.
Exit status: 0 if only the packages that `needs.py` names have none, 3 if others have none or one of
these has one now, 1 on an error.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from install.needs import LINUX, LINUX_ARM, MAC, expected

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The machine, and what uv calls it.
MACHINES = {
    LINUX: "x86_64-manylinux_2_28",
    LINUX_ARM: "aarch64-manylinux_2_28",
    MAC: "aarch64-apple-darwin",
}
# The oldest macOS: onnxruntime has no wheel for older ones.
MACOS = "14.0"
_HASH = re.compile(r"^\s*--hash=\S+\s*\\?$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Such as: Because awslambdaric==4.2.2 has no usable wheels / no wheels with a matching … tag
_MISSING = re.compile(r"\b([A-Za-z0-9][A-Za-z0-9._-]*)==\S+\s+has\s+no\s+(?:usable\s+)?wheels")


class CheckFailed(Exception):
    """uv failed for another reason than a missing wheel; the text says which."""


def pins(lock: str) -> list[str]:
    """Return the requirements of a lock without their hashes."""
    lines = [line for line in lock.splitlines() if line.strip() and not _HASH.match(line)]
    return [line.rstrip(" \\") for line in lines if not line.startswith(("#", "-"))]


def without_wheels(requirements: Iterable[str], python: str, machine: str) -> set[str]:
    """Return the names of the packages that have no wheel for a Python on a machine.

    Raises:
        CheckFailed: uv failed for another reason.
    """
    left, found = list(requirements), set[str]()
    while True:
        name = _first_missing(left, python, machine)
        if name is None:
            return found
        found.add(name)
        left = [one for one in left if _name_of(one) != name]


def _name_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0].lower() if match else ""


def _first_missing(requirements: list[str], python: str, machine: str) -> str | None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "requirements.txt"
        path.write_text("\n".join(requirements) + "\n")
        done = subprocess.run(
            [
                *("uv", "pip", "install", "--dry-run", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--python-version", python),
                *("--python-platform", MACHINES[machine]),
                *("--target", str(Path(place) / "target"), "--requirement", str(path)),
            ],
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 0:
        return None
    match = _MISSING.search(" ".join(done.stderr.split()))
    if match is None or match[1].lower() not in map(_name_of, requirements):
        raise CheckFailed(f"uv failed for Python {python} on {machine}: {done.stderr.strip()}")
    return match[1].lower()


def main(arguments: list[str]) -> int:
    """Check the locks that are given; return the exit status."""
    differences = 0
    try:
        for given in arguments or ["requirements.lock"]:
            requirements = pins(Path(given).read_text())
            for python in PYTHONS:
                for machine in MACHINES:
                    found = without_wheels(requirements, python, machine)
                    differences += _print(given, python, machine, found)
    except (CheckFailed, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 3 if differences else 0


def _print(lock: str, python: str, machine: str, found: set[str]) -> int:
    """Print what was found; return the number of differences from what `needs.py` names."""
    known = set(expected(python, machine))
    line = f"{lock}: Python {python} on {machine}: "
    line += f"no wheel of {', '.join(sorted(found))}" if found else "wheels of all packages"
    for name in sorted(found - known):
        line += f"\n  {name}: install/needs.py does not name it"
    for name in sorted(known - found):
        line += f"\n  {name}: install/needs.py names it, and it has a wheel"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return len(found ^ known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
