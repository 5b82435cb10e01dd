"""The newest requests to production's endpoint, and its configuration, for the rehearsal.

The files of SageMaker's data capture lie under `PREFIX/yyyy/mm/dd/hh/`. The newest ones are named
in a manifest, so that the job downloads these and no more.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lambda_src.pipeline_job import ConfigurationError, Job

TEMPLATE_FILE = "template.json"
MANIFEST_FILE = "captures.manifest"
# The newest files of the hours before the newest capture, and no more than these.
MOST_HOURS, MOST_FILES, MOST_BYTES = 24, 2_000, 64 * 1024 * 1024
_HOUR = "%Y/%m/%d/%H"
_HOUR_PARTS = 4


def newest_captures(s3: Any, uri: str) -> list[str]:
    """Return the keys of the newest capture files, the newest first.

    Args:
        s3: a client.
        uri: where a variant of the endpoint captures, as `s3://BUCKET/PREFIX/ENDPOINT/VARIANT`.

    Returns: none if there is no such bucket, because nothing is captured.
    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    keys: list[str] = []
    size = 0
    try:
        for found in _newest_first(s3, bucket, prefix):
            size += found["Size"]
            if len(keys) == MOST_FILES or (keys and size > MOST_BYTES):
                break
            keys.append(found["Key"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
    return keys


def _newest_first(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    newest: datetime | None = None
    for hour, folder in _hours(s3, bucket, f"{prefix}/", ()):
        newest = newest or hour
        if newest - hour >= timedelta(hours=MOST_HOURS):
            return
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
        files = [found for page in pages for found in page.get("Contents", ())]
        yield from sorted(files, key=lambda found: str(found["Key"]), reverse=True)


def _hours(
    s3: Any, bucket: str, folder: str, parts: tuple[str, ...]
) -> Iterator[tuple[datetime, str]]:
    """Yield the hours with captures and their folders, the newest first."""
    if len(parts) == _HOUR_PARTS:
        try:
            yield datetime.strptime("/".join(parts), _HOUR), folder
        except ValueError:
            return  # a folder that is no hour
        return
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=folder, Delimiter="/"
    )
    names = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
    for name in sorted(names, reverse=True):
        yield from _hours(s3, bucket, name, (*parts, name.rstrip("/").rpartition("/")[2]))


def manifest(uri: str, keys: list[str]) -> str:
    """Return a manifest of keys under a prefix."""
    _, _, prefix = uri.removeprefix("s3://").partition("/")
    names = [key.removeprefix(f"{prefix}/") for key in keys]
    return json.dumps([{"prefix": f"{uri}/"}, *names])


def serving(job: Job) -> str:
    """Return what production's template says of its endpoint, as the rehearsal reads it.

    Raises: ConfigurationError when the artifact holds no such template.
    """
    artifact = job.input()
    try:
        with job.read(artifact) as archive:
            template = json.loads(archive.read(TEMPLATE_FILE))
        return json.dumps(_serving(template), separators=(",", ":"))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ConfigurationError(
            f"artifact {artifact.name} must hold {TEMPLATE_FILE}, the template of an endpoint: "
            f"{error!r}"
        ) from None


def _serving(template: Mapping[str, Any]) -> dict[str, Any]:
    resources = template["Resources"]
    config = resources["EndpointConfig"]["Properties"]
    variant = config["ProductionVariants"][0]
    found = {
        "type": variant["InstanceType"],
        "count": variant["InitialInstanceCount"],
        # Earlier versions of the template may have captured; this one may not.
        "capture": config.get("DataCaptureConfig", {}).get("InitialSamplingPercentage", 100),
        "price": template.get("Metadata", {}).get("MlopsLab", {}).get("InstanceHourUsd"),
    }
    if "ScalingPolicy" in resources:
        target = resources["ScalableTarget"]["Properties"]
        policy = resources["ScalingPolicy"]["Properties"]
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        # The rehearsal scales by this metric only; otherwise it counts the least instances.
        predefined = tracking.get("PredefinedMetricSpecification", {})
        invocations = "SageMakerVariantInvocationsPerInstance"
        if predefined.get("PredefinedMetricType", invocations) != invocations:
            return found | {"count": target["MinCapacity"]}
        found |= {
            "target": tracking["TargetValue"],
            "min": target["MinCapacity"],
            "max": target["MaxCapacity"],
            "out": tracking["ScaleOutCooldown"],
            "in": tracking["ScaleInCooldown"],
        }
    return found
