"""File descriptors: the check whether an error says that none is left. It knows nothing else."""

from __future__ import annotations

import errno
import os

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def out_of_descriptors(error: BaseException) -> bool:
    """Return whether an error has the cause that this process, or the machine, opens too much."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NONE_LEFT:
            return True
        cause = cause.__cause__ or cause.__context__
    # SQLite does not give the reason.
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as now:
        return now.errno in _NONE_LEFT
    return False
