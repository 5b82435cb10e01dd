"""Errors of the load test.

LoadTestError           one sentence for the user
├── UsageError          the options or their environment are invalid
└── GeneratorError      the load generator failed
"""

from __future__ import annotations


class LoadTestError(Exception):
    """An error with a message for the user."""


class UsageError(LoadTestError):
    """The command cannot run with these options."""


class GeneratorError(LoadTestError):
    """The load generator failed."""
