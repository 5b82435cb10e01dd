"""The image of the local cloud, laid out by the project's own builder, and what runs from it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from localcloud.core.build_context import pack
from localcloud.core.child_process import base_environment, free_port
from localcloud.core.image_store import Image
from tests.cloud import ROOT
from tests.command_line import run
from tests.images import Images

pytestmark = pytest.mark.emulator_only


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of the Dockerfile at the project's root."""
    images = Images(tmp_path_factory.mktemp("own") / "images")
    return images.get(images.add(pack(ROOT)).digest)


def test_the_image_has_what_a_wheel_is_built_from_and_nothing_else(image: Image) -> None:
    names = {path.name for path in image.directory.iterdir()}
    assert {"localcloud", "model", "loadtest", "components", "lambda_src", "setup.py"} <= names
    assert not names & {"tests", ".git", ".venv", ".localcloud", "notebooks", "docs", "build"}
    assert not list(image.root.rglob("__pycache__"))


def test_it_listens_beyond_loopback_by_its_own_variables_only(image: Image) -> None:
    given = image.environment()
    assert {"GATEWAY_LISTEN": "0.0.0.0:4566", "LOCALCLOUD_CONTAINER": "1"}.items() <= given.items()
    text = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 1000\n" in text
    assert "\nHEALTHCHECK " in text


def test_its_command_starts_a_local_cloud_that_answers(image: Image, tmp_path: Path) -> None:
    port = free_port()
    # A test listens on loopback; the paths of the image are those of a container.
    given = image.environment() | {"GATEWAY_LISTEN": f"127.0.0.1:{port}"}
    (tmp_path / "init" / "ready.d").mkdir(parents=True)
    places = {
        "/var/lib/localcloud/state": str(tmp_path / "state"),
        "/etc/localstack/init": str(tmp_path / "init"),
    }
    program, *arguments = [places.get(word, word) for word in image.command()]
    assert "localcloud" == program
    cloud = subprocess.Popen(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=image.directory,
        env=base_environment() | given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        health = ("wait", "--timeout", "30s", "--endpoint-url", url)
        assert run(*health).returncode == 0
        asked = urllib.request.Request(
            f"{url}/_localstack/config", headers={"Host": f"localcloud:{port}"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert str(tmp_path / "state") == json.loads(answer.read())["STATE_DIRECTORY"]
    finally:
        cloud.terminate()
        cloud.wait(20)
