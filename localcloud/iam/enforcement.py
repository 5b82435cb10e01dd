"""Enforcement modes, in a module of their own so that the command line loads them fast."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Deny a call that its role may not make, only record it, or check no calls."""

    ENFORCE = "enforce"
    LOG = "log"
    OFF = "off"
