"""The AWS SDK for JavaScript, version 3, unchanged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.archives import tar_of, zip_of
from tests.clients.conftest import HERE, Client, environment_of
from tests.clients.pipelines import approved_pipeline
from tests.cloud import ACCOUNT, TestCloud, have_role, make_config, push_container

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

_SCRIPTS = HERE / "javascript"


@pytest.fixture
def node(target: TestCloud, tmp_path: Path) -> Client:
    """Node with the SDK beside its scripts, or the reason to skip."""
    if shutil.which("node") is None:
        pytest.skip("node is not on PATH (Debian has it: apt-get install nodejs npm)")
    if not (_SCRIPTS / "node_modules" / ".done").exists():
        pytest.skip("the SDK is not set up: run `make test-clients`")
    return Client(target, tmp_path, environment_of(target, tmp_path))


def test_s3_by_path_and_by_host(node: Client) -> None:
    hosts = json.loads(node.run("node", str(_SCRIPTS / "s3.mjs")))
    assert hosts == {
        "path": "127.0.0.1",
        "host": "javascript-by-host.s3.localhost.localstack.cloud",
    }
    assert [] == node.refused


def test_sagemaker_lambda_codepipeline_and_sqs(node: Client) -> None:
    cloud, name = node.cloud, "javascript"
    image = push_container(cloud, name)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="of-javascript")
    s3.put_object(
        Bucket="of-javascript", Key="model.tar.gz", Body=tar_of({"answer.txt": "js"}, mode="w:gz")
    )
    make_config(cloud.client("sagemaker"), name, image, "s3://of-javascript/model.tar.gz")
    source = "def handler(event, context):\n    print('said', event['word'])\n    return event\n"
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=have_role(cloud, f"arn:aws:iam::{ACCOUNT}:role/{name}-fn", "lambda"),
        Handler="main.handler",
        Code={"ZipFile": zip_of({"main.py": source})},
    )
    s3.put_bucket_versioning(Bucket="of-javascript", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="of-javascript", Key="source.zip", Body=zip_of({"a": "b"}))
    cloud.client("codepipeline").create_pipeline(
        pipeline=approved_pipeline(cloud, name, "of-javascript")
    )
    names = {"CONFIG": name, "FUNCTION": name, "PIPELINE": name}
    found = json.loads(node.run("node", str(_SCRIPTS / "lab.mjs"), **names))
    assert found == {
        "endpoint": ["SUCCESS", "InService", "js:5.1,3.5", "AllTraffic"],
        "endpoints": ["by-javascript"],
        "deleted": "SUCCESS",
        "function": [200, "$LATEST", {"word": "ü"}, True, "Unhandled", "KeyError", 202],
        "stage": "Succeeded",
        "actions": ["ApproveDeploy Succeeded", "Object Succeeded"],
        "messages": ["hello"],
    }
    assert [] == node.refused
