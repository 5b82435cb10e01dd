"""Patches of Lambda."""

from __future__ import annotations

from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_logging_and_tracing()


def _patch_logging_and_tracing() -> None:
    """LoggingConfig: moto drops it. TracingConfig: moto ignores it in an update.

    AWS stores and returns both.
    """
    from moto.awslambda.models import LambdaFunction

    make = LambdaFunction.__init__
    update = LambdaFunction.update_configuration
    describe = LambdaFunction.get_configuration

    def initialise(
        self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **named: Any
    ) -> None:
        make(self, account_id, spec, *rest, **named)
        self.logging_config = spec.get("LoggingConfig") or {}

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        self.logging_config = config_updates.get("LoggingConfig") or _logging(self)
        self.tracing_config = config_updates.get("TracingConfig") or self.tracing_config
        return update(self, config_updates)

    def get_configuration(self: Any, *arguments: Any, **named: Any) -> Any:
        default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"}
        answer = describe(self, *arguments, **named)
        return {**answer, "LoggingConfig": default | _logging(self)}

    LambdaFunction.__init__ = initialise
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.get_configuration = get_configuration


def _logging(function: Any) -> dict[str, Any]:
    # A function from the state of an older version has none.
    return dict(getattr(function, "logging_config", {}))
