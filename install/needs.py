"""The packages of the lock that have no wheel somewhere, and what a machine needs to build them.

The standard library only, and syntax that Python 3.7 reads: `install.py` imports it. `wheels.py`
checks that the list is complete and that nothing on it is out of date.
"""

from __future__ import annotations

LINUX, LINUX_ARM, MAC = "linux-x86_64", "linux-aarch64", "macos-arm64"

# (package, Pythons or none for all, machines or none for all, programs that its build needs)
WITHOUT_WHEELS = [
    ("localstack-client", (), (), ()),
    ("awslambdaric", (), (MAC,), ("cmake", "c++")),
    ("gevent", ("3.11",), (MAC,), ("cc",)),
    ("pysimdjson", ("3.14",), (), ("c++",)),
]


def expected(python: str, machine: str) -> dict[str, tuple[str, ...]]:
    """Return the packages without a wheel, with the programs that their builds need."""
    return {
        package: programs
        for package, pythons, machines, programs in WITHOUT_WHEELS
        if (not pythons or python in pythons) and (not machines or machine in machines)
    }
