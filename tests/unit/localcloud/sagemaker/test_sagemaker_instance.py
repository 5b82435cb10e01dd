"""An instance whose process ends before it is healthy."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.sagemaker.instance import Instance, InstanceFailed


def test_the_reason_has_what_the_container_said_last() -> None:
    async def run() -> None:
        said: deque[str] = deque(["starting"])
        child: Any = SimpleNamespace(returncode=1, exited=asyncio.Event())

        def drain() -> None:
            said.append("this model cannot be served")
            child.exited.set()

        asyncio.get_running_loop().call_later(0.05, drain)
        await Instance(child, 1, said).wait_healthy(5)

    with pytest.raises(InstanceFailed, match=r"status 1: starting \| this model cannot be served"):
        asyncio.run(run())
