"""Every resource type that a stack may have. A type that is not here fails its stack by name."""

from __future__ import annotations

from localcloud.cloudformation.nested import NESTED_STACK
from localcloud.cloudformation.resources import HANDLERS as _OF_SERVICES
from localcloud.cloudformation.resources import Handler

HANDLERS: dict[str, Handler] = {"AWS::CloudFormation::Stack": NESTED_STACK, **_OF_SERVICES}
