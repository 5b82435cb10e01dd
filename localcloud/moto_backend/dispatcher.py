"""The moto backend: moto in this process, behind one thread.

moto stores what a request gives it and answers from that; nothing happens by itself. The services
of this package add what does happen: events are delivered, alarms evaluated, functions invoked.
Every change to moto's behaviour is in `patches/`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from localcloud.aws.errors import AwsError, NotImplementedByCloud
from localcloud.aws.protocol import IMPORT_OF_MOTO, operation_name, serialise_error
from localcloud.aws.routing import Request, Response, Scope
from localcloud.core.clock import wall_sleep
from localcloud.moto_backend.patches import Caller, EventListener, RoleListener, apply
from localcloud.moto_backend.persistence import Recorder

# Set before moto is imported. A provider expects AWS-managed policies to exist.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
# moto must never use the network or Docker.
os.environ.setdefault("MOTO_EVENTS_INVOKE_HTTP", "false")

T = TypeVar("T")
log = logging.getLogger("localcloud.moto_backend")

# The services that moto answers here; any other service answers 501.
SERVICES = (
    "budgets",
    "cloudwatch",
    "codebuild",
    "codecommit",
    "ecr",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
_SWEEP_SECONDS = 1.0
# moto's response to a request that matches none of its routes.
_NOT_IN_MOTO = "Not yet implemented"
_HOST_OF_SERVICE = {"cloudwatch": "monitoring", "ecr": "api.ecr"}
# Services whose host name has no region.
_GLOBAL = ("budgets",)


class MotoBackend:
    """moto behind one thread, so that calls are in order and its dictionaries need no lock.

    Args:
        state: the SQLite file of its state; None keeps the state in memory only.

    Raises:
        StateDirectoryError: the file cannot be used.
    """

    def __init__(self, state: Path | None = None) -> None:
        self._recorder = Recorder(state, SERVICES) if state else None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moto")
        self._stubber: Any = None
        self._on_event: EventListener = lambda rule_arn, targets, event: None
        self._on_role: RoleListener = lambda access_key, role_arn, session: None
        self._caller: Caller = lambda access_key: None

    async def start(
        self,
        on_event: EventListener,
        on_role: RoleListener | None = None,
        caller: Caller | None = None,
    ) -> None:
        """Import moto in its thread.

        Args:
            on_event: called in moto's thread for every rule that matches.
            on_role: called in moto's thread for every role that is assumed.
            caller: called in moto's thread; returns the role that an access key stands for.
        """
        self._on_event = on_event
        self._on_role = on_role or self._on_role
        self._caller = caller or self._caller
        await self.call(self._load)

    def _load(self) -> None:
        with IMPORT_OF_MOTO:
            from moto.core.botocore_stubber import BotocoreStubber

            self._stubber = BotocoreStubber()
            apply(self._on_event, self._on_role, self._caller)
        if self._recorder is not None:
            self._recorder.restore()

    async def keep(self) -> None:
        """Write once a second what changed without a request, until cancelled."""
        while self._recorder is not None:
            await wall_sleep(_SWEEP_SECONDS)
            try:
                await self.call(self._recorder.sweep)
            except (sqlite3.Error, OSError):
                log.exception("could not write the state of moto's services")

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in moto's thread, the only one that may access its backends."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*arguments)
        )

    async def handle(self, request: Request) -> Response:
        """Let moto answer a request."""
        if request.service not in SERVICES:
            return serialise_error(
                request.service, NotImplementedByCloud(request.service, "(every operation)")
            )
        return await self.call(self._answer, request)

    def _answer(self, request: Request) -> Response:
        response = self._dispatch(request)
        if self._recorder is not None and response.status < 500:
            try:
                self._recorder.after(request)
            except sqlite3.Error as error:
                log.error("a change to %s could not be stored: %s", request.service, error)
                text = (
                    f"The change could not be stored ({error}) and was not made. Make room on the "
                    "disk of the state directory, and repeat the request."
                )
                return serialise_error(request.service, AwsError("InternalFailure", text, 500))
        return response

    def _dispatch(self, request: Request) -> Response:
        from botocore.awsrequest import AWSPreparedRequest
        from moto.core.exceptions import ServiceException

        host = _HOST_OF_SERVICE.get(request.service, request.service)
        if request.service not in _GLOBAL:
            host += f".{request.scope.region}"
        url = f"https://{host}.amazonaws.com{request.raw_path}"
        if request.query:
            url += f"?{request.query}"
        headers = {k: v for k, v in request.headers.items() if k != "host"}
        headers["host"] = f"{host}.amazonaws.com"
        headers["x-moto-account-id"] = request.scope.account
        prepared = AWSPreparedRequest(request.method, url, headers, request.body, False)
        try:
            answer = self._stubber.process_request(prepared)
        except NotImplementedError as error:
            name = operation_name(request) or str(error) or request.path
            return serialise_error(request.service, NotImplementedByCloud(request.service, name))
        except ServiceException as error:
            code = getattr(error, "code", "") or type(error).__name__
            return serialise_error(request.service, AwsError(str(code), str(error)))
        except Exception:
            log.exception("moto failed on %s %s %s", request.service, request.method, request.path)
            return serialise_error(
                request.service,
                AwsError(
                    "InternalFailure",
                    f"moto failed on this request to {request.service}; "
                    "the reason is in the local cloud's log.",
                    500,
                ),
            )
        if answer is None:
            return serialise_error(
                request.service, NotImplementedByCloud(request.service, request.path)
            )
        status, answer_headers, body = answer
        if status == 404 and body == _NOT_IN_MOTO:
            what = f"{request.method} {request.path}"
            return serialise_error(request.service, NotImplementedByCloud(request.service, what))
        return Response(
            int(status),
            {str(k).lower(): str(v) for k, v in answer_headers.items()},
            body.encode() if isinstance(body, str) else bytes(body),
        )

    def close(self) -> None:
        """Write the last changes, clear moto's memory and stop the thread."""
        self._thread.submit(self._end).result()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _end(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
        if self._stubber is None:
            return
        from moto.core.base_backend import BackendDict
        from moto.s3.models import s3_backends

        for by_account in list(BackendDict._instances):
            by_account.clear()
        BackendDict._instances.clear()
        s3_backends.bucket_accounts.clear()


def backends(service: str) -> Iterator[tuple[Scope, Any]]:
    """Yield every regional backend of a service; call it in moto's thread."""
    from moto.backends import get_backend

    by_account: Any = get_backend(service)  # type: ignore[call-overload, unused-ignore]
    for account, by_region in list(by_account.items()):
        for region, found in list(by_region.items()):
            yield Scope(account, region), found


def backend(service: str, scope: Scope) -> Any:
    """Return moto's backend of a service; call it in moto's thread."""
    from moto.backends import get_backend

    by_account: Any = get_backend(service)  # type: ignore[call-overload, unused-ignore]
    by_region = by_account[scope.account]
    return (
        by_region["aws"]
        if "aws" in by_region and service in ("s3", "iam")
        else (by_region[scope.region])
    )
