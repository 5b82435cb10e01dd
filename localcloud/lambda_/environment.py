"""An execution environment: a directory of code, a process, and its Runtime API.

    starting ──► idle ◄──► busy ──► stopped

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.core.archives import unzip
from localcloud.core.child_process import Child, ChildProcesses
from localcloud.lambda_.limits import CODE_BOUNDS
from localcloud.lambda_.memory import peak_megabytes, until_over
from localcloud.lambda_.runtime_api import Invocation, Outcome, RuntimeApi, error_payload

_STOP_GRACE_SECONDS = 0.5
_MOST_LINES = 4096
# AWS's runtimes lie there. The local one is this environment's Python.
_RUNTIME_DIRECTORY = "/var/runtime"
_SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@dataclass(frozen=True, slots=True)
class Function:
    """The parts of a version of a function that running it needs.

    Attributes:
        arn: the ARN of the function without a qualifier.
        version: `$LATEST`, or the number of a published version.
        version_key: changes with the code and with the configuration.
        timeout_seconds: in wall-clock seconds, because the handler really computes.
    """

    scope: Scope
    name: str
    arn: str
    version: str
    role_arn: str
    handler: str
    runtime: str
    timeout_seconds: int
    memory_megabytes: int
    version_key: str
    log_group: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return the ARN of this version, which its warm environments are kept by."""
        return f"{self.arn}:{self.version}"


@dataclass(frozen=True, slots=True)
class Code:
    """The archives of a version: its own, and those of its layers in order."""

    archive: bytes
    layers: tuple[bytes, ...] = ()


class Environment:
    """A process that runs one function, one event at a time.

    Args:
        function: the function.
        directory: a new directory for its code.
        role: the variables by which the code calls AWS as the function's role.
        day: the AWS date, which the name of the log stream begins with.
    """

    def __init__(self, function: Function, directory: Path, role: dict[str, str], day: str) -> None:
        self.function = function
        self._role = role
        self.log_stream = f"{day}/[{function.version}]{uuid.uuid4().hex}"
        # The last lines that the current event has printed, for LogResult.
        self.printed: deque[str] = deque(maxlen=_MOST_LINES)
        # The most memory that the process has held, in MiB; never more than the function may hold.
        self.peak_megabytes = 0
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
        self, children: ChildProcesses, code: Code, sink: Callable[[str], None]
    ) -> None:
        """Unpack the code and start the runtime client.

        Raises:
            OSError: the process cannot be started.
            ArchiveError: the code is not a zip archive, or too large.
        """
        task, layers = self._directory / "task", self._directory / "opt"
        await asyncio.to_thread(unzip, code.archive, task, CODE_BOUNDS)
        for layer in code.layers:
            # A later layer replaces files of an earlier one, as in /opt.
            await asyncio.to_thread(unzip, layer, layers, CODE_BOUNDS)
        await self._api.start()
        self._child = await children.spawn(
            [sys.executable, "-m", "awslambdaric", self.function.handler],
            self._variables(task, layers),
            task,
            sink,
        )

    def _variables(self, task: Path, layers: Path) -> dict[str, str]:
        """Return the environment of the handler.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        function = self.function
        variables = {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **function.environment,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_megabytes),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            **self._role,
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": _RUNTIME_DIRECTORY,
            "_HANDLER": function.handler,
        }
        libraries = [str(layers / "python"), str(layers / "python" / _SITE_PACKAGES)]
        if layers.is_dir():
            own = function.environment.get("PYTHONPATH")
            variables["PYTHONPATH"] = os.pathsep.join([*([own] if own else []), *libraries])
        return variables

    async def invoke(
        self,
        event: bytes,
        request_id: str,
        wall_epoch: float,
        arn: str = "",
        client_context: str = "",
    ) -> Outcome:
        """Run one event and return its outcome; a handler past its timeout or memory is killed.

        The handler's context has the ARN by which the function was invoked, and the client context.
        """
        function = self.function
        deadline = int((wall_epoch + function.timeout_seconds) * 1000)
        answer = self._api.submit(
            Invocation(request_id, arn or function.arn, event, deadline, client_context)
        )
        assert self._child is not None  # noqa: S101 - start() came first
        pid, limit = self._child.pid, function.memory_megabytes
        ends = [
            asyncio.create_task(self._child.exited.wait()),
            asyncio.create_task(until_over(pid, limit)),
        ]
        waited: list[asyncio.Future[Any]] = [answer, *ends]
        try:
            await asyncio.wait(
                waited,
                timeout=function.timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for end in ends:
                end.cancel()
        self.peak_megabytes = max(self.peak_megabytes, peak_megabytes(pid))
        error = "Runtime.ExitError"
        if self.peak_megabytes > limit:
            self._child.kill()
            await self._child.exited.wait()
            self.peak_megabytes, error = limit, "Runtime.OutOfMemory"
        elif answer.done():
            return answer.result()
        if not self.alive:
            message = f"RequestId: {request_id} Error: {_end_of(self._child.returncode)}"
            return Outcome(error_payload(error, message), "Unhandled", ended=True)
        self._child.kill()
        message = (
            f"RequestId: {request_id} Error: Task timed out after "
            f"{function.timeout_seconds:.2f} seconds"
        )
        return Outcome(error_payload("Sandbox.Timedout", message), "Unhandled", ended=True)

    async def stop(self) -> None:
        """Stop the process and delete the code."""
        if self._child is not None:
            await self._child.stop(_STOP_GRACE_SECONDS)
        await self._api.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def _end_of(status: int | None) -> str:
    """Return how a runtime ended, in Lambda's words."""
    if not status:
        return "Runtime exited without providing a reason"
    if status > 0:
        return f"Runtime exited with error: exit status {status}"
    name = signal.strsignal(-status) or str(-status)
    return f"Runtime exited with error: signal: {name.lower()}"


def is_json(payload: bytes) -> bool:
    """Return whether an event is valid JSON."""
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True
