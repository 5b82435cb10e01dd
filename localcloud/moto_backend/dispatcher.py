"""The moto backend: moto in this process, behind one thread.

moto stores what a request gives it and answers from that; nothing happens by itself. The services
of this package add what does happen: events are delivered, alarms evaluated, functions invoked.
Every change to moto's behaviour is in `patches/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from localcloud.aws.errors import AwsError, UnknownRegion
from localcloud.aws.protocol import (
    IMPORT_OF_MOTO,
    protocol_of,
    serialise_error,
)
from localcloud.aws.routing import Request, Response, Scope
from localcloud.aws.unimplemented import refusal
from localcloud.core.clock import monotonic, wall_sleep
from localcloud.core.descriptors import out_of_descriptors
from localcloud.core.state_directory import MOTO_FILE
from localcloud.moto_backend.failures import failure_of, operation_or_path
from localcloud.moto_backend.held import held
from localcloud.moto_backend.pages import paged
from localcloud.moto_backend.patches import Hooks, apply
from localcloud.moto_backend.patches.sqs import NoMessageYet, asked_at, last_look
from localcloud.moto_backend.persistence import Recorder
from localcloud.moto_backend.s3_requests import check_owner, is_answered
from localcloud.moto_backend.validation import check

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
_LONG_BODY_BYTES = 64 * 1024
_SWEEP_SECONDS = 1.0
_WATCH_SECONDS = 1.0
# How often a long poll looks for a message; wall-clock seconds.
_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
# The time after which a call is reported, and for which the end waits; wall-clock seconds.
_LATE_SECONDS = 5.0
_CLOSE_SECONDS = 8.0
# moto's response to a request that matches none of its routes.
_NOT_IN_MOTO = "Not yet implemented"
_HOST_OF_SERVICE = {"cloudwatch": "monitoring", "ecr": "api.ecr"}
# moto repeats the text of a request in its XML, which cannot have these.
_NOT_IN_XML = bytes({*range(32)} - {9, 10, 13})
# Services whose operations have paths of their own.
_REST = frozenset({"lambda", "s3"})
# Services whose host name has no region.
_GLOBAL = ("budgets",)


class MotoBackend:
    """moto behind one thread, so that calls are in order and its dictionaries need no lock.

    Args:
        state: the SQLite file of its state.
        kept: whether the state is written there; otherwise it stays in memory only, and a file
            that is there already is read and deleted.

    Raises:
        StateDirectoryError: the file cannot be used.
    """

    def __init__(self, state: Path | None = None, *, kept: bool = True) -> None:
        self._recorder = Recorder(state, SERVICES) if state and kept else None
        self._state = state
        # Without a file: the events that matched a rule until they are delivered, by number.
        self._undelivered: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moto")
        # What the thread is doing, and since when.
        self._current: tuple[Any, float] | None = None
        self._ending = threading.Event()
        self._stubber: Any = None
        self._hooks = Hooks()
        self._own: dict[str, Callable[[Request], Response | None]] = {}

    def carry_out(self, service: str, answer: Callable[[Request], Response | None]) -> None:
        """Let a service of ours answer requests in moto's thread, on moto's memory.

        What it changes is stored before its response is sent, like a change of moto's own.

        Args:
            service: botocore's name of the service.
            answer: returns the response, or None for a request that moto answers; it may raise
                AwsError.
        """
        self._own[service] = answer

    async def start(self, hooks: Hooks) -> None:
        """Import moto in its thread.

        Args:
            hooks: the functions that moto's patches call, in moto's thread.
        """
        self._hooks = hooks
        await self.call(self._load)

    def _load(self) -> None:
        """Import moto and read its state; every other call waits in the thread's queue.

        A lack of file descriptors says nothing about the state, so it is waited for.
        """
        while True:
            try:
                self._load_once()
            except Exception as error:
                if self._ending.is_set() or not out_of_descriptors(error):
                    raise
                log.warning("too many files and connections are open to load moto; trying again")
                self._ending.wait(_AGAIN_SECONDS)
            else:
                return

    def _load_once(self) -> None:
        with IMPORT_OF_MOTO:
            from moto.core.botocore_stubber import BotocoreStubber

            self._stubber = BotocoreStubber()
            apply(replace(self._hooks, on_event=self._on_match))
        if self._recorder is not None:
            self._recorder.restore()
            for number, (rule_arn, targets, event) in self._recorder.undelivered():
                self._hooks.on_event(rule_arn, targets, event, number)
        elif self._state is not None and self._state.exists():
            matches = Recorder.load(self._state, SERVICES)
            for rule_arn, targets, event in matches:
                self._on_match(rule_arn, targets, event, 0)

    def _on_match(
        self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int
    ) -> None:
        """Store an event until it is delivered, so that a kill in between does not lose it."""
        if self._recorder is not None:
            try:
                number = self._recorder.remember([rule_arn, targets, event])
            except sqlite3.Error as error:
                log.warning("an event is not stored until it is delivered: %s", error)
        else:
            number = next(self._numbers)
            self._undelivered[number] = [rule_arn, targets, event]
        self._hooks.on_event(rule_arn, targets, event, number)

    async def delivered(self, number: int) -> None:
        """Forget a stored event, because it was delivered."""
        if self._recorder is not None and number:
            await self.call(self._recorder.delivered, number)
        elif self._recorder is None:
            await self.call(self._undelivered.pop, number, None)

    @contextlib.asynccontextmanager
    async def held(self, scratch: Path) -> AsyncIterator[Path]:
        """Keep moto as it is while the block runs, which must not wait; yield its state's file.

        Args:
            scratch: a directory for the file of a state that is in memory only.

        Raises:
            sqlite3.Error: the state cannot be written.
        """
        kept = self._state if self._recorder is not None else None
        file = kept or scratch / MOTO_FILE

        def write() -> None:
            if self._recorder is not None:
                self._recorder.sweep()
            else:
                Recorder.copy(file, SERVICES, list(self._undelivered.values()))

        async with held(self.call, write):
            yield file

    async def keep(self) -> None:
        """Write once a second what changed without a request, until cancelled."""
        while self._recorder is not None:
            await wall_sleep(_SWEEP_SECONDS)
            try:
                await self.call(self._recorder.sweep)
            except sqlite3.Error as error:  # such as a full disk; the next round writes it
                log.error("the state of moto's services could not be written: %s", error)
            except Exception:
                log.exception("could not write the state of moto's services")

    async def watch(self) -> None:
        """Log each call that keeps moto's thread for over five seconds, until cancelled."""
        reported: tuple[Any, float] | None = None
        while True:
            await wall_sleep(_WATCH_SECONDS)
            current = self._current
            if current is None or current is reported or not self.is_late(current[1]):
                continue
            reported = current
            log.warning("moto%s; every other call to it waits", self.busy())

    @staticmethod
    def is_late(since: float) -> bool:
        """Return whether a call that began at `since` has taken too long."""
        return monotonic() - since > _LATE_SECONDS

    @property
    def overdue(self) -> bool:
        """Return whether a call keeps moto's thread for too long."""
        current = self._current
        return current is not None and self.is_late(current[1])

    def busy(self) -> str:
        """Return ` has been at work on SERVICE OPERATION for N s`, or an empty string."""
        current = self._current
        if current is None:
            return ""
        work, since = current
        return f" has been at work on {_name_of(work)} for {monotonic() - since:.0f} s"

    async def limit_growth(self, limited: bool) -> None:
        """Let the state file grow no more, as on a full disk, or let it grow again."""
        if self._recorder is not None:
            await self.call(self._recorder.limit_growth, limited)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in moto's thread, the only one that may access its backends."""
        return await self._call(function, function, arguments)

    async def _call(self, work: Any, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self._ending.is_set():  # a step of a stack may still call while the process ends
            raise AwsError("ServiceUnavailable", "The local cloud is stopping.", 503)

        def run() -> T:
            self._current = (work, monotonic())
            try:
                return function(*arguments)
            finally:
                self._current = None

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def handle(self, request: Request) -> Response:
        """Let moto answer a request."""
        known = request.service in SERVICES
        if not known or (request.service == "s3" and not is_answered(request)):
            return await asyncio.to_thread(refusal, request)
        try:
            # A long body is read beside the loop, which goes on meanwhile.
            if len(request.body) > _LONG_BODY_BYTES:
                await asyncio.to_thread(check, request)
            else:
                check(request)
        except AwsError as error:
            return serialise_error(request.service, error)
        try:
            return await self._call(request, self._answer, (request,))
        except NoMessageYet as poll:
            return await self._poll(request, poll.seconds)

    async def _poll(self, request: Request, seconds: float) -> Response:
        """Repeat a long poll until there is a message or its time is over."""
        end = monotonic() + seconds
        while monotonic() < end:
            await wall_sleep(_POLL_SECONDS)
            with contextlib.suppress(NoMessageYet):
                return await self._call(request, self._answer, (request,))
        return await self._call(request, self._last_answer, (request,))

    def _last_answer(self, request: Request) -> Response:
        with last_look():
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        try:
            response = paged(request, self._dispatch)
        except AwsError as error:
            response = serialise_error(request.service, error)
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

        own = self._own.get(request.service)
        host = _HOST_OF_SERVICE.get(request.service, request.service)
        if request.service not in _GLOBAL:
            host += f".{request.scope.region}"
        url = f"https://{host}.amazonaws.com{request.raw_path}"
        if request.query:
            url += f"?{request.query}"
        headers = {k: v for k, v in request.headers.items() if k != "host"}
        headers["host"] = f"{host}.amazonaws.com"
        headers["x-moto-account-id"] = request.scope.account
        asked_at(request.headers.get("host", ""))
        prepared = AWSPreparedRequest(request.method, url, headers, request.body, False)
        try:
            if request.service == "s3":
                check_owner(request)
            response = own(request) if own is not None else None
            if response is not None:
                return response
            return self._response(request, self._stubber.process_request(prepared))
        except NotImplementedError:
            return refusal(request)
        except NoMessageYet:
            raise
        except AwsError as error:
            return serialise_error(request.service, error)
        except ServiceException as error:
            code = getattr(error, "code", "") or type(error).__name__
            return serialise_error(request.service, AwsError(str(code), str(error)))
        except Exception as error:
            return serialise_error(request.service, failure_of(request, error, _check_region))

    @staticmethod
    def _response(request: Request, answer: Any) -> Response:
        """Return moto's answer as a response."""
        if answer is None:
            return refusal(request)
        status, answer_headers, body = answer
        if status == 404 and body == _NOT_IN_MOTO:
            return refusal(request)
        content = body.encode("utf-8", "replace") if isinstance(body, str) else bytes(body)
        if request.service not in _REST and protocol_of(request.service) == "query":
            content = content.translate(None, _NOT_IN_XML)
        return Response(
            int(status), {str(k).lower(): str(v) for k, v in answer_headers.items()}, content
        )

    def close(self) -> None:
        """Write the last changes, clear moto's memory and stop the thread.

        A call that does not end keeps this from happening. What was answered before is written.
        """
        self._ending.set()
        try:
            self._thread.submit(self._end).result(timeout=_CLOSE_SECONDS)
        except TimeoutError:
            log.warning("moto%s; its memory is not cleared", self.busy())
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


def _name_of(work: Any) -> str:
    if isinstance(work, Request):
        return f"{work.service} {operation_or_path(work)}"
    return str(getattr(work, "__qualname__", work))


def _check_region(request: Request) -> None:
    """Raise an AwsError if the service does not have the request's region."""
    if request.service not in _GLOBAL:
        backend(request.service, request.scope)


def backends(service: str) -> Iterator[tuple[Scope, Any]]:
    """Yield every regional backend of a service; call it in moto's thread."""
    from moto.backends import get_backend

    by_account: Any = get_backend(service)  # type: ignore[call-overload, unused-ignore]
    for account, by_region in list(by_account.items()):
        for region, found in list(by_region.items()):
            yield Scope(account, region), found


def known_backend(service: str, scope: Scope) -> Any:
    """Return moto's backend of a service if a request has made it, else None.

    moto makes a backend when it is first asked for, which takes some 10 MiB. Call it in moto's
    thread.
    """
    return next((found for at, found in backends(service) if at == scope), None)


def backend(service: str, scope: Scope) -> Any:
    """Return moto's backend of a service; call it in moto's thread.

    Raises:
        UnknownRegion: the service has no such region.
    """
    from moto.backends import get_backend

    by_account: Any = get_backend(service)  # type: ignore[call-overload, unused-ignore]
    by_region = by_account[scope.account]
    if "aws" in by_region and service in ("s3", "iam"):
        return by_region["aws"]
    try:
        return by_region[scope.region]
    except KeyError:
        raise UnknownRegion(scope.region) from None
