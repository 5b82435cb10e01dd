"""Every resource type that a stack may have. A type that is not here fails its stack by name."""

from __future__ import annotations

from localcloud.cloudformation.resource_types import (
    autoscaling,
    cloudwatch,
    logs,
    nested_stack,
    sagemaker,
    sns,
)
from localcloud.cloudformation.resource_types.base import Handler

_MODULES = (autoscaling, cloudwatch, logs, nested_stack, sagemaker, sns)

HANDLERS: dict[str, Handler] = {
    handler.type: handler for module in _MODULES for handler in module.HANDLERS
}
