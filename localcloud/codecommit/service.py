"""CodeCommit as one service: Git over HTTP, and its events; moto keeps the repositories' names."""

from __future__ import annotations

from typing import ClassVar

from localcloud.aws.protocol import implemented_by, operation_name
from localcloud.aws.routing import Request, Response
from localcloud.codecommit.api import GIT_PREFIX, CodeCommitApi
from localcloud.codecommit.approval_rules_api import ApprovalRulesApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class CodeCommitService(Service):
    """Serves repositories."""

    API_CLASSES: ClassVar = {"codecommit": (CodeCommitApi, ApprovalRulesApi)}

    def __init__(self, context: ServiceContext) -> None:
        self._rules = ApprovalRulesApi(context)
        self.repositories = CodeCommitApi(context, self._rules.forget)

    def apis(self) -> tuple[object, ...]:
        """Return the APIs of `codecommit`."""
        return (self.repositories, self._rules)

    async def handle(self, request: Request) -> Response | None:
        """Answer Git's own requests, and the operations that moto answers with our clone URL."""
        if request.path.startswith(GIT_PREFIX):
            return await self.repositories.git(request)
        if request.service != "codecommit" or operation_name(request) in _LIVE_OPERATIONS:
            return None
        return await self.repositories.ask_moto(request)


# The operations that are implemented here; moto answers the others.
_LIVE_OPERATIONS = frozenset(
    name
    for api in CodeCommitService.API_CLASSES["codecommit"]
    for name in implemented_by(api).values()
)
