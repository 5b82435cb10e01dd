"""The memory of a function's process: the peak that is reported, and the limit that ends it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
Differs: processes that the handler starts are not counted, and without /proc (macOS) nothing is.
"""

from __future__ import annotations

import re
from pathlib import Path

from localcloud.core.clock import wall_sleep

_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_LOOK_SECONDS = 0.1


def peak_megabytes(pid: int) -> int:
    """Return the most memory that a process has held, in MiB rounded up; 0 if it is not known.

    The kernel keeps the peak, so one look after an event sees what the event held in between.
    Source: https://www.kernel.org/doc/html/latest/filesystems/proc.html
    """
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return 0
    return -(-int(found[1]) // 1024) if found is not None else 0


async def until_over(pid: int, limit_megabytes: int) -> None:
    """Wait until a process has held more than `limit_megabytes`."""
    while peak_megabytes(pid) <= limit_megabytes:
        await wall_sleep(_LOOK_SECONDS)
