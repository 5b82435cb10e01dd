"""Child processes: their environment, their output and their end."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from localcloud.core.child_process import (
    Child,
    ChildProcesses,
    base_environment,
    free_port,
    resolve_command,
)
from localcloud.core.marks import MARK, reap_orphans

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).resolve().parents[4]

# It ignores SIGTERM, and says so once it does.
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()"


class Output:
    """A sink, and a way to wait for a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._arrived = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._arrived.set()

    async def wait_for(self, count: int) -> None:
        while len(self.lines) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 30)


def run(body: Callable[[ChildProcesses, Output], Awaitable[None]]) -> list[str]:
    """Run a scenario and return the lines its children wrote."""

    async def scenario() -> list[str]:
        runner, output = ChildProcesses(), Output()
        try:
            await body(runner, output)
        finally:
            await runner.close()
        return output.lines

    return asyncio.run(scenario())


async def python(runner: ChildProcesses, output: Output, code: str, **environment: str) -> Child:
    return await runner.spawn(["python", "-c", code], environment, Path(), output)


async def ended(child: Child) -> int | None:
    await asyncio.wait_for(child.exited.wait(), 30)
    return child.returncode


def is_alive(pid: int) -> bool:
    """Return whether a process runs (one that nobody has waited for yet does not)."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def gone(pid: int) -> None:
    """Wait for a process that was killed: its output closes a moment before it ends."""
    while is_alive(pid):  # noqa: ASYNC110 - the system tells nobody but its parent
        await asyncio.sleep(0.001)


def test_a_child_gets_its_own_environment_and_no_secret_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-1")
    monkeypatch.setenv("SOME_TOKEN", "secret-2")
    monkeypatch.setenv("HOME", "/home/secret-3")

    async def body(runner: ChildProcesses, output: Output) -> None:
        code = "import os\nfor pair in sorted(os.environ.items()): print(*pair, sep='=')"
        assert 0 == await ended(await python(runner, output, code, TRAINING_JOB_NAME="job"))

    lines = run(body)
    assert "TRAINING_JOB_NAME=job" in lines
    assert [] == [line for line in lines if "secret" in line]
    names = {line.partition("=")[0] for line in lines}
    # LC_CTYPE is Python's own doing in the C locale.
    assert names <= {*base_environment(), MARK, "TRAINING_JOB_NAME", "LC_CTYPE"}
    assert "PATH" in names


def test_what_is_given_wins_over_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")

    async def body(runner: ChildProcesses, output: Output) -> None:
        code = "import os; print(os.environ['TZ'], os.environ['OPENBLAS_CORETYPE'])"
        await ended(await python(runner, output, code, TZ="UTC"))

    assert ["UTC Haswell"] == run(body)


def test_both_streams_reach_the_sink_line_by_line() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        code = """
import sys
print("one")
print("two", file=sys.stderr)
sys.stdout.buffer.write(b"\\xff three\\r\\n\\nlast")
"""
        await ended(await python(runner, output, code))

    assert ["one", "two", "\ufffd three", "", "last"] == run(body)


def test_a_line_over_the_limit_does_not_end_the_reading() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        code = "print('x' * (3 << 20)); print('after')"
        assert 0 == await ended(await python(runner, output, code))

    assert "after" == run(body)[-1]


def test_the_exit_status_is_kept() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        child = await python(runner, output, "raise SystemExit(3)")
        assert 3 == await ended(child)
        child.terminate()  # too late, and no error

    run(body)


def test_a_program_that_is_not_there_is_an_error() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        with pytest.raises(OSError, match="no-such-program"):
            await runner.spawn(["no-such-program"], {}, Path(), output)

    run(body)


def test_a_child_that_honours_sigterm_ends_by_it() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        child = await python(runner, output, "import signal; print('ready'); signal.pause()")
        await output.wait_for(1)
        await child.stop(grace_seconds=30)
        assert -signal.SIGTERM == child.returncode

    run(body)


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    async def body(runner: ChildProcesses, output: Output) -> None:
        child = await python(runner, output, STUBBORN)
        await output.wait_for(1)
        await child.stop(grace_seconds=0.01)
        assert -signal.SIGKILL == child.returncode

    run(body)


def test_stopping_ends_the_whole_process_group() -> None:
    # A grandchild that ignores SIGTERM outlives the leader and holds the output open.
    code = f"""
import signal, subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(grandchild.pid)
signal.pause()
"""

    async def body(runner: ChildProcesses, output: Output) -> None:
        child = await python(runner, output, code)
        await output.wait_for(2)
        grandchild = next(int(line) for line in output.lines if line.isdigit())
        assert is_alive(grandchild)
        await asyncio.wait_for(child.stop(grace_seconds=0.05), 30)
        await asyncio.wait_for(gone(grandchild), 30)

    run(body)


# A grandchild that leaves the process group, and the output open or closed.
ESCAPED = """
import subprocess, sys
code = "import os, time; print(os.getpid(), flush=True); {closes}; time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("closes", ["None", "os.close(1); os.close(2)"])
def test_the_end_of_a_child_ends_what_it_left_running(closes: str) -> None:
    code = ESCAPED.replace("{closes}", closes).replace(
        "sys.stdin.read()", "import time; time.sleep(0.5)"
    )

    async def body(runner: ChildProcesses, output: Output) -> None:
        child = await python(runner, output, code)
        await output.wait_for(1)
        assert 0 == await ended(child)
        await asyncio.wait_for(gone(int(output.lines[0])), 30)

    run(body)


def test_what_a_killed_owner_left_behind_is_found_by_its_mark() -> None:
    # The owner starts a child of its own in this project's way, prints its pid, and is killed.
    owner = """
import asyncio, os, signal, sys
from pathlib import Path
from localcloud.core.child_process import ChildProcesses
async def main():
    code = ESCAPED
    child = await ChildProcesses().spawn([sys.executable, "-c", code], {}, Path(), print)
    await asyncio.sleep(1000)
asyncio.run(main())
""".replace(
        "ESCAPED",
        repr(
            ESCAPED.replace("{closes}", "None").replace(
                "sys.stdin.read()", "import time; time.sleep(1000)"
            )
        ),
    )

    async def body(runner: ChildProcesses, output: Output) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-c", owner, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        orphan = int(await asyncio.wait_for(process.stdout.readline(), 30))
        reap_orphans()
        assert is_alive(orphan)  # its owner runs
        process.kill()
        await process.communicate()
        assert is_alive(orphan)
        assert reap_orphans() >= 1
        await asyncio.wait_for(gone(orphan), 30)

    run(body)


def test_a_child_finds_no_credentials_of_the_user(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    )

    async def body(runner: ChildProcesses, output: Output) -> None:
        code = """
import boto3
session = boto3.Session()
print(session.get_credentials(), session.available_profiles)
"""
        assert 0 == await ended(await python(runner, output, code, HOME=str(tmp_path)))

    assert ["None []"] == run(body)


def test_closing_ends_every_child() -> None:
    pids: list[int] = []

    async def body(runner: ChildProcesses, output: Output) -> None:
        for _ in range(2):
            child = await python(runner, output, "import signal; print('ready'); signal.pause()")
            pids.append(child.pid)
        await output.wait_for(2)

    run(body)
    assert [False, False] == [is_alive(pid) for pid in pids]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-m", "model"], [sys.executable, "-m", "model"]),
        (["/usr/bin/python3", "x.py"], [sys.executable, "x.py"]),
        (["sh", "-c", "python"], ["sh", "-c", "python"]),
    ],
)
def test_python_means_this_interpreter(command: list[str], expected: list[str]) -> None:
    assert expected == resolve_command(command)


def test_a_free_port_is_unprivileged() -> None:
    assert 1024 <= free_port() <= 65535


def test_the_base_environment_names_no_home_or_user() -> None:
    assert set() == {"HOME", "USER", "PWD"} & set(base_environment())
    assert os.environ["PATH"] == base_environment()["PATH"]
