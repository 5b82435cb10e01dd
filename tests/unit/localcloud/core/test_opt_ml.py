"""A job's process finds its directory at /opt/ml, and nobody else does."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from localcloud.core import opt_ml
from localcloud.core.child_process import ChildProcesses
from localcloud.core.opt_ml import base_seen_by_jobs, is_available, remove, with_opt_ml
from tests.unit.localcloud.core.test_child_process import gone

pytestmark = pytest.mark.emulator_only

needs_namespaces = pytest.mark.skipif(
    not is_available(), reason="this machine gives no process a mount namespace"
)


async def run(base: Path, script: str) -> tuple[int | None, list[str]]:
    """Run a script of a shell as a job; return its status and its lines."""
    lines: list[str] = []
    children = ChildProcesses()
    child = await children.spawn(["sh", "-c", script], {}, base, lines.append, base)
    await asyncio.wait_for(child.exited.wait(), 20)
    return child.returncode, lines


@needs_namespaces
def test_a_job_finds_its_directory_and_keeps_what_is_in_opt(tmp_path: Path) -> None:
    base = tmp_path / "a job's"
    base.mkdir()
    (base / "given").write_text("read")
    outside = sorted(os.listdir("/opt"))
    status, lines = asyncio.run(
        run(base, "cat /opt/ml/given; echo; ls -A /opt; echo written > /opt/ml/made")
    )
    assert status == 0
    assert lines[0] == "read"
    assert sorted({*lines[1:], "ml"}) == sorted({*outside, "ml"})
    assert (base / "made").read_text() == "written\n"
    assert sorted(os.listdir("/opt")) == outside
    remove(base)
    assert list(tmp_path.iterdir()) == []


@needs_namespaces
def test_two_jobs_do_not_see_each_other(tmp_path: Path) -> None:
    async def both() -> list[tuple[int | None, list[str]]]:
        bases = [tmp_path / name for name in ("one", "two")]
        for base in bases:
            base.mkdir()
        script = "basename $PWD > /opt/ml/mine; sleep 0.2; cat /opt/ml/mine"
        return list(await asyncio.gather(*(run(base, script) for base in bases)))

    assert asyncio.run(both()) == [(0, ["one"]), (0, ["two"])]


@needs_namespaces
def test_the_status_and_the_signal_of_the_program_are_the_childs(tmp_path: Path) -> None:
    assert asyncio.run(run(tmp_path, "exit 3"))[0] == 3
    assert asyncio.run(run(tmp_path, "kill -9 $$"))[0] == -signal.SIGKILL


@needs_namespaces
def test_what_a_job_leaves_running_is_found_and_killed(tmp_path: Path) -> None:
    async def test() -> None:
        lines: list[str] = []
        children = ChildProcesses()
        script = "setsid sleep 100 & echo $!"
        child = await children.spawn(["sh", "-c", script], {}, tmp_path, lines.append, tmp_path)
        await asyncio.wait_for(child.exited.wait(), 20)
        await asyncio.wait_for(gone(int(lines[0])), 20)

    asyncio.run(test())


def test_elsewhere_a_job_keeps_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opt_ml, "is_available", lambda: False)
    assert with_opt_ml(tmp_path) == ()
    assert base_seen_by_jobs(tmp_path) == tmp_path
    assert asyncio.run(run(tmp_path, "echo here; pwd"))[1] == ["here", str(tmp_path)]
