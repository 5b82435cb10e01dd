"""CloudFormation as one service: stacks, change sets, and exports."""

from __future__ import annotations

from typing import ClassVar

from localcloud.cloudformation.api import CloudFormationApi
from localcloud.cloudformation.changesets_api import ChangeSetsApi
from localcloud.cloudformation.sharing_api import SharingApi
from localcloud.service import Service
from localcloud.service_context import ServiceContext


class CloudFormationService(Service):
    """Stacks, whose resources are created by AWS's own APIs."""

    API_CLASSES: ClassVar = {"cloudformation": (CloudFormationApi, ChangeSetsApi, SharingApi)}

    def __init__(self, context: ServiceContext) -> None:
        self.stacks = CloudFormationApi(context)
        self._others = (ChangeSetsApi(context, self.stacks), SharingApi(context, self.stacks))

    def apis(self) -> tuple[object, ...]:
        """Return the APIs of `cloudformation`."""
        return (self.stacks, *self._others)

    def resume(self) -> None:
        """Continue the stack operations and change sets that were in progress."""
        self.stacks.resume()
