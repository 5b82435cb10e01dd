"""A question whose answer may come from elsewhere, and signals that end as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.cli.terminal import ended_by_signals, read_line_while, run_child


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


# It tidies up at Ctrl-C, and says so in a file. SIGTERM ends it at once.
CHILD = """
import pathlib, signal, sys, time
# What runs in a shell's background ignores Ctrl-C, and its children would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)
    pathlib.Path("report").write_text("written")
"""
PARENT = """
import os, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from localcloud.cli.terminal import ended_by_signals, run_child
with ended_by_signals():
    run_child([sys.executable, "-u", "-c", os.environ["CHILD"]], Path.cwd(), dict(os.environ))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_a_child_write_its_report(tmp_path: Path, number: signal.Signals) -> None:
    root = str(Path(__file__).parents[4])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        env={**os.environ, "CHILD": CHILD, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        # A terminal sends Ctrl-C to the whole group; `kill` reaches the parent alone.
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)
        else:
            parent.send_signal(number)
        parent.communicate(timeout=30)
    assert parent.returncode != 0
    assert (tmp_path / "report").exists() == (number == signal.SIGINT)


def test_a_child_that_ends_gives_its_status(tmp_path: Path) -> None:
    assert run_child([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, os.environ) == 3


def test_a_childs_lines_can_be_taken_instead_of_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(4)"
    lines: list[str] = []
    assert run_child([sys.executable, "-c", code], tmp_path, {}, lines.append) == 4
    assert lines == ["one", "two"]
    assert capfd.readouterr().out == ""
