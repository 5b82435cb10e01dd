"""CodePipeline as one service: its APIs, the engine, and the polling of sources."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.history_api import HistoryApi
from localcloud.codepipeline.jobs_api import JobsApi
from localcloud.codepipeline.polling import SourcePolling
from localcloud.codepipeline.running_api import RunningApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.codeconnections.api import ConnectionsApi
    from localcloud.lambda_.service import LambdaService


class CodePipelineService(Service):
    """Pipelines and their executions.

    Args:
        context: what services share.
        functions: runs Invoke actions.
        repositories: answers CodeCommit source actions.
        connections: answers CodeStarSourceConnection source actions.
        builds: runs CodeBuild actions.
    """

    API_CLASSES: ClassVar = {"codepipeline": (CodePipelineApi, HistoryApi, RunningApi, JobsApi)}

    def __init__(
        self,
        context: ServiceContext,
        functions: LambdaService,
        repositories: CodeCommitApi,
        connections: ConnectionsApi,
        builds: CodeBuildApi,
    ) -> None:
        self.pipelines = CodePipelineApi(context, functions, repositories, connections, builds)
        self._others = (
            HistoryApi(self.pipelines),
            RunningApi(context, self.pipelines),
            JobsApi(context, self.pipelines),
        )
        self._polling = SourcePolling(
            context, self.pipelines.pipelines, self.pipelines.engine, repositories
        )

    def apis(self) -> tuple[object, ...]:
        """Return the APIs of `codepipeline`."""
        return (self.pipelines, *self._others)

    def background(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the loop that polls the sources without events."""
        yield "source polling", self._polling.run()

    def resume(self) -> None:
        """Run the actions again that were in progress."""
        self.pipelines.engine.resume()
