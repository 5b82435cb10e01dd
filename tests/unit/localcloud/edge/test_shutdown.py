"""The end of the process, whatever its threads are doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import asyncio, concurrent.futures, os, signal, sys
from localcloud.edge import shutdown

shutdown.DEADLINE_SECONDS = 0.2

def stuck():
    while True:
        pass

async def main(where):
    found = shutdown.Shutdown(lambda: " is at work")
    found.listen()
    if where == "thread":
        asyncio.get_running_loop().run_in_executor(None, stuck)
    print("ready", flush=True)
    if where == "loop":
        stuck()
    if where == "route":
        found.request()
        stuck()
    await found.requested.wait()
    print("stopped", flush=True)
    if where == "late":
        stuck()

import uvloop
uvloop.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("where", "code", "output"),
    [("nowhere", 0, "stopped\n"), ("loop", 1, ""), ("thread", 1, "stopped\n")],
)
def test_a_signal_ends_the_process_wherever_it_is(
    number: signal.Signals, where: str, code: int, output: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, where],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (code, output)
    assert ("did not end within" in errors) == (code == 1)
    assert ("(moto is at work); it ends now" in errors) == (code == 1)


@pytest.mark.parametrize("where", ["route", "late"])
def test_a_shutdown_that_hangs_ends_as_well(where: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, where], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1


def test_a_signal_goes_only_to_a_local_cloud_that_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localcloud.edge import shutdown

    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert not shutdown.terminate(9)  # there is no file
    shutdown.pid_file(9).write_text("1")
    assert not shutdown.terminate(9)  # nobody listens
    shutdown.pid_file(9).write_text("not a number")
    assert not shutdown.terminate(9)
