"""Both stacks by Pulumi's own engine, on the local cloud: `make test-engine`.

Every test is skipped where there is no `pulumi` on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud import ROOT, TestCloud, local_cloud

pytestmark = [
    pytest.mark.emulator_only,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="there is no `pulumi` on the PATH"),
]
NOT_COPIED = shutil.ignore_patterns(".*", "build", "__pycache__")
# What a user's shell has, and the command must not see.
FOREIGN = {
    "AWS_PROFILE": "work",
    "AWS_SESSION_TOKEN": "theirs",
    "PULUMI_ACCESS_TOKEN": "theirs",
    "PULUMI_BACKEND_URL": "s3://theirs",
}


@dataclass(frozen=True)
class Engine:
    """A copy of the project, and the local cloud that it is deployed to."""

    directory: Path
    cloud: TestCloud

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run `localcloud pulumi`; return its output."""
        ended = subprocess.run(
            [sys.executable, "-m", "localcloud", "pulumi", *arguments],
            cwd=self.directory,
            env={**os.environ, **FOREIGN, "AWS_ENDPOINT_URL": self.cloud.url},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said = ended.stdout + ended.stderr
        assert status == ended.returncode, said[-4000:]
        return said

    def up(self, stack: str, *arguments: str) -> str:
        return self.run("up", "--stack", stack, "--yes", "--non-interactive", *arguments)

    def state(self, stack: str) -> list[dict[str, object]]:
        exported = self.run("stack", "export", "--stack", stack)
        found: list[dict[str, object]] = json.loads(exported[exported.index("{") :])["deployment"][
            "resources"
        ]
        return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    directory = tmp_path_factory.mktemp("engine") / "lab"
    shutil.copytree(ROOT, directory, ignore=NOT_COPIED)
    (directory / ".venv").symlink_to(sys.prefix)
    with local_cloud() as cloud:
        made = Engine(directory, cloud)
        for stack in ("prd", "dev"):
            made.run("stack", "init", stack)
        yield made


def test_a_preview_creates_nothing(engine: Engine) -> None:
    said = engine.run("preview", "--stack", "prd", "--non-interactive")
    assert re.search(r"\+ \d+ to create", said)
    assert engine.cloud.client("s3").list_buckets()["Buckets"] == []


def test_both_stacks_go_up_and_a_second_time_nothing_changes(engine: Engine) -> None:
    for stack in ("prd", "dev"):
        assert re.search(r"\+ \d+ created", engine.up(stack))
        again = engine.up(stack)
        assert re.search(r"\n +\d+ unchanged", again)
        assert " updated" not in again
    pipelines = engine.cloud.client("codepipeline").list_pipelines()["pipelines"]
    assert "iris-model-pipeline" in [pipeline["name"] for pipeline in pipelines]


def test_a_setting_and_an_archive_change_what_they_touch(engine: Engine) -> None:
    with (engine.directory / "lambda_src/smoke_test.py").open("a") as source:
        source.write("# changed\n")
    said = engine.up("dev", "-c", "trainingMaxRuntimeSeconds=1800")
    assert "~ 2 updated" in said
    assert "smoke-test-function updated" in said
    function = engine.cloud.client("lambda").get_function(FunctionName="iris-model-smoke-test")
    assert function["Configuration"]["State"] == "Active"


def test_the_preview_of_the_engine_and_of_the_deployer_agree(engine: Engine) -> None:
    said = engine.run(
        "preview", "--stack", "dev", "--non-interactive", "-c", "minimumAccuracy=0.5", "--json"
    )
    plan = json.loads(said[said.index("{") : said.rindex("}") + 1])
    touched = [
        s["urn"].rpartition("::")[2] for s in plan["steps"] if s["op"] not in ("same", "read")
    ]
    # The setting of the test before was not saved in the stack's file either.
    assert sorted(touched) == ["delivery"]


def test_the_stacks_files_stay_as_they_are(engine: Engine) -> None:
    for path in ROOT.glob("Pulumi*.yaml"):
        assert (engine.directory / path.name).read_text() == path.read_text()


def test_a_wrong_setting_is_one_sentence(engine: Engine) -> None:
    said = engine.run(
        *("up", "--stack", "dev", "--yes", "--non-interactive", "-c", "modelName=BAD"), status=1
    )
    assert "modelName: bad value 'BAD'" in said
    assert "Traceback" not in said


def test_a_secret_stays_one_in_the_state(engine: Engine) -> None:
    passphrase = engine.directory / ".localcloud/pulumi/passphrase"
    assert 0o600 == passphrase.stat().st_mode & 0o777
    text = json.dumps(engine.state("dev"))
    assert passphrase.read_text() not in text
    assert "theirs" not in text


def test_what_is_taken_down_is_gone(engine: Engine) -> None:
    assert re.search(
        r"- \d+ deleted", engine.run("destroy", "--stack", "dev", "--yes", "--non-interactive")
    )
    assert engine.cloud.client("codepipeline").list_pipelines()["pipelines"] == []
    # Production is protected.
    said = engine.run("destroy", "--stack", "prd", "--yes", "--non-interactive", status=1)
    assert "protect" in said
    engine.run("state", "unprotect", "--all", "--yes", "--stack", "prd")
    engine.run("destroy", "--stack", "prd", "--yes", "--non-interactive")
    assert engine.cloud.client("s3").list_buckets()["Buckets"] == []


def test_an_address_that_is_not_this_machine_is_refused(engine: Engine) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "localcloud", "pulumi", "preview"],
        cwd=engine.directory,
        env={**os.environ, "AWS_ENDPOINT_URL": "https://s3.amazonaws.com"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == ended.returncode
    assert "this machine only" in ended.stderr
