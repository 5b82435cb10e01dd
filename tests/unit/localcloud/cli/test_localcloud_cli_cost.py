"""`localcloud cost`: a table in a terminal, plain lines when piped."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from localcloud.cli import cost
from localcloud.cli.console import CommandError

pytestmark = pytest.mark.emulator_only

ITEM = {
    "what": "ml.m5.large, hosting",
    "quantity": 1460.0,
    "unitPrice": 0.115,
    "unit": "hour",
    "monthly": 167.9,
    "note": "2 instances [always on]",
}
ESTIMATE = {
    "priceDate": "2026-01-31",
    "region": "us-east-1",
    "currency": "USD",
    "total": 167.9,
    "items": [ITEM],
}


def printed(
    monkeypatch: pytest.MonkeyPatch,
    outputs: dict[str, Any],
    *,
    terminal: bool,
    as_json: bool = False,
) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, soft_wrap=True)
    monkeypatch.setattr(cost, "out", console)
    cost.print_estimate("prd", outputs, as_json=as_json)
    return text.getvalue()


def test_piped_the_estimate_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, {cost.OUTPUT: ESTIMATE}, terminal=False).splitlines()
    assert lines == [
        "Stack prd on AWS, us-east-1, prices of 2026-01-31",
        "ml.m5.large, hosting\t1460 hour\t0.115\t167.90\t2 instances [always on]",
        "Total: 167.90 USD a month",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_programs_warning_about_old_prices_is_shown(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    outputs = {cost.OUTPUT: {**ESTIMATE, "warning": "prices [of 2024] are old"}}
    assert "prices [of 2024] are old" in printed(monkeypatch, outputs, terminal=terminal)


def test_in_a_terminal_the_estimate_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, {cost.OUTPUT: ESTIMATE}, terminal=True)
    assert "\x1b[" in text
    assert "USD a month" in text
    assert "2 instances [always on]" in text


def test_the_estimate_as_json_is_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, {cost.OUTPUT: ESTIMATE}, terminal=False, as_json=True)
    assert json.loads(text) == ESTIMATE


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({}, "the stack prd is not deployed; run: localcloud up prd"),
        ({"endpointName": "e"}, "no output monthlyCostEstimate; it has: endpointName"),
        ({cost.OUTPUT: "12"}, "no output monthlyCostEstimate"),
    ],
)
def test_a_stack_without_an_estimate_is_an_error(outputs: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        cost.print_estimate("prd", outputs, as_json=False)
