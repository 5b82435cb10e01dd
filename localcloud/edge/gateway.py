"""The local cloud in one place: its parts, and the ordered chain that answers a request.

    request ─► internal routes ─► IAM ─► invocations ─► Lambda, Git ─► live services ─► moto
                not AWS, so       roles   the hot path,   moto has      ours by         all the
                they come first   only    before parsing  names only    operation       rest

A handler returns a response, or None to pass the request on. Errors become HTTP here, once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from localcloud.autoscaling.api import AutoScalingApi
from localcloud.autoscaling.policies_api import PoliciesApi
from localcloud.autoscaling.scheduled_api import ScheduledActionsApi
from localcloud.aws.errors import AwsError, NoOperationNamed, NotImplementedByCloud
from localcloud.aws.protocol import (
    Operation,
    failure,
    operation_name,
    operations_of,
    parse,
    protocol_of,
    serialise,
    serialise_error,
)
from localcloud.aws.routing import Request, Response, route
from localcloud.cloudformation.api import CloudFormationApi
from localcloud.cloudformation.changesets_api import ChangeSetsApi
from localcloud.cloudformation.sharing_api import SharingApi
from localcloud.cloudwatch.alarm_evaluator import AlarmEvaluator
from localcloud.cloudwatch.invocation_metrics import InvocationMeter
from localcloud.cloudwatch.log_writer import LogWriter
from localcloud.codebuild.api import CodeBuildApi
from localcloud.codecommit.api import CodeCommitApi
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.history_api import HistoryApi
from localcloud.codepipeline.jobs_api import JobsApi
from localcloud.codepipeline.polling import SourcePolling
from localcloud.codepipeline.running_api import RunningApi
from localcloud.core.child_process import ChildProcesses
from localcloud.core.clock import Clock, wall_sleep
from localcloud.core.image_store import ImageStore
from localcloud.core.state_directory import MOTO_FILE, STATE_FILE, StateDirectory
from localcloud.core.store import Collection, Database
from localcloud.edge.coverage import PARTLY_LIVE, implemented
from localcloud.edge.internal_routes import InternalRoutes
from localcloud.eventbridge.delivery import EventDelivery
from localcloud.eventbridge.scheduled_rules import ScheduledRules
from localcloud.iam.authoriser import Authoriser, Mode
from localcloud.lambda_.service import LambdaService
from localcloud.moto_backend.dispatcher import MotoBackend
from localcloud.sagemaker.capture import Capturer
from localcloud.sagemaker.hosting_api import HostingApi
from localcloud.sagemaker.models_api import ModelsApi
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.registry_api import RegistryApi
from localcloud.sagemaker.runtime import DEFAULT_LIMIT_BYTES, Runtime
from localcloud.sagemaker.search_api import SearchApi
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_api import TrainingApi
from localcloud.sagemaker.transform_api import TransformApi
from localcloud.sagemaker.tuning_api import TuningApi
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud")

_NOW = "now"
_KEEP_TIME_SECONDS = 1.0

Handler = Callable[[Request], Awaitable[Response | None]]


class Gateway:
    """Builds the services and answers requests.

    Args:
        clock: the one source of time.
        endpoint_url: where this gateway will listen.
        directory: where state and images are kept.
        shut_down: called by the shutdown route.
        iam: what is done about what roles call.
        invocation_limit_bytes: of the body of a request to an endpoint.
    """

    def __init__(
        self,
        clock: Clock,
        endpoint_url: str,
        directory: StateDirectory,
        shut_down: Callable[[], None],
        iam: Mode = Mode.LOG,
        invocation_limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        path = directory.path
        moto = MotoBackend(path / MOTO_FILE if directory.kept else None)
        database = Database(path / STATE_FILE)
        self._iam = Authoriser(moto, clock, iam, database)
        self._context = context = ServiceContext(
            clock=clock,
            database=database,
            directory=path,
            endpoint_url=endpoint_url,
            moto=moto,
            children=ChildProcesses(),
            logs=LogWriter(moto, clock, self._iam),
            images=ImageStore(path / "images"),
            iam=self._iam,
        )
        self._shut_down = shut_down
        self._time = Collection(context.database, "clock", datetime)
        clock.catch_up(self._time.get(_NOW) or clock.now())
        self._functions = LambdaService(context)
        repositories = CodeCommitApi(context)
        self._builds = CodeBuildApi(context)
        tags = Tags(context)
        registry = Registry(context)
        self._registry = RegistryApi(context, tags, registry)
        models = ModelsApi(context, tags, registry)
        self._sagemaker = HostingApi(context, tags, models)
        self._training = TrainingApi(context, tags)
        self._tuning = TuningApi(context, tags, self._training)
        search = SearchApi(tags, self._training, self._tuning, models, self._sagemaker, registry)
        self._transform = TransformApi(context, tags, models, self._sagemaker.hosting)
        self._codepipeline = CodePipelineApi(context, self._functions, repositories, self._builds)
        self._polling = SourcePolling(
            context, self._codepipeline.pipelines, self._codepipeline.engine, repositories
        )
        self._cloudformation = CloudFormationApi(context)
        self._autoscaling = AutoScalingApi(context)
        self._scheduled = ScheduledActionsApi(context, self._autoscaling)
        self._meter = InvocationMeter(moto, clock)
        self._live: dict[str, dict[str, Operation]] = {
            "sagemaker": operations_of(
                self._sagemaker,
                models,
                self._training,
                self._tuning,
                self._transform,
                self._registry,
                search,
                tags,
            ),
            "codebuild": operations_of(self._builds),
            "codecommit": operations_of(repositories),
            "codepipeline": operations_of(
                self._codepipeline,
                HistoryApi(self._codepipeline),
                RunningApi(context, self._codepipeline),
                JobsApi(context, self._codepipeline),
            ),
            "cloudformation": operations_of(
                self._cloudformation,
                ChangeSetsApi(context, self._cloudformation),
                SharingApi(context, self._cloudformation),
            ),
            "application-autoscaling": operations_of(
                self._autoscaling, PoliciesApi(context, self._autoscaling), self._scheduled
            ),
        }
        self._capturer = Capturer(context)
        self._runtime = Runtime(
            self._sagemaker.hosting,
            self._sagemaker.endpoints,
            self._meter,
            self._capturer,
            invocation_limit_bytes,
        )
        self._chain: list[Handler] = [
            InternalRoutes(context, implemented(), shut_down).handle,
            self._iam.handle,
            self._runtime.handle,
            self._functions.handle,
            repositories.handle,
            self._answer_live,
            moto.handle,
        ]

    async def start(self) -> None:
        """Start the services' background work and take up what a restart interrupted."""
        context = self._context
        events = EventDelivery(context, self._codepipeline, self._functions)
        # Not awaited: moto loads in its own thread, where every call to it waits for that.
        context.spawn("moto", self._load_moto(events))
        context.spawn("clock", self._persist_clock())
        context.spawn("moto state", context.moto.keep())
        alarms = AlarmEvaluator(context, self._autoscaling.engine.on_alarm)
        context.spawn("schedules", ScheduledRules(context, events.deliver).run())
        context.spawn("logs", context.logs.run())
        context.spawn("metrics", self._meter.run(self._sagemaker.in_service))
        context.spawn("alarms", alarms.run())
        context.spawn("scheduled scaling", self._scheduled.run())
        context.spawn("instances", self._sagemaker.hosting.watch())
        context.spawn("data capture", self._capturer.run())
        context.spawn("idle functions", self._functions.reap())
        context.spawn("source polling", self._polling.run())
        self._training.engine.resume()
        self._tuning.engine.resume()
        self._transform.engine.resume()
        self._builds.engine.resume()
        self._sagemaker.resume()
        self._registry.resume()
        self._cloudformation.resume()
        self._codepipeline.engine.resume()

    async def stop(self) -> None:
        """End everything that was started."""
        await self._context.logs.flush()
        await self._functions.close()
        await self._context.close()

    async def _load_moto(self, events: EventDelivery) -> None:
        try:
            loop, keys = asyncio.get_running_loop(), self._iam.keys

            def on_role(access_key: str, role_arn: str, session: str) -> None:
                # Heard in moto's thread, kept in the loop's, before the answer goes out.
                loop.call_soon_threadsafe(keys.remember, access_key, role_arn, session)

            await self._context.moto.start(events.on_match, on_role)
        except Exception:
            log.exception(
                "The state of moto's services in %s could not be loaded; nothing was overwritten. "
                "Start anew with: localcloud reset --state-dir %s",
                self._context.directory,
                self._context.directory,
            )
            self._shut_down()

    async def _persist_clock(self) -> None:
        """For ever: keep the time, from which a restart goes on."""
        while True:
            self._time.put(_NOW, self._context.clock.now())
            await wall_sleep(_KEEP_TIME_SECONDS)

    async def handle(self, request: Request) -> Response:
        """Answer a request."""
        route(request)
        try:
            for handler in self._chain:
                response = await handler(request)
                if response is not None:
                    if request.service == "iam":
                        self._iam.forget()
                    return response
        except Exception:  # a bug of ours
            return failure(request)
        return serialise_error(
            request.service, NotImplementedByCloud(request.service, request.path)
        )

    def begin(self, request: Request, done: Callable[[Response], None]) -> bool:
        """Begin to answer an account's invocation, by `done`; False for a role's, which may wait.

        What the chain has before invocations is nothing to an account's.
        """
        route(request)
        if self._iam.keys.get(request.access_key) is not None:
            return False
        try:
            self._runtime.begin(request, done)
        except Exception:
            done(failure(request))
        return True

    async def _answer_live(self, request: Request) -> Response | None:
        table = self._live.get(request.service)
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
                raise NotImplementedByCloud(request.service, name)
            result: Any = implementation(request.scope, parse(request, name))
            if inspect.isawaitable(result):
                result = await result
            return serialise(request.service, name, result)
        except AwsError as error:
            return serialise_error(request.service, error)
