"""The operations on scheduled actions, and the loop that carries them out.

Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from typing import Any

from localcloud.autoscaling.api import INVALID_TOKEN, AutoScalingApi
from localcloud.autoscaling.model import ScalableTarget, ScheduledAction
from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.core.schedule_expression import ScheduleError, next_due
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.autoscaling")

_LOOK_CLOCK_SECONDS = 10.0
_PAGE = 50


class ScheduledActionsApi:
    """Scheduled changes of a target's limits."""

    def __init__(self, context: ServiceContext, scaling: AutoScalingApi) -> None:
        self._context = context
        self._scaling = scaling
        self._actions = Collection(context.database, "autoscaling-scheduled", ScheduledAction)
        scaling.on_deregister.append(self._forget)

    @operation("PutScheduledAction")
    def put_scheduled_action(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._scaling.target(scope, params)
        name = params["ScheduledActionName"]
        now = self._context.clock.now()
        existing = self._actions.get(_key(target, name))
        if existing is None and not (params.get("Schedule") and params.get("ScalableTargetAction")):
            raise ValidationError(
                "Schedule and ScalableTargetAction must be given for a new scheduled action."
            )
        arn = scope.arn(
            "autoscaling",
            f"scheduledAction:{uuid.uuid4()}:resource/{target.service_namespace}/"
            f"{target.resource_id}:scheduledActionName/{name}",
        )
        before = existing or ScheduledAction(arn, name, target.key, params["Schedule"], now)
        limits = params.get("ScalableTargetAction") or {}
        # A copy, so that a refusal leaves the existing action unchanged.
        action = replace(
            before,
            schedule=params.get("Schedule", before.schedule),
            timezone=params.get("Timezone", before.timezone),
            start=params.get("StartTime"),
            end=params.get("EndTime"),
            minimum=limits.get("MinCapacity", before.minimum),
            maximum=limits.get("MaxCapacity", before.maximum),
        )
        low, high = action.minimum, action.maximum
        if low is not None and high is not None and low > high:
            raise ValidationError(
                f"MinCapacity ({low}) must not be greater than MaxCapacity ({high})."
            )
        try:
            action.due = next_due(action.schedule, action.timezone, action.created, now)
        except ScheduleError as error:
            raise ValidationError(f"Schedule: {error}.") from None
        self._actions.put(_key(target, name), action)
        return {}

    @operation("DeleteScheduledAction")
    def delete_scheduled_action(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        target = self._scaling.target(scope, params)
        key = _key(target, params["ScheduledActionName"])
        if self._actions.get(key) is None:
            raise AwsError(
                "ObjectNotFoundException",
                f"No scheduled action found for service namespace: {target.service_namespace}, "
                f"resource ID: {target.resource_id}, scheduled action name: "
                f"{params['ScheduledActionName']}",
            )
        self._actions.delete(key)
        return {}

    @operation("DescribeScheduledActions")
    def describe_scheduled_actions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        names = params.get("ScheduledActionNames")
        found = []
        for action in self._actions.values():
            account, region, namespace, resource, dimension = action.target.split("|")
            if (
                (account, region) != (scope.account, scope.region)
                or namespace != params["ServiceNamespace"]
                or params.get("ResourceId") not in (None, resource)
                or (names and action.name not in names)
            ):
                continue
            limits = {"MinCapacity": action.minimum, "MaxCapacity": action.maximum}
            found.append(
                {
                    "ScheduledActionName": action.name,
                    "ScheduledActionARN": action.arn,
                    "ServiceNamespace": namespace,
                    "ResourceId": resource,
                    "ScalableDimension": dimension,
                    "Schedule": action.schedule,
                    "Timezone": action.timezone,
                    "StartTime": action.start,
                    "EndTime": action.end,
                    "ScalableTargetAction": {k: v for k, v in limits.items() if v is not None},
                    "CreationTime": action.created,
                }
            )
        shown, token = page(
            found,
            lambda action: str(action["ScheduledActionARN"]),
            params.get("NextToken"),
            min(params.get("MaxResults") or _PAGE, _PAGE),
            INVALID_TOKEN,
        )
        return {"ScheduledActions": shown, "NextToken": token}

    async def run(self) -> None:
        """Carry out the actions that are due, until cancelled."""
        clock = self._context.clock
        while True:
            await clock.pace(_LOOK_CLOCK_SECONDS)
            for action in list(self._actions.values()):
                try:
                    self._look(action)
                except Exception:
                    log.exception("scheduled action %s", action.name)

    def _look(self, action: ScheduledAction) -> None:
        now = self._context.clock.now()
        if action.due is None or now < action.due:
            return
        target = self._scaling.targets.get(action.target)
        begun = action.start is None or now >= action.start
        over = action.end is not None and now > action.end
        due, action.due = action.due, None
        if not over:
            action.due = next_due(action.schedule, action.timezone, action.created, now)
        if target is None:
            return
        self._actions.put(_key(target, action.name), action)
        if begun and not over and not target.suspended.get("ScheduledScalingSuspended"):
            log.info("scheduled action %s of %s, due %s", action.name, target.resource_id, due)
            if action.minimum is not None:
                target.minimum = action.minimum
            if action.maximum is not None:
                target.maximum = action.maximum
            self._scaling.targets.put(target.key, target)
            self._scaling.engine.enforce_limits(target, f"scheduled action name {action.name}")

    async def _forget(self, target: ScalableTarget) -> None:
        for action in list(self._actions.values()):
            if action.target == target.key:
                self._actions.delete(_key(target, action.name))


def _key(target: ScalableTarget, name: str) -> str:
    return f"{target.key}|{name}"
