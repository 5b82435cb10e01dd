"""Signals, and a question to a person whose answer may also come from elsewhere."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_LOOK_SECONDS = 0.5
# How long a child may tidy up after Ctrl-C, wall-clock seconds.
_TIDY_SECONDS = 30.0


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: unlike Ctrl-C in a terminal, the children did not get it."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End what runs inside by SIGTERM and SIGHUP as by Ctrl-C, so that it tidies up.

    Without it, a closed terminal or `timeout` would leave the children behind.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    for name in names:
        signal.signal(getattr(signal, name), end)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def read_line_while(open_: Callable[[], bool]) -> str | None:
    """Return the next line of standard input, empty at its end; None once `open_` is false.

    Args:
        open_: whether the question still stands; called twice a second.
    """
    sys.stdout.flush()
    while open_():
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        if ready:
            return sys.stdin.readline()
    return None


def run_child(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> int:
    """Run a command in this terminal; return its exit status.

    After Ctrl-C, which the command gets from the terminal, too, it may tidy up, such as write its
    report. A second Ctrl-C kills it.
    """
    with subprocess.Popen(command, cwd=directory, env=environment) as child:
        try:
            return child.wait()
        except KeyboardInterrupt as ended:
            if isinstance(ended, Terminated):
                child.terminate()
            try:
                child.wait(_TIDY_SECONDS)
            except BaseException:
                child.kill()
                raise
            raise
