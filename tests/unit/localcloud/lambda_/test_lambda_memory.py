"""The peak of a process's memory, as the kernel keeps it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from localcloud.lambda_.memory import peak_megabytes, until_over

pytestmark = [
    pytest.mark.emulator_only,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc"),
]


def test_the_peak_stays_when_the_memory_goes() -> None:
    before = peak_megabytes(os.getpid())
    held = bytearray(b"x" * ((before + 64) << 20))
    del held
    assert peak_megabytes(os.getpid()) >= before + 64


def test_a_process_that_is_gone_has_no_peak() -> None:
    assert peak_megabytes(2**22 + 1) == 0


def test_the_wait_ends_once_the_limit_is_passed() -> None:
    peak = peak_megabytes(os.getpid())
    asyncio.run(asyncio.wait_for(until_over(os.getpid(), peak - 1), 5))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(until_over(2**22 + 1, 0), 0.01))
