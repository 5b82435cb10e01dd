"""The service, the region and the bucket of S3 that a Host header names. Pure.

    photos.s3.eu-west-1.localhost.localstack.cloud:4566   S3, eu-west-1, the bucket `photos`
    s3.eu-west-1.localhost                                S3, eu-west-1
    photos.localhost                                      the bucket `photos`, if it is for S3
    sts.eu-west-1.localhost.localstack.cloud              STS, eu-west-1
    localhost:4566                                        nothing

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_HOST = re.compile(r"(.+?)\.(localhost(?:\.localstack\.cloud)?)\.?(:\d+)?", re.IGNORECASE)
_REGION = r"(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d)"
# `s3-eu-west-1` is the older form of `s3.eu-west-1`.
_S3 = re.compile(
    rf"(?:(?P<bucket>.+)\.)?(?P<service>s3(?:-website)?)"
    rf"(?:-accelerate|-fips)?(?:\.dualstack)?(?:[.-]{_REGION})?"
)
_SERVICE = re.compile(rf"(?:.+\.)?(?P<service>[a-z0-9-]+)\.{_REGION}")


@dataclass(frozen=True, slots=True)
class HostPlace:
    """The parts of a host name; each is empty if it is missing.

    Attributes:
        service: the service, as in AWS's own host names.
        region: the region.
        bucket: the bucket, if the request is for S3.
        domain: the host and the port that are left without all of this.
    """

    service: str = ""
    region: str = ""
    bucket: str = ""
    domain: str = ""


_NOTHING = HostPlace()


@lru_cache(maxsize=1024)
def place_of(host: str) -> HostPlace:
    """Return what a Host header says, with or without a port, in any case."""
    match = _HOST.fullmatch(host)
    if match is None:
        return _NOTHING
    label, domain = match[1].lower(), match[2] + (match[3] or "")
    found = _S3.fullmatch(label)
    if found is not None:
        return HostPlace(found["service"], found["region"] or "", found["bucket"] or "", domain)
    found = _SERVICE.fullmatch(label)
    if found is not None:
        return HostPlace(found["service"], found["region"], "", domain)
    return HostPlace(bucket=label, domain=domain)
