"""The condition keys that each request carries. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from localcloud.iam.principals import Caller

_ADDRESS = "127.0.0.1"


def global_keys(
    caller: Caller, unique_id: str, tags: Mapping[str, str], region: str, now: datetime
) -> dict[str, tuple[str, ...]]:
    """Return the keys of a request, without those of its service.

    Args:
        caller: who calls.
        unique_id: the unique id of the role or user, for example `AROA…`.
        tags: the tags of the role or user.
        region: the region that the request is for.
        now: the AWS time, in UTC.
    """
    session = caller.session_arn.rpartition("/")[2]
    keys = {
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.arn,
        "aws:PrincipalType": "AssumedRole" if session else "User",
        "aws:userid": f"{unique_id}:{session}" if session else unique_id,
        "aws:RequestedRegion": region,
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(now.timestamp())),
        # It is as safe as TLS: the requests of this cloud do not leave the machine.
        "aws:SecureTransport": "true",
        "aws:SourceIp": _ADDRESS,
        "aws:ViaAWSService": "false",
        **{f"aws:PrincipalTag/{key}": value for key, value in tags.items()},
    }
    if not session and caller.arn:
        keys["aws:username"] = caller.arn.rpartition("/")[2]
    return {key: (value,) for key, value in keys.items() if value}
