"""The number of examples that a property tries, by the Hypothesis profile (`HYPOTHESIS_PROFILE`).

    daily     the default: 50, or what a property asks for by `examples(…)`
    nightly   500 for every property, also for the expensive ones, and longer runs of state machines
    mutants   as daily, but the same examples in every run, so that a mutant's verdict is stable

A number of examples is given by `examples` only, because a bare `max_examples` would hold at night
too; `tests/unit/test_examples.py` refuses it.
"""

from __future__ import annotations

import os

from hypothesis import settings

DAILY = 50
NIGHTLY = 500

# The daily numbers of properties that are expensive, and why.
# An example is a request over HTTP, about 20 ms, and there are two properties for each operation.
OPERATION_OVER_HTTP = 4
# An example is a request over HTTP to any operation of a service of moto's.
ODD_OVER_HTTP = 20
# An example is some fifteen calls over HTTP, and most of them start or end model servers.
ENDPOINTS_OVER_HTTP = 15
# An example makes two datasets.
TWO_DATASETS = 15
# An example fits a small model for each of some folds, about 50 ms.
FITTED_FOLDS = 30
# An example records the whole Pulumi program, a third of a second.
PULUMI_PROGRAM = 10

_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "daily")


def examples(daily: int, profile: str = _PROFILE) -> int:
    """Return a property's `max_examples`: its daily number, and at night 500 at least."""
    return max(daily, NIGHTLY) if profile == "nightly" else daily


def steps(daily: int, profile: str = _PROFILE) -> int:
    """Return a state machine's `stateful_step_count`: its daily number, and at night twice that."""
    return daily * 2 if profile == "nightly" else daily


def load_profile() -> None:
    """Load the profile that the environment names.

    Raises:
        hypothesis.errors.InvalidArgument: no profile has this name.
    """
    # Without deadlines: a busy machine is not a fault.
    settings.register_profile("daily", max_examples=DAILY, deadline=None)
    # Hypothesis derandomizes by itself in CI, and every night would try the same examples.
    settings.register_profile(
        "nightly", max_examples=NIGHTLY, deadline=None, derandomize=False, print_blob=True
    )
    settings.register_profile(
        "mutants", max_examples=DAILY, deadline=None, derandomize=True, database=None
    )
    settings.load_profile(_PROFILE)
