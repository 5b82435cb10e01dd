"""SageMaker as one service: its APIs, the runtime, and the engines behind them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ClassVar

from localcloud.aws.routing import Request, Response
from localcloud.cloudwatch.invocation_metrics import InvocationMeter
from localcloud.core.child_process import Child
from localcloud.sagemaker.capture import Capturer
from localcloud.sagemaker.fleets import Fleet
from localcloud.sagemaker.hosting_api import HostingApi
from localcloud.sagemaker.models_api import ModelsApi
from localcloud.sagemaker.processing_api import ProcessingApi
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.registry_api import RegistryApi
from localcloud.sagemaker.runtime import Runtime
from localcloud.sagemaker.search_api import SearchApi
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_api import TrainingApi
from localcloud.sagemaker.transform_api import TransformApi
from localcloud.sagemaker.tuning_api import TuningApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class SageMakerService(Service):
    """Training, tuning, processing, models, the registry, hosting, transform and invocations.

    Args:
        context: what services share.
        invocation_limit_bytes: the longest body of an InvokeEndpoint request.

    Attributes:
        hosting, models, training, tuning, transform, processing: its APIs, with their records.
        meter: the count of the invocations.
    """

    API_CLASSES: ClassVar = {
        "sagemaker": (
            HostingApi,
            ModelsApi,
            TrainingApi,
            TransformApi,
            ProcessingApi,
            TuningApi,
            RegistryApi,
            SearchApi,
            Tags,
        )
    }
    OPERATIONS_BY_PATH: ClassVar = {"sagemaker-runtime": ("InvokeEndpoint",)}

    def __init__(self, context: ServiceContext, invocation_limit_bytes: int) -> None:
        self._tags = tags = Tags(context)
        registry = Registry(context)
        self._registry = RegistryApi(context, tags, registry)
        context.iam.add_policies("sagemaker", registry.policy_of)
        self.models = models = ModelsApi(context, tags, registry)
        self.hosting = HostingApi(context, tags, models)
        self.training = TrainingApi(context, tags)
        self.tuning = TuningApi(context, tags, self.training)
        self._search = SearchApi(tags, self.training, self.tuning, models, self.hosting, registry)
        self.transform = TransformApi(context, tags, models, self.hosting.hosting)
        self.processing = ProcessingApi(context, tags)
        tags.resources(
            *(
                collection.__contains__
                for collection in (
                    models.models,
                    models.configs,
                    self.hosting.endpoints,
                    self.training.jobs,
                    self.tuning.jobs,
                    self.transform.jobs,
                    self.processing.jobs,
                    registry.groups,
                    registry.packages,
                )
            )
        )
        self.meter = InvocationMeter(context.moto, context.clock)
        self._capturer = Capturer(context)
        self._runtime = Runtime(
            self.hosting.hosting,
            self.hosting.endpoints,
            self.meter,
            self._capturer,
            invocation_limit_bytes,
        )

    def apis(self) -> tuple[object, ...]:
        """Return the APIs of `sagemaker`."""
        return (
            self.hosting,
            self.models,
            self.training,
            self.transform,
            self.processing,
            self.tuning,
            self._registry,
            self._search,
            self._tags,
        )

    async def handle(self, request: Request) -> Response | None:
        """Answer an invocation of an endpoint; return None for any other request."""
        return await self._runtime.handle(request)

    def begin(self, request: Request, done: Callable[[Response], None]) -> None:
        """Begin to answer an invocation; `done` gets the response, without a task in between."""
        self._runtime.begin(request, done)

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loops of invocation metrics, instance health and data capture."""
        yield "invocation metrics", self.meter.run(self.hosting.in_service)
        yield "instances", self.hosting.hosting.watch()
        yield "data capture", self._capturer.run()

    def children(self) -> list[Child]:
        """Return the processes of the training and the processing jobs."""
        return [*self.training.engine.children(), *self.processing.engine.children()]

    def fleets(self) -> list[Fleet]:
        """Return the fleets that answer requests, of every endpoint."""
        return self.hosting.hosting.serving()

    def resume(self) -> None:
        """Continue jobs, endpoints and pending model packages."""
        self.training.engine.resume()
        self.tuning.engine.resume()
        self.transform.engine.resume()
        self.processing.engine.resume()
        self.hosting.resume()
        self._registry.resume()
