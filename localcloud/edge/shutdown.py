"""The end of the process within a bounded time, whatever its threads are doing.

A signal is received by Python itself, between two steps of the program, and not by the event loop,
which may be busy. It asks the loop to stop, and arms a deadline at which the process ends in any
case. That is like a kill: what was acknowledged is on disk already, and the child processes end
with their parent. Must not: know what has to be closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("localcloud")

# The time in which a shutdown must end; wall-clock seconds.
DEADLINE_SECONDS = 15.0
# The later deadline, in C, holds even if a thread never lets another one run.
_LAST_SECONDS = DEADLINE_SECONDS + 2


class Shutdown:
    """Stops the local cloud once, by a signal or by the shutdown route.

    Args:
        busy: returns what moto is doing, for the log; empty if it is idle.
    """

    def __init__(self, busy: Callable[[], str]) -> None:
        self._busy = busy
        self._loop = asyncio.get_running_loop()
        self._armed = False
        self.requested = asyncio.Event()

    def listen(self) -> None:
        """Handle SIGINT and SIGTERM; call it in the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: self.request())

    def request(self) -> None:
        """Ask the loop to stop, and end the process at the deadline if it does not."""
        if not self._armed:
            self._armed = True
            faulthandler.dump_traceback_later(_LAST_SECONDS, exit=True)
            timer = threading.Timer(DEADLINE_SECONDS, self._end)
            timer.daemon = True
            timer.start()
        self._loop.call_soon_threadsafe(self.requested.set)

    def _end(self) -> None:
        busy = self._busy()
        log.warning(
            "the local cloud did not end within %d seconds%s; it ends now",
            DEADLINE_SECONDS,
            f" (moto{busy})" if busy else "",
        )
        os._exit(1)


def pid_file(port: int) -> Path:
    """Return the file with the process id of the local cloud of this user on a port."""
    return Path(tempfile.gettempdir()) / f"localcloud-{os.getuid()}-{port}.pid"


def note_pid(port: int) -> None:
    """Write this process's id to the file; without it, `localcloud stop` has the route only."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        file = os.open(pid_file(port), flags, 0o600)
        try:
            os.write(file, str(os.getpid()).encode())
        finally:
            os.close(file)


def forget_pid(port: int) -> None:
    """Delete the file."""
    with contextlib.suppress(OSError):
        pid_file(port).unlink(missing_ok=True)


def terminate(port: int) -> bool:
    """Send SIGTERM to the local cloud of this user on a port; return whether there is one."""
    file = pid_file(port)
    try:
        pid = int(file.read_text()) if file.stat().st_uid == os.getuid() else 0
        # The file may be left over, and its number may be another process by now.
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            command = subprocess.run(
                ("ps", "-o", "args=", "-p", str(pid)), capture_output=True, text=True, check=True
            ).stdout
        if "localcloud" not in command:
            return False
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return True
