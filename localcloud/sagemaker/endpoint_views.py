"""Endpoints in the shapes of the API; members that AWS leaves out are left out."""

from __future__ import annotations

import re
from typing import Any

from localcloud.sagemaker.fleets import Fleet
from localcloud.sagemaker.hosting import Deployment, HostingEngine
from localcloud.sagemaker.model import Endpoint, EndpointStatus, SimpleRecord, Variant

# The tag or digest after an image's repository.
_TAG = re.compile(r"(@sha256:.*|:[^:/]*)$")
_RUNNING = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK)


def describe(endpoint: Endpoint, hosting: HostingEngine) -> dict[str, Any]:
    """Return an endpoint in the shape of DescribeEndpoint."""
    result: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config_name,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
        "FailureReason": endpoint.failure_reason,
        "LastDeploymentConfig": endpoint.last_deployment_config,
    }
    if endpoint.data_capture is not None:
        result["DataCaptureConfig"] = _capture(endpoint)
    if endpoint.status in _RUNNING:
        for member, variants in (
            ("ProductionVariants", endpoint.variants),
            ("ShadowProductionVariants", endpoint.shadows),
        ):
            if variants:
                result[member] = [
                    _variant(variant, hosting.running(endpoint.arn, variant.name), endpoint)
                    for variant in variants
                ]
    deployment = hosting.deployment(endpoint.arn)
    if deployment is not None and endpoint.status is EndpointStatus.UPDATING:
        result["PendingDeploymentSummary"] = _pending(deployment, endpoint)
    return result


def variants_of(config: SimpleRecord, member: str) -> list[Variant]:
    """Return the initial variants of a configuration.

    Args:
        config: an endpoint configuration.
        member: `ProductionVariants` or `ShadowProductionVariants`.
    """
    return [
        Variant(
            name=variant["VariantName"],
            desired=variant.get("InitialInstanceCount", 1),
            weight=variant.get("InitialVariantWeight", 1.0),
        )
        for variant in config.request.get(member, [])
    ]


def _variant(variant: Variant, fleet: Fleet | None, endpoint: Endpoint) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": len(fleet.instances) if fleet is not None else 0,
        "DesiredInstanceCount": variant.desired,
    }
    if fleet is not None:
        shown["DeployedImages"] = [
            {
                "SpecifiedImage": fleet.image_uri,
                "ResolvedImage": f"{_TAG.sub('', fleet.image_uri)}@{fleet.image.digest}",
                "ResolutionTime": endpoint.created,
            }
        ]
    return shown


def _pending(deployment: Deployment, endpoint: Endpoint) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "EndpointConfigName": deployment.config_name,
        "StartTime": deployment.started,
    }
    for member, variants, fleets in (
        ("ProductionVariants", deployment.variants, deployment.fleets.production),
        ("ShadowProductionVariants", deployment.shadows, deployment.fleets.shadows),
    ):
        if variants:
            summary[member] = [
                {
                    **_variant(variant, fleets.get(variant.name), endpoint),
                    "VariantStatus": [
                        {"Status": deployment.phase, "StartTime": deployment.started}
                    ],
                }
                for variant in variants
            ]
    return summary


def _capture(endpoint: Endpoint) -> dict[str, Any]:
    config = endpoint.data_capture or {}
    enabled = bool(config.get("EnableCapture", True))
    running = enabled and endpoint.status in _RUNNING
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if running else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
