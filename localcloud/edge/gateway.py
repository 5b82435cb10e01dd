"""The composition root of the local cloud, and the ordered chain that answers a request.

    request ─► page, internal routes ─► checks ─► IAM ─► services by path ─► by operation ─► moto
               not AWS, so they         size,     roles  invocations first,  parsed, checked   the
               come first               region    only   Lambda, Git         by botocore      rest

A handler returns a response, or None to pass the request on. Errors become HTTP responses here
only.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.aws.errors import (
    AwsError,
    MissingCredentials,
    NoOperationNamed,
)
from localcloud.aws.protocol import (
    READING,
    Operation,
    failure,
    operation_name,
    operations_of,
    parse,
    protocol_of,
    serialise,
    serialise_error,
)
from localcloud.aws.request_limits import LIMITS, check
from localcloud.aws.routing import Request, Response, route
from localcloud.aws.unimplemented import refusal
from localcloud.cloudwatch.log_writer import LogWriter
from localcloud.core.archives import ArchiveError, Bounds, gunzip
from localcloud.core.child_process import ChildProcesses
from localcloud.core.clock import Clock, monotonic, wall_sleep
from localcloud.core.image_builder import ImageBuilder
from localcloud.core.image_store import ImageStore
from localcloud.core.package_layers import PackageLayers, cache_directory
from localcloud.core.snapshot_files import Moment, ReadView, SnapshotError
from localcloud.core.state_directory import MOTO_FILE, STATE_FILE, StateDirectory
from localcloud.core.store import Collection, Database
from localcloud.edge.coverage import PARTLY_LIVE, implemented
from localcloud.edge.image_routes import ImageRoutes
from localcloud.edge.init_scripts import InitScripts
from localcloud.edge.internal_routes import InternalRoutes
from localcloud.edge.services import build
from localcloud.eventbridge.delivery import EventDelivery
from localcloud.iam.authoriser import Authoriser
from localcloud.iam.enforcement import Mode
from localcloud.iam.keys import is_temporary
from localcloud.iam.principal_policies import session_policies
from localcloud.moto_backend.dispatcher import MotoBackend
from localcloud.moto_backend.patches import Hooks
from localcloud.page.page import Page
from localcloud.sagemaker.runtime import DEFAULT_LIMIT_BYTES
from localcloud.service import Service
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud")

_NOW = "now"
_PERSIST_CLOCK_SECONDS = 1.0
_LONG_BODY_BYTES = 64 * 1024

Handler = Callable[[Request], Awaitable[Response | None]]


class Gateway:
    """Builds the services and answers requests.

    Args:
        clock: the one source of time.
        endpoint_url: where this gateway will listen.
        directory: the directory of state and images.
        shut_down: called by the shutdown route.
        iam: whether calls of roles are denied, recorded, or neither.
        invocation_limit_bytes: the longest body of an InvokeEndpoint request.
        faults: whether faults may be injected, for a game day.
        init: the scripts that are run while the local cloud starts and stops.

    Attributes:
        services: the services that it built.
        page: the page for a browser, with its stream.
        failure: why it shut itself down; empty as long as it works.
    """

    def __init__(
        self,
        clock: Clock,
        endpoint_url: str,
        directory: StateDirectory,
        shut_down: Callable[[], None],
        iam: Mode = Mode.LOG,
        invocation_limit_bytes: int = DEFAULT_LIMIT_BYTES,
        *,
        faults: bool = False,
        init: InitScripts | None = None,
    ) -> None:
        path = directory.path
        moto = MotoBackend(path / MOTO_FILE, kept=directory.kept)
        database = Database(path / STATE_FILE)
        self._iam = Authoriser(moto, clock, iam, database)
        layers = PackageLayers(cache_directory() / "packages")
        self._context = context = ServiceContext(
            clock=clock,
            database=database,
            directory=path,
            endpoint_url=endpoint_url,
            moto=moto,
            children=ChildProcesses(),
            logs=LogWriter(moto, clock, self._iam),
            images=ImageStore(path / "images", layers),
            iam=self._iam,
        )
        self._shut_down = shut_down
        self.failure = ""
        self._time = Collection(context.database, "clock", datetime)
        clock.catch_up(self._time.get(_NOW) or clock.now())
        self.services = services = build(context, invocation_limit_bytes)
        self._operations: dict[str, dict[str, Operation]] = {}
        for service in services.all():
            for name in service.API_CLASSES:
                self._operations[name] = operations_of(*service.apis())
        deployed = Collection(context.database, "deployed-stack", dict[str, Any])
        self.page = page = Page(context, services, deployed, self.handle)
        self._chain: list[Handler] = [
            page.handle,
            ImageRoutes(context, ImageBuilder(context.images, layers, context.children)).handle,
            InternalRoutes(
                *(context, deployed, implemented(), shut_down, page.changes.note),
                init or InitScripts(),
            ).handle,
            _check,
            self._iam.handle,
            *(s.handle for s in services.all() if type(s).handle is not Service.handle),
            self._answer_by_operation,
            moto.handle,
        ]
        if faults:
            from localcloud.gameday.injector import FaultInjector

            self._chain.insert(0, FaultInjector(context, services).handle)

    async def start(self) -> None:
        """Start the services' background work and continue what a restart interrupted."""
        context = self._context
        # Not awaited: moto loads in its own thread, and every call to it waits for that.
        context.spawn("moto", self._load_moto(self.services.eventbridge.delivery))
        context.spawn("moto state", context.moto.keep())
        context.spawn("moto watch", context.moto.watch())
        context.spawn("clock", self._persist_clock())
        for service in self.services.all():
            for name, work in service.background():
                context.spawn(name, work)
        for service in self.services.all():
            try:
                service.resume()
            except Exception:  # the other services continue
                log.exception("%s could not continue what was interrupted", type(service).__name__)

    async def stop(self) -> None:
        """End everything that was started."""
        self.page.close()
        for service in self.services.all():
            await service.close()
        await self._context.close()

    def busy(self) -> str:
        """Return what moto is doing, for the log; empty if it is idle."""
        return self._context.moto.busy()

    async def moment(self, scratch: Path) -> Moment:
        """Return the whole state of one moment, to be copied while work goes on.

        What was acknowledged before is in it; what is acknowledged later is not.

        Args:
            scratch: a directory for moto's state, if it is in memory only.

        Raises:
            SnapshotError: it cannot be written.
        """
        context = self._context
        try:
            async with context.moto.held(scratch) as moto:
                # The loop does not wait in this block, so no record changes either.
                now = context.clock.now()
                self._time.put(_NOW, now)
                if not context.database.flush():
                    raise SnapshotError("the state cannot be written: make room on its disk")
                records = ReadView(context.directory / STATE_FILE)
                return Moment(now, records, ReadView(moto))
        except sqlite3.Error as error:
            raise SnapshotError(f"the state of moto's services cannot be read: {error}") from None

    async def _load_moto(self, events: EventDelivery) -> None:
        try:
            loop, keys = asyncio.get_running_loop(), self._iam.keys

            def on_role(
                access_key: str, role_arn: str, session: str, policy: str, arns: tuple[str, ...]
            ) -> None:
                # Called in moto's thread; the loop remembers the key before the answer goes out.
                policies = session_policies(role_arn, policy, arns)
                loop.call_soon_threadsafe(keys.remember, access_key, role_arn, session, policies)

            def caller(access_key: str) -> tuple[str, str] | None:
                session = keys.get(access_key)
                return None if session is None else (session.role_arn, session.arn)

            now = self._context.clock.now
            await self._context.moto.start(Hooks(events.on_match, on_role, caller, now))
        except Exception as error:
            log.exception("moto could not be loaded")
            self.failure = (
                f"the state of moto's services in {self._context.directory} could not be loaded "
                f"({type(error).__name__}: {error}); nothing was overwritten. The log has the "
                "details; another directory is chosen by --state-dir"
            )
            self._shut_down()

    async def _persist_clock(self) -> None:
        """Save the time every second, until cancelled: a restart continues from it."""
        while True:
            self._time.put(_NOW, self._context.clock.now())
            self._context.database.flush()
            await wall_sleep(_PERSIST_CLOCK_SECONDS)

    async def handle(self, request: Request) -> Response:
        """Answer a request."""
        began = monotonic()
        response = await self._answer(request)
        self.page.answered(request, response, monotonic() - began)
        return response

    async def _answer(self, request: Request) -> Response:
        route(request)
        try:
            for handler in self._chain:
                response = await handler(request)
                if response is not None:
                    if request.service == "iam":
                        self._iam.forget()
                    return response
        except AwsError as error:
            return serialise_error(request.service, error)
        except Exception:  # a bug in this program
            return failure(request)
        return await asyncio.to_thread(refusal, request)

    def begin(self, request: Request, done: Callable[[Response], None]) -> bool:
        """Begin to answer an account's invocation; `done` gets the response.

        Nothing in the chain before invocations concerns an account's own invocation, so it may skip
        them. A role's invocation has to be authorised, which may wait.

        Returns:
            False if the key is that of a role; then nothing was begun.
        """
        route(request)
        if is_temporary(request.access_key):
            return False
        try:
            self.services.sagemaker.begin(request, done)
        except Exception:
            done(failure(request))
        return True

    def _check_disk(self) -> None:
        """Refuse to acknowledge a change that is not on disk.

        Raises:
            AwsError: a write is postponed, because the disk refuses it.
        """
        if not self._context.database.flush():
            raise AwsError(
                "InternalFailure",
                "The change could not be stored. Make room on the disk of the state directory, and "
                "repeat the request.",
                500,
            )

    async def _answer_by_operation(self, request: Request) -> Response | None:
        table = self._operations.get(request.service)
        if table is None:
            return None
        name = operation_name(request)
        try:
            implementation = table.get(name)
            if not name:
                raise NoOperationNamed(request.service, protocol_of(request.service))
            if implementation is None:
                if request.service in PARTLY_LIVE:
                    return None
                return await asyncio.to_thread(refusal, request, name)
            changes = not name.startswith(READING)
            if changes:
                self._check_disk()
            # A long body is parsed beside the loop, which goes on meanwhile.
            if len(request.body) > _LONG_BODY_BYTES:
                parameters = await asyncio.to_thread(parse, request, name)
            else:
                parameters = parse(request, name)
            result: Any = implementation(request.scope, parameters)
            if inspect.isawaitable(result):
                result = await result
            if changes:
                self._check_disk()
            return serialise(request.service, name, result)
        except AwsError as error:
            return serialise_error(request.service, error)


async def _check(request: Request) -> Response | None:
    """Answer a request that no service may read, such as one that is too large."""
    try:
        check(request)
    except MissingCredentials as error:
        # There is no service whose protocol it could be.
        asks_json = "json" in request.headers.get("content-type", "")
        return serialise_error("" if asks_json else "s3", error)
    # The SDKs compress the data of metrics. An object of S3 stays as it is.
    if request.headers.get("content-encoding") == "gzip" and request.service in LIMITS:
        bounds = Bounds(most_bytes=LIMITS[request.service], most_ratio=1000)
        try:
            request.body = await asyncio.to_thread(gunzip, request.body, bounds)
        except ArchiveError as error:
            raise AwsError("SerializationException", f"The body: {error}.") from None
        del request.headers["content-encoding"]
    return None
