"""The settings of asynchronous invocations of a function, a version or an alias.

They run in moto's thread on moto's memory, and are stored like moto's own.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.errors import AwsError, ResourceNotFound
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.lambda_ import records
from localcloud.lambda_.configuration import invalid
from localcloud.lambda_.functions_api import listed
from localcloud.lambda_.names import LATEST, FunctionName, parse
from localcloud.moto_backend.dispatcher import backend

_SETTINGS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
_DESTINATIONS = ("sqs", "sns", "lambda", "events")


class EventInvokeApi:
    """The operations on the settings of asynchronous invocations.

    Args:
        now: returns the AWS time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    @operation("PutFunctionEventInvokeConfig")
    def put(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return self._store(scope, params, {})

    @operation("UpdateFunctionEventInvokeConfig")
    def update(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, configs = _configs(scope, params)
        return self._store(scope, params, configs.get(name.qualifier) or {})

    @operation("GetFunctionEventInvokeConfig")
    def get(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, configs = _configs(scope, params)
        return _shown(name, _existing(name, configs))

    @operation("DeleteFunctionEventInvokeConfig")
    def delete(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, configs = _configs(scope, params)
        _existing(name, configs)
        del configs[name.qualifier]
        return {}

    @operation("ListFunctionEventInvokeConfigs")
    def list_all(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, configs = _configs(scope, params)
        found = [
            _shown(FunctionName(name.scope, name.name, qualifier), configs[qualifier])
            for qualifier in sorted(configs)
        ]
        return listed("FunctionEventInvokeConfigs", found, "FunctionArn", params)

    def _store(
        self, scope: Scope, params: dict[str, Any], before: dict[str, Any]
    ) -> dict[str, Any]:
        name, configs = _configs(scope, params)
        given = {member: params[member] for member in _SETTINGS if params.get(member) is not None}
        if not given:
            raise invalid("You must specify at least one of error handling or destination setting.")
        for outcome, destination in (given.get("DestinationConfig") or {}).items():
            _check_destination(outcome, str((destination or {}).get("Destination") or ""))
        configs[name.qualifier] = {**before, **given, "LastModified": self._now().timestamp()}
        return _shown(name, configs[name.qualifier])


def config_of(latest: Any, qualifier: str) -> dict[str, Any]:
    """Return the settings of a qualifier, or of `$LATEST` if there is none."""
    configs = records.kept(latest).get("EventInvoke") or {}
    found: dict[str, Any] = configs.get(qualifier or LATEST) or {}
    return found


def _configs(scope: Scope, params: dict[str, Any]) -> tuple[FunctionName, dict[str, Any]]:
    """Return what the settings are of, with `$LATEST` as its qualifier if it has none."""
    name = parse(scope, params["FunctionName"], params.get("Qualifier"))
    if name.scope != scope:
        raise name.not_found()
    lambdas = backend("lambda", scope)
    records.resolved(lambdas, name)
    about = records.kept(records.group_of(lambdas, name)["latest"])
    configs: dict[str, Any] = about.setdefault("EventInvoke", {})
    return FunctionName(name.scope, name.name, name.qualifier or LATEST), configs


def _existing(name: FunctionName, configs: dict[str, Any]) -> dict[str, Any]:
    if name.qualifier not in configs:
        error = ResourceNotFound(
            f"The function {name.qualified_arn} doesn't have an EventInvokeConfig"
        )
        error.status = 404
        raise error
    found: dict[str, Any] = configs[name.qualifier]
    return found


def _check_destination(outcome: str, arn: str) -> None:
    parts = arn.split(":")
    if not arn:
        return
    if len(parts) < 6 or parts[0] != "arn":
        raise AwsError(
            "InvalidParameterValueException",
            f"The provided destination config {outcome} with the ARN {arn} is invalid.",
        )
    if parts[2] not in _DESTINATIONS:
        raise invalid(f"The local cloud does not support destinations in {parts[2]}: {arn}")


def _shown(name: FunctionName, config: dict[str, Any]) -> dict[str, Any]:
    shown = {member: config[member] for member in _SETTINGS if member in config}
    destinations = {"OnSuccess": {}, "OnFailure": {}, **(shown.get("DestinationConfig") or {})}
    modified = datetime.fromtimestamp(config["LastModified"], UTC)
    return {
        **shown,
        "DestinationConfig": destinations,
        "FunctionArn": name.qualified_arn,
        "LastModified": modified,
    }
