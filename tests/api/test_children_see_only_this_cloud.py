"""The view of AWS from code in each kind of child process: this cloud, as its role."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.archives import tar_of, zip_of
from tests.cloud import TRUST, TestCloud, configured_url, local_cloud, push_container, wait_for
from tests.sagemaker import ended, training

pytestmark = pytest.mark.emulator_only
BUCKET = "seen"
ROLE = "arn:aws:iam::000000000000:role/inside"

# It looks at AWS as a data scientist's script does, and describes what it found.
LOOK = """
import json, os, pathlib
def identity(sts):
    return sts.get_caller_identity()["Arn"]
def look():
    import boto3
    session = boto3.Session()
    found = session.get_credentials()
    return json.dumps({
        "key": found.access_key if found else None,
        "method": found.method if found else None,
        "profiles": session.available_profiles,
        "region": session.region_name,
        "endpoint": boto3.client("s3", region_name="us-east-1").meta.endpoint_url,
        "home": str(pathlib.Path.home()),
        "identity": found and identity(boto3.client("sts", region_name="us-east-1")),
        "leaked": sorted(k for k, v in os.environ.items() if "REAL" in v),
    })
"""
PROGRAM = (
    LOOK
    + """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
if sys.argv[1] == "train":
    (base / "model" / "seen.json").write_text(look())
    print("loss=nan"); print("loss=0.5"); print("loss=inf"); print("other=-inf", flush=True)
    raise SystemExit
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments): pass
    def do_GET(self): self.answer(b"")
    def do_POST(self): self.answer(look().encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
)


@contextmanager
def cloud_of_a_user(home: Path, patch: pytest.MonkeyPatch, state: Path) -> Iterator[TestCloud]:
    """Run a local cloud for a user with credentials in every place where an SDK looks."""
    (home / ".aws").mkdir(exist_ok=True)
    text = "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = REAL\n"
    (home / ".aws" / "credentials").write_text(text)
    (home / ".aws" / "config").write_text("[profile REAL]\nregion = eu-west-1\n")
    with ExitStack() as stack:
        # The test itself, which runs in this process, is another user.
        with patch.context() as context:
            context.setenv("HOME", str(home))
            context.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / ".aws" / "credentials"))
            context.setenv("AWS_CONFIG_FILE", str(home / ".aws" / "config"))
            context.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
            context.setenv("AWS_SECRET_ACCESS_KEY", "REAL")
            context.setenv("AWS_PROFILE", "REAL")
            cloud = stack.enter_context(local_cloud(state_dir=state))
        yield cloud


def prepared(cloud: TestCloud) -> str:
    """Make the bucket and the role, and push the image; return it."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("iam").create_role(RoleName="inside", AssumeRolePolicyDocument=TRUST)
    return push_container(cloud, "seen", PROGRAM)


def check(seen: dict[str, Any], cloud: TestCloud, home: Path) -> None:
    assert seen["method"] == "env", seen
    assert seen["key"].startswith("ASIA")
    assert ":assumed-role/inside/" in seen["identity"]
    assert seen["endpoint"] == cloud.url
    assert (seen["region"], seen["profiles"], seen["leaked"]) == ("us-east-1", [], [])
    assert not Path(seen["home"]).is_relative_to(home)


def test_each_kind_of_child_sees_this_cloud_as_its_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not started here")
    home, state = tmp_path / "home", tmp_path / "state"
    home.mkdir()
    with cloud_of_a_user(home, monkeypatch, state) as cloud:
        image = prepared(cloud)
        check(trained(cloud, image), cloud, home)
        check(served(cloud, image), cloud, home)
        check(invoked(cloud), cloud, home)
        check(built(cloud), cloud, home)
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    # The job has logged `loss=nan`, which must not make its record unreadable.
    with local_cloud(state_dir=state) as cloud:
        job = cloud.client("sagemaker").describe_training_job(TrainingJobName="seen")
        assert {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]} == {"loss": 0.5}


def test_a_container_under_network_isolation_has_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not started here")
    home = tmp_path / "home"
    home.mkdir()
    with cloud_of_a_user(home, monkeypatch, tmp_path / "state") as cloud:
        image = prepared(cloud)
        sagemaker = cloud.client("sagemaker")
        for seen in (trained(cloud, image, isolated=True), served(cloud, image, isolated=True)):
            assert (seen["key"], seen["identity"], seen["leaked"]) == (None, None, [])
            assert seen["endpoint"] == cloud.url
        job = sagemaker.describe_training_job(TrainingJobName="seen")
        model = sagemaker.describe_model(ModelName="seen")
        assert [job["EnableNetworkIsolation"], model["EnableNetworkIsolation"]] == [True, True]


def trained(cloud: TestCloud, image: str, *, isolated: bool = False) -> dict[str, Any]:
    request = training(image, BUCKET, "seen") | {"RoleArn": ROLE}
    request["EnableNetworkIsolation"] = isolated
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "loss", "Regex": r"loss=(\S+)"},
        {"Name": "other", "Regex": r"other=(\S+)"},
    ]
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**request)
    job = ended(
        lambda: sagemaker.describe_training_job(TrainingJobName="seen"), "TrainingJobStatus"
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    return content(cloud, key, "seen.json")


def content(cloud: TestCloud, key: str, name: str) -> dict[str, Any]:
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        found: dict[str, Any] = json.loads(file.read())
    return found


def served(cloud: TestCloud, image: str, *, isolated: bool = False) -> dict[str, Any]:
    sagemaker = cloud.client("sagemaker")
    cloud.client("s3").put_object(Bucket=BUCKET, Key="m.tar.gz", Body=tar_of({"a": "b"}, "w:gz"))
    container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/m.tar.gz"}
    sagemaker.create_model(
        ModelName="seen",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        EnableNetworkIsolation=isolated,
    )
    variant = {
        "VariantName": "v",
        "ModelName": "seen",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="seen", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="seen", EndpointConfigName="seen")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="seen", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150}
    )
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName="seen", Body=b"x")
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def invoked(cloud: TestCloud) -> dict[str, Any]:
    client = cloud.client("lambda")
    code = LOOK + "\ndef handler(event, context):\n    return json.loads(look())\n"
    client.create_function(
        FunctionName="seen",
        Runtime="python3.11",
        Role=ROLE,
        Handler="main.handler",
        Timeout=60,
        Code={"ZipFile": zip_of({"main.py": code})},
    )
    answer = client.invoke(FunctionName="seen", Payload=b"{}")
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def built(cloud: TestCloud) -> dict[str, Any]:
    client = cloud.client("codebuild")
    script = LOOK + "\nprint('seen ' + look())\n"
    write = f"cat > look.py <<'END'\n{script}\nEND"
    commands = [write, "python look.py"]
    spec = {"version": 0.2, "phases": {"build": {"commands": commands}}}
    client.create_project(
        name="seen",
        source={"type": "NO_SOURCE", "buildspec": json.dumps(spec)},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE,
    )
    build = client.start_build(projectName="seen")["build"]["id"]

    def done() -> Any:
        (found,) = client.batch_get_builds(ids=[build])["builds"]
        return found if found["buildComplete"] else None

    found = wait_for("the build", done)
    stream = {
        "logGroupName": found["logs"]["groupName"],
        "logStreamName": found["logs"]["streamName"],
    }

    def line() -> str | None:
        logged = cloud.client("logs").get_log_events(**stream)["events"]
        lines = [e["message"] for e in logged if e["message"].startswith("seen ")]
        return lines[0] if lines else None

    seen: dict[str, Any] = json.loads(wait_for("the line", line).removeprefix("seen "))
    return seen
