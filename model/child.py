"""Runs work in a child process, so that somebody is left to say how it ended.

A process that runs out of memory is killed by the kernel and can write nothing itself. The parent
imports nothing large, so the kernel kills the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a child process.

    Attributes:
        code: the exit code; 128 + the signal's number if a signal ended it, as in a shell.
        signal: the signal that ended it, or None.
        peak_bytes: the largest memory that it had resident at a time.
    """

    code: int
    signal: signal.Signals | None
    peak_bytes: int


def run_in_child(work: Callable[[], int]) -> Ending:
    """Run work in a forked child process and wait for its end.

    SIGTERM and SIGINT are passed on to the child. The child does not outlive this process (on
    Linux). Call this before any thread is started.

    Args:
        work: returns the exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(_run_child(work, parent))
    before = {number: signal.signal(number, lambda n, _: _send(child, n)) for number in _SIGNALS}
    try:
        _, status, usage = os.wait4(child, 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # In KiB, but in bytes on macOS.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if os.WIFSIGNALED(status):
        ended_by = signal.Signals(os.WTERMSIG(status))
        return Ending(128 + ended_by, ended_by, peak)
    return Ending(os.WEXITSTATUS(status), None, peak)


def _run_child(work: Callable[[], int], parent: int) -> int:
    code = 1
    try:
        prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                return code
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def _send(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return
