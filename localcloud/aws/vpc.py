"""The ids of subnets and security groups in a VPC configuration. Pure.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
Differs: the local cloud has no EC2, so that every well-formed id stands for a resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ID = r"-([0-9a-f]{8}|[0-9a-f]{17})"


def malformed(config: Mapping[str, Any] | None) -> str | None:
    """Return EC2's error for the first id that is malformed, or None.

    Args:
        config: SageMaker's or Lambda's VpcConfig, or None without one.
    """
    config = config or {}
    subnets = config.get("Subnets") or config.get("SubnetIds") or []
    for subnet in subnets:
        if not re.fullmatch(f"subnet{_ID}", subnet):
            return f"The subnet ID '{subnet}' is malformed"
    for group in config.get("SecurityGroupIds") or []:
        if not re.fullmatch(f"sg{_ID}", group):
            return f"The security group ID '{group}' is malformed"
    return None
