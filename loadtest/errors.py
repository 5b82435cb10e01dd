"""Errors of the load test.

LoadTestError           one sentence for a person
├── UsageError          exit code 2: what was asked for cannot be done
└── GeneratorError      exit code 1: the load generator ended badly
"""

from __future__ import annotations


class LoadTestError(Exception):
    """An error with a message for the user."""


class UsageError(LoadTestError):
    """What was asked for cannot be done."""


class GeneratorError(LoadTestError):
    """The load generator ended badly."""
