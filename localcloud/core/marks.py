"""Marks in the environment of child processes, by which their descendants are found.

A process group is not enough: a descendant that calls setsid leaves it, and SIGKILL of the local
cloud reaches only its direct children. Descendants inherit the environment, so each child gets a
variable that names its local cloud and itself:

    LOCALCLOUD_CHILD=4711.8390.17        pid and start time of the local cloud, number of the child

An example in time. A build starts `sleep 1000 &` and the local cloud is killed by SIGKILL. The
build's shell dies with it, and the sleep goes on. The next local cloud, in any directory, finds the
sleep by its mark, sees that no process 4711 with the start time 8390 exists, and kills it. The
start time tells the local cloud from a later process with the same pid.

Differs: only Linux lets a process read the environment of others; elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

MARK = "LOCALCLOUD_CHILD"
_PROC = Path("/proc")
_numbers = itertools.count(1)


def new_mark() -> str:
    """Return the mark of a new child of this process."""
    return f"{_owner(os.getpid())}.{next(_numbers)}"


def kill_marked(mark: str) -> int:
    """Kill every process with a mark by SIGKILL; return their number."""
    return _kill(pid for pid, found in _marked() if found == mark)


def reap_orphans() -> int:
    """Kill every marked process whose local cloud no longer runs; return their number."""
    return _kill(pid for pid, found in _marked() if not _runs(found.rpartition(".")[0]))


def orphans_of(pids: Iterable[int]) -> list[int]:
    """Return the marked processes that run although their local cloud, one of `pids`, has ended."""
    owners = {str(pid) for pid in pids}
    return [
        pid
        for pid, mark in _marked()
        if mark.partition(".")[0] in owners and not _runs(mark.rpartition(".")[0])
    ]


def _kill(pids: Iterator[int]) -> int:
    killed = 0
    for pid in list(pids):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _marked() -> Iterator[tuple[int, str]]:
    """Yield the pid and the mark of every marked process that this user may look into."""
    if not _PROC.is_dir():
        return
    name = f"{MARK}=".encode()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # it ended, or belongs to another user
            continue
        for variable in environment.split(b"\0"):
            if variable.startswith(name):
                yield int(entry.name), variable[len(name) :].decode("utf-8", "replace")
                break


def _runs(owner: str) -> bool:
    pid = owner.partition(".")[0]
    return pid.isdigit() and _start_time(int(pid)) == owner.partition(".")[2]


@cache
def _owner(pid: int) -> str:
    return f"{pid}.{_start_time(pid)}"


def _start_time(pid: int) -> str:
    """Return when a process began, in clock ticks since the machine's start; empty if it ended."""
    try:
        # The name of the program, in brackets, may contain spaces and brackets.
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
