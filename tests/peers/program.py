"""Runs in Evidently's environment: the statistics of the columns that stdin describes, as JSON."""

from __future__ import annotations

import json
import sys

import pandas as pd
from evidently.legacy.calculations.stattests import (
    chi_stat_test,
    jensenshannon_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType

TESTS = {
    "num": (psi_stat_test, jensenshannon_stat_test, wasserstein_stat_test),
    "cat": (psi_stat_test, jensenshannon_stat_test, chi_stat_test),
}

answers = []
for kind, reference, current in json.load(sys.stdin):
    found = {}
    for test in TESTS[kind]:
        answer = test(pd.Series(reference), pd.Series(current), ColumnType(kind), None)
        found[test.name] = float(answer.drift_score)
    answers.append(found)
json.dump(answers, sys.stdout)
