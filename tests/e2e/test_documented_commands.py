"""The commands of the documentation, run in order and as written.

Blocks that begin with ```bash are run; those without a language show commands that this test cannot
run: they wait for a person, need AWS, or take an hour. The local cloud of a test has another port
than 4566, and nothing else is changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import ROOT, TestCloud
from tests.e2e.conftest import cloud_of_its_own

pytestmark = pytest.mark.emulator_only

_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PLAIN_PAGES = ("environment.md", "formats.md", "troubleshooting.md")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    with cloud_of_its_own(tmp_path_factory.mktemp("pages"), speed=60.0) as started:
        yield started


def blocks(page: str) -> list[str]:
    return _BLOCK.findall((ROOT / "docs" / page).read_text())


def run(script: str, cloud: TestCloud, directory: Path) -> str:
    """Run a script by bash in a directory, with this interpreter's commands on the PATH."""
    port = cloud.url.rpartition(":")[2]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("4566", port)],
        cwd=directory,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "AWS_ENDPOINT_URL": cloud.url,
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_page_of_the_local_cloud_leads_from_a_dataset_to_a_prediction(cloud: TestCloud) -> None:
    script = "\n".join(blocks("local-cloud.md"))
    before = {path.name for path in ROOT.iterdir()}
    shown = run(script, cloud, ROOT)
    assert "setosa" in shown
    assert "validation:accuracy=" in shown
    assert "iris-model-pipeline" in shown
    assert "iris-model-production" in shown
    # It leaves nothing behind in the project's directory.
    assert {path.name for path in ROOT.iterdir()} - before <= {"build"}


@pytest.mark.parametrize("page", _PLAIN_PAGES)
def test_the_blocks_of_a_page_run(page: str, cloud: TestCloud, tmp_path: Path) -> None:
    found = blocks(page)
    assert found
    run("\n".join(found), cloud, tmp_path)
