"""The start of the moto backend, while a live one is already called."""

import asyncio
import contextlib
import errno
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localcloud.aws.routing import Request
from localcloud.core.descriptors import out_of_descriptors
from localcloud.moto_backend import dispatcher
from localcloud.moto_backend.dispatcher import MotoBackend
from localcloud.moto_backend.patches import Hooks

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import asyncio
from localcloud.moto_backend.dispatcher import MotoBackend
from localcloud.moto_backend.patches import Hooks
from localcloud.aws.protocol import protocol_of
from localcloud.aws.routing import Scope
from localcloud.moto_backend.dispatcher import backend

async def main():
    moto = MotoBackend()
    start = asyncio.create_task(moto.start(Hooks()))
    await asyncio.sleep(0)
    print(protocol_of("codepipeline"))
    await start
    print(type(await moto.call(backend, "s3", Scope())).__name__)
    moto.close()

asyncio.run(main())
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own: here, other tests have imported moto already."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )


def test_two_threads_may_need_moto_first_at_the_same_moment() -> None:
    ended = run(PROGRAM)
    assert (0, ["json", "S3Backend"]) == (ended.returncode, ended.stdout.split()), ended.stderr


PARAMETERS = """
import asyncio, sys
from localcloud.moto_backend.dispatcher import MotoBackend, backend
from localcloud.moto_backend.patches import Hooks
from localcloud.aws.routing import Scope

async def main():
    moto = MotoBackend()
    await moto.start(Hooks())
    found = await moto.call(backend, "ssm", Scope())
    print(type(found).__name__, "moto.ec2" in sys.modules)
    moto.close()

asyncio.run(main())
"""


def test_parameters_are_kept_without_loading_ec2() -> None:
    ended = run(PARAMETERS)
    assert ended.stdout.split() == ["SimpleSystemManagerBackend", "False"], ended.stderr


async def backend_with_gate(gate: threading.Event) -> MotoBackend:
    """Return a backend whose thread waits for the gate."""
    moto, loop, begun = MotoBackend(), asyncio.get_running_loop(), asyncio.Event()

    def wait_for_the_gate() -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait()

    asyncio.ensure_future(moto.call(wait_for_the_gate)).add_done_callback(lambda task: None)
    await begun.wait()
    return moto


def test_a_call_that_takes_too_long_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[float] = []

    async def test() -> None:
        gate = threading.Event()
        moto = await backend_with_gate(gate)

        async def no_wait(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) > 5:
                raise asyncio.CancelledError

        monkeypatch.setattr(dispatcher, "wall_sleep", no_wait)
        monkeypatch.setattr(MotoBackend, "is_late", staticmethod(lambda since: len(looks) > 2))
        with contextlib.suppress(asyncio.CancelledError):
            await moto.watch()
        gate.set()
        moto.close()

    asyncio.run(test())
    (message,) = [record.message for record in caplog.records]
    assert message.startswith("moto has been at work on backend_with_gate.")


def test_a_request_is_named_by_its_service_and_operation() -> None:
    target = {"x-amz-target": "AWSEvents.PutEvents"}
    events = Request("POST", "/", "/", "", target, b"{}", service="events")
    create = Request("POST", "/", "/", "", {}, b"Version=1&Action=CreateUser", service="iam")
    put = Request("PUT", "/bucket/key", "/bucket/key", "", {}, b"", service="s3")
    names = [dispatcher._name_of(work) for work in (events, create, put)]
    assert names == ["events PutEvents", "iam CreateUser", "s3 PUT /bucket/key"]


def test_the_end_does_not_wait_for_a_call_without_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatcher, "_CLOSE_SECONDS", 0.01)

    async def test() -> None:
        gate = threading.Event()
        moto = await backend_with_gate(gate)
        moto.close()
        gate.set()

    asyncio.run(test())
    assert "its memory is not cleared" in caplog.text


TOO_MANY = OSError(errno.EMFILE, "Too many open files")


def test_an_error_whose_cause_is_the_lack_of_descriptors_says_so() -> None:
    wrapped = ImportError("cannot import moto")
    wrapped.__cause__ = TOO_MANY
    assert out_of_descriptors(TOO_MANY)
    assert out_of_descriptors(wrapped)
    assert not out_of_descriptors(OSError(errno.ENOENT, "No such file"))
    assert not out_of_descriptors(sqlite3.OperationalError("unable to open database file"))


@pytest.mark.parametrize(
    ("failures", "attempts"), [([], 1), ([TOO_MANY, TOO_MANY], 3), ([ValueError("a bad row")], 1)]
)
def test_too_few_descriptors_are_waited_for_and_no_other_error(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception], attempts: int
) -> None:
    monkeypatch.setattr(dispatcher, "_AGAIN_SECONDS", 0)
    left, made = list(failures), list[int]()
    moto = MotoBackend()

    def load_once() -> None:
        made.append(1)
        if left:
            raise left.pop(0)

    monkeypatch.setattr(moto, "_load_once", load_once)
    raises = any(isinstance(failure, ValueError) for failure in failures)
    with pytest.raises(ValueError, match="a bad row") if raises else contextlib.nullcontext():
        asyncio.run(moto.start(Hooks()))
    assert len(made) == attempts
    moto.close()
