"""Clients of other makers, each run as its users run it, in the environment `make` sets up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import TestCloud, configured_url, is_localcloud, local_cloud

CLIENTS = Path(__file__).parent / ".venv" / "bin"


@pytest.fixture(scope="session")
def target() -> Iterator[TestCloud]:
    """The configured endpoint, or a local cloud of our own."""
    url = configured_url()
    if url is not None:
        yield TestCloud(url, is_localcloud(url))
        return
    with local_cloud(speed=60.0) as cloud:
        yield cloud


def run(cloud: TestCloud, program: str, *arguments: str, **variables: str) -> str:
    """Run a client's program with an environment of its own; return what it printed."""
    if not (CLIENTS / program).exists():
        pytest.skip(f"{program} is not set up: run `make test-clients`")
    answer = subprocess.run(
        [str(CLIENTS / program), *arguments],
        env={
            "PATH": f"{CLIENTS}{os.pathsep}{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PAGER": "",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert answer.returncode == 0, f"{program} {' '.join(arguments)}\n{answer.stderr[-3000:]}"
    return answer.stdout
