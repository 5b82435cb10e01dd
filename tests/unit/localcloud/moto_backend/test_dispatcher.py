"""The start of the moto backend, while a live one is already called."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import asyncio
from localcloud.moto_backend.dispatcher import MotoBackend
from localcloud.aws.protocol import protocol_of
from localcloud.aws.routing import Scope
from localcloud.moto_backend.dispatcher import backend

async def main():
    moto = MotoBackend()
    start = asyncio.create_task(moto.start(lambda rule, targets, event: None))
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
from localcloud.aws.routing import Scope

async def main():
    moto = MotoBackend()
    await moto.start(lambda rule, targets, event: None)
    found = await moto.call(backend, "ssm", Scope())
    print(type(found).__name__, "moto.ec2" in sys.modules)
    moto.close()

asyncio.run(main())
"""


def test_parameters_are_kept_without_loading_ec2() -> None:
    ended = run(PARAMETERS)
    assert ended.stdout.split() == ["SimpleSystemManagerBackend", "False"], ended.stderr
