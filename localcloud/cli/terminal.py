"""Signals, and a question to a person whose answer may also come from elsewhere."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

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


def run_child(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None] | None = None,
) -> int:
    """Run a command in this terminal; return its exit status.

    After Ctrl-C, which the command gets from the terminal, too, it may tidy up, such as write its
    report. A second Ctrl-C kills it.

    Args:
        command: the program and its arguments.
        directory: where it runs.
        environment: all of its variables.
        say: gets the lines of its output and of its errors, which otherwise go to the terminal.
    """
    streams: dict[str, Any] = {}
    if say is not None:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=directory, env=environment, **streams) as child:
        try:
            for line in child.stdout or ():
                assert say is not None  # noqa: S101 - there is a pipe only with it
                say(line.rstrip("\n"))
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


@contextmanager
def single_keys() -> Iterator[None]:
    """Read keys one by one inside, without waiting for the line's end; Ctrl-C keeps its meaning."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def pressed_key(seconds: float = 0) -> str:
    """Return a key that was pressed, in lower case; empty if there is none within some seconds."""
    if not sys.stdin.isatty():
        return ""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 1).decode("ascii", "ignore").lower() if ready else ""
