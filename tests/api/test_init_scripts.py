"""`localcloud start --init`: scripts in LocalStack's places, and its route about them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import TestCloud, configured_url, local_cloud, wait_for
from tests.command_line import refused, run

pytestmark = pytest.mark.emulator_only

BUCKET = """
import boto3, os
boto3.client("s3").create_bucket(Bucket="made-by-a-script")
assert "AWS_PROFILE" not in os.environ and os.environ["HOME"] != "{home}"
print("made")
"""
LATE = """#!/bin/sh
python3 -c "import urllib.request as r; r.urlopen('$AWS_ENDPOINT_URL/_localstack/health')" \
    && echo stopping > "{path}"
"""


def _write(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _init(cloud: TestCloud, stage: str = "") -> Any:
    status, body = cloud.get(f"/_localstack/init{stage}")
    assert status == 200, body
    return json.loads(body)


def test_the_scripts_of_each_stage_are_run_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to start")
    # A profile that is missing breaks every session of botocore that sees it.
    monkeypatch.setenv("AWS_PROFILE", "mine")
    init, said = tmp_path / "init", tmp_path / "said"
    _write(
        init / "boot.d" / "a.sh", f"#!/bin/sh\necho boot ${{AWS_ENDPOINT_URL:-none}} >> {said}\n"
    )
    _write(init / "start.d" / "a.sh", f"#!/bin/sh\necho start >> {said}\n")
    _write(init / "ready.d" / "01-fails.sh", "#!/bin/sh\nexit 3\n")
    _write(init / "ready.d" / "02-bucket.py", BUCKET.format(home=os.environ["HOME"]), 0o644)
    _write(init / "ready.d" / "03-main.tf", "")
    _write(init / "ready.d" / "sub" / "00-last.sh", f"#!/bin/sh\necho ready >> {said}\n")
    _write(init / "shutdown.d" / "a.sh", LATE.format(path=tmp_path / "late"))
    log = tmp_path / "log"
    with local_cloud(log=log, init=init) as cloud:
        monkeypatch.delenv("AWS_PROFILE")
        wait_for("the scripts", lambda: _init(cloud, "/ready")["completed"])
        expected = [
            {"stage": "READY", "name": "01-fails.sh", "state": "ERROR"},
            {"stage": "READY", "name": "02-bucket.py", "state": "SUCCESSFUL"},
            {"stage": "READY", "name": "03-main.tf", "state": "ERROR"},
            {"stage": "READY", "name": "00-last.sh", "state": "SUCCESSFUL"},
        ]
        assert expected == _init(cloud, "/READY")["scripts"]
        shown = _init(cloud)
        done = {"BOOT": True, "START": True, "READY": True, "SHUTDOWN": False}
        assert done == shown["completed"]
        assert ["BOOT", "START", *["READY"] * 4, "SHUTDOWN"] == [
            script["stage"] for script in shown["scripts"]
        ]
        assert "UNKNOWN" == shown["scripts"][-1]["state"]
        buckets = cloud.client("s3").list_buckets()["Buckets"]
        assert ["made-by-a-script"] == [bucket["Name"] for bucket in buckets]
        status, body = cloud.get("/_localstack/init/never")
        assert status == 404
        assert "the stages are: boot, start, ready, shutdown" in body.decode()
    assert ["boot none", "start", "ready"] == said.read_text().splitlines()
    assert "stopping\n" == (tmp_path / "late").read_text()
    text = log.read_text()
    assert "localcloud.init: 02-bucket.py: made" in text
    assert "01-fails.sh failed: exit status 3" in text
    assert "03-main.tf failed: a file of the kind '.tf' is not run, only .sh and .py" in text


def test_a_directory_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    answer = run("start", "--port", "0", "--ephemeral", "--init", str(tmp_path / "none"))
    assert f"--init: there is no directory {tmp_path / 'none'}" in refused(answer)
