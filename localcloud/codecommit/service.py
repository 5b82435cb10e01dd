"""CodeCommit as one service: Git over HTTP, and its events; moto keeps the repositories' names."""

from __future__ import annotations

from typing import ClassVar

from localcloud.aws.routing import Request, Response
from localcloud.codecommit.api import CodeCommitApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class CodeCommitService(Service):
    """Serves repositories."""

    API_CLASSES: ClassVar = {"codecommit": (CodeCommitApi,)}

    def __init__(self, context: ServiceContext) -> None:
        self.repositories = CodeCommitApi(context)

    def apis(self) -> tuple[object, ...]:
        """Return the API of `codecommit`."""
        return (self.repositories,)

    async def handle(self, request: Request) -> Response | None:
        """Answer Git's own requests, and the operations that moto answers with our clone URL."""
        return await self.repositories.handle(request)
