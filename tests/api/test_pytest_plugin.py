"""The pytest plugin, in a session of its own as a user's project has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment

pytestmark = pytest.mark.emulator_only

TESTS = """
import os
from datetime import timedelta

import boto3
import pytest

urls = []


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_the_same_cloud_and_it_is_empty(localcloud, number):
    urls.append(localcloud.url)
    s3 = boto3.client("s3")  # by the variables alone
    assert s3.list_buckets()["Buckets"] == []
    s3.create_bucket(Bucket="mine")
    assert len(localcloud.client("s3").list_buckets()["Buckets"]) == 1
    assert localcloud.client("sts", account="111122223333").get_caller_identity()[
        "Account"
    ] == "111122223333"
    assert len(set(urls)) == 1


def test_the_clock_is_advanced(localcloud):
    before = localcloud.now()
    localcloud.advance(3600)
    assert localcloud.now() - before >= timedelta(hours=1)


def test_a_state_is_saved(localcloud):
    boto3.client("s3").create_bucket(Bucket="kept")
    localcloud.save("with-a-bucket")


def test_a_state_is_loaded(localcloud):
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    localcloud.load("with-a-bucket")
    assert len(boto3.client("s3").list_buckets()["Buckets"]) == 1


def test_the_variables_are_gone_afterwards():
    assert "AWS_ENDPOINT_URL" not in os.environ
    assert os.environ["AWS_PROFILE"] == "mine"
"""


def test_a_session_has_one_cloud_and_each_test_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "localcloud.pytest_plugin", "--localcloud-speed", "60"),
        ],
        cwd=tmp_path,
        # By name, whether or not this environment was installed since the entry point was added.
        env=environment(AWS_PROFILE="mine", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
