"""The operations of EventBridge that moto does not carry out: trying a pattern, and lists in pages.

moto answers the other operations. Nothing here changes its state.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html
Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.errors import AwsError, ResourceNotFound, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.eventbridge.event_matching import matches
from localcloud.eventbridge.event_pattern import EventPatternError, parse
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

_PAGE = 100
_MANDATORY = ("id", "account", "source", "time", "region", "resources", "detail-type")


class EventBridgeApi:
    """The operations that read rules, targets and event buses."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    @operation("TestEventPattern")
    def test_event_pattern(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        del scope
        try:
            pattern = parse(params["EventPattern"])
        except EventPatternError as error:
            raise AwsError(
                "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}"
            ) from None
        return {"Result": matches(pattern, _event(params["Event"]))}

    @operation("ListRules")
    async def list_rules(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        prefix = params.get("NamePrefix") or ""

        def read() -> list[dict[str, Any]]:
            rules = _bus(scope, params).rules
            return [_given(r.describe()) for name, r in rules.items() if name.startswith(prefix)]

        return _page("Rules", await self._context.moto.call(read), lambda r: r["Name"], params)

    @operation("ListRuleNamesByTarget")
    async def list_rule_names_by_target(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        def read() -> list[str]:
            return [
                name
                for name, rule in _bus(scope, params).rules.items()
                if any(target["Arn"] == params["TargetArn"] for target in rule.targets)
            ]

        return _page("RuleNames", await self._context.moto.call(read), str, params)

    @operation("ListTargetsByRule")
    async def list_targets_by_rule(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        def read() -> list[dict[str, Any]]:
            bus = _bus(scope, params)
            if params["Rule"] not in bus.rules:
                raise ResourceNotFound(
                    f"Rule {params['Rule']} does not exist on EventBus {bus.name}."
                )
            return [dict(target) for target in bus.rules[params["Rule"]].targets]

        return _page("Targets", await self._context.moto.call(read), lambda t: t["Id"], params)

    @operation("ListEventBuses")
    async def list_event_buses(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        prefix = params.get("NamePrefix") or ""

        def read() -> list[dict[str, Any]]:
            buses = backend("events", scope).event_buses
            return [_described(b) for name, b in buses.items() if name.startswith(prefix)]

        found = await self._context.moto.call(read)
        return _page("EventBuses", found, lambda bus: bus["Name"], params)

    @operation("ListArchives")
    async def list_archives(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = await self._context.moto.call(_all, scope, "archives", "describe_short")
        return _chosen("Archives", found, "ArchiveName", params, ("EventSourceArn", "State"))

    @operation("ListReplays")
    async def list_replays(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = await self._context.moto.call(_all, scope, "replays", "describe_short")
        return _chosen("Replays", found, "ReplayName", params, ("EventSourceArn", "State"))

    @operation("ListConnections")
    async def list_connections(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = await self._context.moto.call(_all, scope, "connections", "describe")
        return _chosen("Connections", found, "Name", params, ("ConnectionState",))

    @operation("ListApiDestinations")
    async def list_api_destinations(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = await self._context.moto.call(_all, scope, "destinations", "describe")
        return _chosen("ApiDestinations", found, "Name", params, ("ConnectionArn",))


def _all(scope: Scope, kind: str, describe: str) -> list[dict[str, Any]]:
    """Return every archive, replay, connection or destination; call it in moto's thread."""
    kept = getattr(backend("events", scope), kind)
    return [
        _given({k: _time(v) if k.endswith("Time") else v for k, v in described.items()})
        for described in (getattr(each, describe)() for each in kept.values())
    ]


def _chosen(
    member: str,
    entries: list[dict[str, Any]],
    name: str,
    params: dict[str, Any],
    filters: tuple[str, ...],
) -> dict[str, Any]:
    """Return a page of the entries that a request asks for."""
    prefix = params.get("NamePrefix") or ""
    wanted = {key: params[key] for key in filters if params.get(key)}
    if len(wanted) + bool(prefix) > 1 and len(filters) > 1:
        raise ValidationError(
            f"At most one filter is allowed for List{member}. Use either : State, "
            "EventSourceArn, or NamePrefix."
        )
    found = [
        entry
        for entry in entries
        if entry[name].startswith(prefix)
        and all(entry.get(key) == value for key, value in wanted.items())
    ]
    return _page(member, found, lambda entry: str(entry[name]), params)


def _event(text: str) -> dict[str, Any]:
    """Return the event of TestEventPattern.

    Raises:
        AwsError: it is no event.
    """
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationError("Parameter Event is not valid. Reason: it is not JSON.") from None
    if not isinstance(event, dict):
        raise ValidationError("Parameter Event is not valid. Reason: it is not a JSON object.")
    missing = [name for name in _MANDATORY if name not in event]
    if missing:
        raise ValidationError(
            f"Parameter Event is not valid. Reason: it lacks {', '.join(missing)}."
        )
    return event


def _bus(scope: Scope, params: dict[str, Any]) -> Any:
    """Return an event bus; call it in moto's thread."""
    name = (params.get("EventBusName") or "default").rpartition("event-bus/")[2]
    bus = backend("events", scope).event_buses.get(name)
    if bus is None:
        raise ResourceNotFound(f"Event bus {name} does not exist.")
    return bus


def _described(bus: Any) -> dict[str, Any]:
    return _given(
        {
            "Name": bus.name,
            "Arn": bus.arn,
            "Description": bus.description,
            "Policy": bus.policy,
            "CreationTime": _time(bus.creation_time),
            "LastModifiedTime": _time(bus.last_modified_time),
        }
    )


def _time(seconds: Any) -> Any:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) else seconds


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _page(
    member: str, entries: Sequence[Any], key: Callable[[Any], str], params: dict[str, Any]
) -> dict[str, Any]:
    """Return a page in the order of the names, as the member of an answer."""
    given, token = page(
        sorted(entries, key=key),
        key,
        params.get("NextToken"),
        params.get("Limit") or _PAGE,
        "InvalidToken",
    )
    return {member: given, **({"NextToken": token} if token else {})}
