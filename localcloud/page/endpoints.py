"""The sections `endpoints` and `metrics`: instances, variants, scaling, and live figures."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localcloud.autoscaling.api import AutoScalingApi
from localcloud.autoscaling.decision import metric_of
from localcloud.autoscaling.model import Activity
from localcloud.aws.routing import Scope
from localcloud.sagemaker.fleets import Fleet, config_of
from localcloud.sagemaker.hosting import Deployment
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.model import Endpoint, Variant

if TYPE_CHECKING:
    from localcloud.edge.services import Services
    from localcloud.sagemaker.service import SageMakerService

_MOST_ENDPOINTS = 100
_MOST_INSTANCES = 40
_MOST_ACTIVITIES = 100
_LIVE = timedelta(minutes=15)
_MOST_LIVE = 20


def endpoints(services: Services, scope: Scope) -> dict[str, Any]:
    """Return the endpoints of a scope: those that changed last, by name."""
    hosting = services.sagemaker.hosting
    prefix = scope.arn("sagemaker", "endpoint/")
    found = [one for one in hosting.endpoints.values() if one.arn.startswith(prefix)]
    newest = sorted(found, key=lambda one: one.modified, reverse=True)[:_MOST_ENDPOINTS]
    scaling = _Scaling(services.autoscaling.targets, scope)
    return {
        "count": len(found),
        "items": [
            _endpoint(services.sagemaker, scope, one, scaling)
            for one in sorted(newest, key=lambda one: one.name)
        ],
    }


class _Scaling:
    """The targets, policies and newest activities of a scope, by resource."""

    def __init__(self, api: AutoScalingApi, scope: Scope) -> None:
        here = f"{scope.account}|{scope.region}|"
        self.targets = {
            target.resource_id: target
            for target in api.targets.values()
            if target.key.startswith(here)
        }
        self.policies = defaultdict(list)
        for policy in api.policies.values():
            self.policies[policy.target].append(policy)
        self.activities: dict[str, list[Activity]] = defaultdict(list)
        _, ordered = api.activities.ordered("started", lambda activity: activity.started)
        for activity in ordered[-_MOST_ACTIVITIES:]:
            self.activities[activity.target].append(activity)

    def of(self, resource: str) -> dict[str, Any] | None:
        """Return the scaling of a resource; None if it does not scale."""
        target = self.targets.get(resource)
        if target is None:
            return None
        return {
            "minimum": target.minimum,
            "maximum": target.maximum,
            "policies": [
                {
                    "name": policy.name,
                    "type": policy.type,
                    "target": policy.configuration.get("TargetValue"),
                    "metric": metric_of(policy.configuration),
                }
                for policy in self.policies[target.key]
            ],
            "activities": [
                {
                    "started": one.started,
                    "status": one.status,
                    "description": one.description,
                    "cause": one.cause,
                    "notScaled": [reason.get("Code") for reason in one.not_scaled],
                }
                for one in reversed(self.activities[target.key])
            ],
        }


def _endpoint(
    service: SageMakerService, scope: Scope, endpoint: Endpoint, scaling: _Scaling
) -> dict[str, Any]:
    engine = service.hosting.hosting
    deployment = engine.deployment(endpoint.arn)
    return {
        "name": endpoint.name,
        "arn": endpoint.arn,
        "status": endpoint.status,
        "failure": endpoint.failure_reason,
        "config": endpoint.config_name,
        "created": endpoint.created,
        "modified": endpoint.modified,
        "models": _models(service, scope, endpoint.config_name),
        "captures": bool((endpoint.data_capture or {}).get("EnableCapture")),
        "variants": [
            _variant(endpoint, variant, engine.running(endpoint.arn, variant.name), scaling)
            for variant in [*endpoint.variants, *endpoint.shadows]
        ],
        "deployment": _deployment(deployment) if deployment is not None else None,
    }


def _models(service: SageMakerService, scope: Scope, config_name: str) -> list[dict[str, Any]]:
    """Return the models of a configuration, with what they were made from."""
    config = config_of(service.models.configs, scope, config_name)
    if config is None:
        return []
    found = []
    for production in config.request.get("ProductionVariants", []):
        name = production.get("ModelName", "")
        model = service.models.models.get(scope.arn("sagemaker", f"model/{name}".lower()))
        if model is None:
            continue
        container = model.runs or model.request.get("PrimaryContainer", {})
        tags = {tag["Key"]: tag["Value"] for tag in model.request.get("Tags") or []}
        found.append(
            {
                "name": name,
                "image": container.get("Image"),
                "data": container.get("ModelDataUrl"),
                "package": tags.get("ModelPackageArn") or _package(model.request),
                "instanceType": production.get("InstanceType"),
            }
        )
    return found


def _package(request: dict[str, Any]) -> str | None:
    containers = request.get("Containers") or [request.get("PrimaryContainer") or {}]
    return next((c["ModelPackageName"] for c in containers if "ModelPackageName" in c), None)


def _variant(
    endpoint: Endpoint, variant: Variant, fleet: Fleet | None, scaling: _Scaling
) -> dict[str, Any]:
    return {
        "name": variant.name,
        "weight": variant.weight,
        "shadow": variant in endpoint.shadows,
        **_fleet(variant, fleet),
        "scaling": scaling.of(f"endpoint/{endpoint.name}/variant/{variant.name}"),
    }


def _fleet(variant: Variant, fleet: Fleet | None) -> dict[str, Any]:
    instances = fleet.instances if fleet is not None else []
    return {
        "desired": variant.desired,
        "running": len(instances),
        "instances": [_instance(instance) for instance in instances[:_MOST_INSTANCES]],
    }


def _instance(instance: Instance) -> dict[str, Any]:
    if not instance.alive:
        state = "ended"
    elif instance.missed_pings:
        state = "unhealthy"
    else:
        state = "serving"
    return {"number": instance.number, "pid": instance.child.pid, "state": state}


def _deployment(deployment: Deployment) -> dict[str, Any]:
    return {
        "config": deployment.config_name,
        "phase": deployment.phase,
        "share": deployment.share,
        "started": deployment.started,
        "variants": [
            {
                "name": variant.name,
                **_fleet(variant, deployment.fleets.production.get(variant.name)),
            }
            for variant in deployment.variants
        ],
    }


def metrics(service: SageMakerService, scope: Scope, now: datetime) -> list[dict[str, Any]]:
    """Return the invocations of the last quarter of an hour, of the variants that had any."""
    prefix = scope.arn("sagemaker", "endpoint/")
    live = [
        (arn, variant, flushes)
        for (arn, variant), flushes in service.meter.recent.items()
        if arn.startswith(prefix) and flushes and now - flushes[-1].at < _LIVE
    ]
    live.sort(key=lambda entry: entry[2][-1].at, reverse=True)
    return [
        {
            "endpoint": arn.partition(":endpoint/")[2],
            "variant": variant,
            "points": [
                [
                    round(one.at.timestamp(), 1),
                    round(one.invocations / one.seconds, 2),
                    round(one.per_instance * 60 / one.seconds, 1),
                    one.errors_4xx + one.errors_5xx,
                    round(one.p50, 2),
                    round(one.p99, 2),
                ]
                for one in flushes
                if now - one.at < _LIVE
            ],
        }
        for arn, variant, flushes in live[:_MOST_LIVE]
    ]
