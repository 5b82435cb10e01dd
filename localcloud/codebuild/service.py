"""CodeBuild as one service: builds; moto answers the operations on projects."""

from __future__ import annotations

from typing import ClassVar

from localcloud.codebuild.api import CodeBuildApi
from localcloud.core.child_process import Child
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class CodeBuildService(Service):
    """Runs builds."""

    API_CLASSES: ClassVar = {"codebuild": (CodeBuildApi,)}

    def __init__(self, context: ServiceContext) -> None:
        self.builds = CodeBuildApi(context)

    def apis(self) -> tuple[object, ...]:
        """Return the API of `codebuild`."""
        return (self.builds,)

    def resume(self) -> None:
        """Fail the builds that were in progress."""
        self.builds.engine.resume()

    def children(self) -> list[Child]:
        """Return the processes of the builds."""
        return self.builds.engine.children()
