"""A network of this machine only, for the clients and for the cloud that they ask.

Where the kernel permits it (Linux, as root), the calling thread and every child that it starts
leave for a network namespace that has loopback and nothing else. Everywhere, the guards in `guard/`
refuse other addresses in each Python and Node process, and write down what was refused.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD = Path(__file__).parent / "guard"
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def guarded(log: Path) -> dict[str, str]:
    """Return the variables by which children load the guards; `log` is what they append to."""
    return {
        "PYTHONPATH": str(GUARD),
        "NODE_OPTIONS": f"--require={GUARD / 'guard.cjs'}",
        "NETWORK_GUARD_LOG": str(log),
    }


@contextmanager
def only_loopback() -> Iterator[bool]:
    """Leave the machine's network for one of loopback alone; yield whether that is permitted."""
    if sys.platform != "linux":
        yield False
        return
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            yield False
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
            yield True
        finally:
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot return to the machine's network")
    finally:
        os.close(before)
