"""A question whose answer may come from elsewhere, and signals that end as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from localcloud.cli.terminal import ended_by_signals, read_line_while


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pipe in place of standard input; the end to write to."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield writing


def test_a_line_is_the_answer(standard_input: int) -> None:
    os.write(standard_input, b"approve\n")
    assert read_line_while(lambda: True) == "approve\n"
    os.close(standard_input)
    assert read_line_while(lambda: True) == ""


def test_a_question_that_was_answered_elsewhere_waits_no_longer(standard_input: int) -> None:
    still = iter([True, True, False])
    assert read_line_while(lambda: next(still)) is None
    os.close(standard_input)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_as_ctrl_c_does_and_is_as_before_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    tidied = []

    def work() -> None:
        with ended_by_signals():
            try:
                os.kill(os.getpid(), number)
            finally:
                tidied.append(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert tidied == [number]
    assert signal.getsignal(number) == before
