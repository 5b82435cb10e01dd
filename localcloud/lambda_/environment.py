"""An execution environment: a directory of code, a process, and its Runtime API.

    starting ──► idle ◄──► busy ──► stopped

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.core.archives import unzip
from localcloud.core.child_process import Child, ChildProcesses
from localcloud.core.clock import monotonic
from localcloud.lambda_.limits import CODE_BOUNDS
from localcloud.lambda_.runtime_api import Invocation, Outcome, RuntimeApi, error_payload

_STOP_GRACE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Function:
    """The parts of a function that running it needs.

    Attributes:
        version_key: changes with the code and with the configuration.
        timeout_seconds: in wall-clock seconds, because the handler really computes.
    """

    scope: Scope
    name: str
    arn: str
    role_arn: str
    handler: str
    runtime: str
    timeout_seconds: int
    memory_megabytes: int
    version_key: str
    log_group: str
    environment: dict[str, str] = field(default_factory=dict)


class Environment:
    """A process that runs one function, one event at a time.

    Args:
        function: the function.
        directory: a new directory for its code.
        role: the variables by which the code calls AWS as the function's role.
    """

    def __init__(self, function: Function, directory: Path, role: dict[str, str]) -> None:
        self.function = function
        self._role = role
        self.log_stream = f"[$LATEST]{uuid.uuid4().hex}"
        self._directory = directory
        self._api = RuntimeApi()
        self._child: Child | None = None

    @property
    def alive(self) -> bool:
        """Return whether the process is running."""
        return self._child is not None and self._child.returncode is None

    @property
    def child(self) -> Child | None:
        """Return the process, or None before it is started."""
        return self._child

    async def start(
        self, children: ChildProcesses, code: bytes, sink: Callable[[str], None]
    ) -> None:
        """Unpack the code and start the runtime client.

        Raises:
            OSError: the process cannot be started.
            ArchiveError: the code is not a zip archive, or too large.
        """
        await asyncio.to_thread(unzip, code, self._directory, CODE_BOUNDS)
        await self._api.start()
        function = self.function
        self._child = await children.spawn(
            [sys.executable, "-m", "awslambdaric", function.handler],
            {
                **function.environment,
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_megabytes),
                "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
                "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
                **self._role,
                "LAMBDA_TASK_ROOT": str(self._directory),
                "_HANDLER": function.handler,
            },
            self._directory,
            sink,
        )

    async def invoke(self, event: bytes, request_id: str, wall_epoch: float) -> Outcome:
        """Run one event and return its outcome; a handler past its timeout is killed."""
        function = self.function
        deadline = int((wall_epoch + function.timeout_seconds) * 1000)
        answer = self._api.submit(Invocation(request_id, function.arn, event, deadline))
        assert self._child is not None  # noqa: S101 - start() came first
        exited = asyncio.create_task(self._child.exited.wait())
        waited: list[asyncio.Future[Any]] = [answer, exited]
        began = monotonic()
        try:
            await asyncio.wait(
                waited,
                timeout=function.timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            exited.cancel()
        if answer.done():
            return answer.result()
        if not self.alive:
            message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
            return Outcome(error_payload("Runtime.ExitError", message), "Unhandled")
        self._child.kill()
        elapsed = monotonic() - began
        message = f"{request_id} Task timed out after {elapsed:.2f} seconds"
        return Outcome(error_payload("Sandbox.Timedout", message), "Unhandled")

    async def stop(self) -> None:
        """Stop the process and delete the code."""
        if self._child is not None:
            await self._child.stop(_STOP_GRACE_SECONDS)
        await self._api.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def is_json(payload: bytes) -> bool:
    """Return whether an event is valid JSON."""
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True
