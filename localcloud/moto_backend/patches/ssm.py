"""Patches of Systems Manager."""

from __future__ import annotations

import sys
from collections import defaultdict
from types import ModuleType, SimpleNamespace
from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_import()


def _patch_import() -> None:
    """Import: moto's SSM imports EC2, to find the instances that a command is sent to.

    There are no instances here, and EC2's tables of instance types take 90 MiB and most of a
    second.
    """
    if "moto.ssm.models" in sys.modules or "moto.ec2" in sys.modules:
        return
    ec2: Any = ModuleType("moto.ec2")
    none = SimpleNamespace(all_reservations=lambda filters: [])
    ec2.ec2_backends = defaultdict(lambda: defaultdict(lambda: none))
    sys.modules["moto.ec2"] = ec2
    try:
        import moto.ssm.models  # noqa: F401
    finally:
        del sys.modules["moto.ec2"]
