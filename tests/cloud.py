"""A cloud to test against: the one that is configured, or a local cloud of our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import localstack_client.session
import pytest
from botocore.config import Config

from tests.archives import tar_of
from tests.recorder.operations import NAME_PREFIX, check

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class TestCloud:
    """The address of a cloud, whether it is a local cloud of this project, and whose clients."""

    __test__ = False

    url: str
    ours: bool
    pid: int | None = None
    account: str = ACCOUNT

    @property
    def strict(self) -> bool:
        """Checks of what AWS's models forbid are expected of it."""
        return self.ours

    def client(self, service: str, *, checked: bool = True) -> Any:
        """Return a client made by localstack-client, as its users make them.

        `checked` is whether botocore validates parameters before it sends them.
        """
        host = self.url.partition("://")[2]
        session = localstack_client.session.Session(
            aws_access_key_id=self.account, region_name=REGION, localstack_host=host
        )
        client = session.client(
            service,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                parameter_validation=checked,
            ),
        )
        if recordable:
            client.meta.events.register("provide-client-params", _check_recordable)
        if not self.ours:
            client.meta.events.register("after-call", self._skip_if_not_served)
        return client

    def name(self, text: str) -> str:
        """Return a name for a resource of a recordable test, with the prefix of recordings."""
        return LOCAL_PREFIX + text

    def container(self) -> tuple[str, str]:
        """Return the image of CONTAINER and a role for SageMaker, for jobs that can be recorded."""
        global recordable
        # Neither is made on AWS, so that neither has a name of a recording.
        before, recordable = recordable, False
        try:
            return push_container(self, "recordable"), SAGEMAKER_ROLE
        finally:
            recordable = before

    def _skip_if_not_served(self, model: Any, http_response: Any, **_: Any) -> None:
        """Skip the test on a 501 of another endpoint; on a local cloud it is a failure."""
        if http_response.status_code == 501:
            pytest.skip(f"{model.name} is not served by {self.url}")

    def get(self, path: str) -> tuple[int, bytes]:
        """GET a path; return status and body."""
        assert not recordable, "a recordable test uses AWS's operations only"
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def now(self) -> float:
        """Return the local cloud's time, in seconds since the epoch."""
        return float(json.loads(self.get("/_localcloud/clock")[1])["now"])

    def advance(self, seconds: float) -> None:
        """Advance the local cloud's clock: its loops run for the time that is passed over."""
        assert not recordable, "a recordable test cannot advance AWS's clock"
        url = f"{self.url}/_localcloud/clock?advance_seconds={seconds}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=60):
            pass


# The names of recordable tests on a local cloud begin with this.
LOCAL_PREFIX = f"{NAME_PREFIX}000000-"
# Whether the test that runs has the mark `recordable`: then it may call only what a recording may.
recordable = False


def _check_recordable(params: Any, model: Any, **_: Any) -> None:
    check(model.service_model.service_name, model.name, params, LOCAL_PREFIX, model)


# The cloud of a recording, if the tests run in one (tests/recorder/plugin.py).
RECORDED = pytest.StashKey[TestCloud]()


def configured_url() -> str | None:
    """Return the endpoint that the environment names, as localstack-client reads it."""
    url = os.environ.get("AWS_ENDPOINT_URL")
    host = os.environ.get("LOCALSTACK_HOST")
    if url:
        return url.rstrip("/")
    return f"http://{host if ':' in host else host + ':4566'}" if host else None


@cache
def is_localcloud(url: str) -> bool:
    """Return whether a local cloud of this project answers at the URL."""
    try:
        with urllib.request.urlopen(f"{url}/_localstack/health", timeout=5) as answer:
            return bool(json.loads(answer.read()).get("edition") == "localcloud")
    except (OSError, ValueError, AttributeError):
        return False


# The role of the tests' models and jobs.
SAGEMAKER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/sagemaker"


def trust_of(*services: str) -> str:
    """Return a trust policy that lets services assume the role, such as `sagemaker`."""
    principals = [f"{service}.amazonaws.com" for service in services]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principals},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# The services that the tests' roles are for.
TRUST = trust_of("lambda", "sagemaker", "codepipeline", "codebuild", "cloudformation")


def have_role(cloud: TestCloud, arn: str, *services: str) -> str:
    """Create a role that services may assume, or let them assume it too; return its ARN."""
    path, _, name = arn.partition(":role")[2].rpartition("/")
    iam = cloud.client("iam")
    try:
        iam.create_role(
            RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust_of(*services)
        )
    except iam.exceptions.EntityAlreadyExistsException:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        trust["Statement"] += json.loads(trust_of(*services))["Statement"]
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    return arn


@contextmanager
def local_cloud(
    speed: float = 60.0,
    state_dir: Path | None = None,
    log: Path | None = None,
    iam: str = "log",
    *,
    faults: bool = False,
    snapshots: Path | None = None,
    init: Path | None = None,
) -> Iterator[TestCloud]:
    """Start a local cloud on a free port and end it afterwards."""
    command = [sys.executable, "-m", "localcloud", "start", "--port", "0", "--speed", str(speed)]
    command += ["--iam", iam, *(["--faults"] if faults else [])]
    command += [] if snapshots is None else ["--snapshot-dir", str(snapshots)]
    command += [] if init is None else ["--init", str(init)]
    command += ["--ephemeral"] if state_dir is None else ["--state-dir", str(state_dir)]
    sink = log.open("ab") if log is not None else subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sink, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert "is ready on " in line, f"the local cloud did not start: {line!r}"
        yield TestCloud(line.rsplit(" ", 1)[1].strip(), True, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if not isinstance(sink, int):
            sink.close()


# The factor of all waits; the cloud of a recording is slower than a local one.
patience = 1.0


def wait_for(what: str, probe: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Poll until `probe` gives something true; fail, saying what was waited for, after that."""
    deadline = time.monotonic() + seconds * patience
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.05 * patience)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


# A container of the SageMaker contract in the standard library: quick to start, easy to break.
CONTAINER = """
import json, os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])

def train():
    config = BASE / "input" / "config"
    parameters = json.loads((config / "hyperparameters.json").read_text())
    def save(*arguments):
        time.sleep(1)
        (BASE / "model" / "answer.txt").write_text(parameters["save"])
        sys.exit(0)
    if parameters.get("save"):
        signal.signal(signal.SIGTERM, save)
    print("training", os.environ["TRAINING_JOB_NAME"], flush=True)
    if parameters.get("fail"):
        (BASE / "output" / "failure").write_text(parameters["fail"])
        sys.exit(3)
    time.sleep(float(parameters.get("seconds", "0")))
    files = sorted(p.name for p in (BASE / "input" / "data").rglob("*") if p.is_file())
    if parameters.get("x"):
        print(f"score={-(float(parameters['x']) - 3) ** 2:.6f}")
    print("validation:accuracy=0.5")
    print("validation:accuracy=0.75", flush=True)
    (BASE / "model" / "answer.txt").write_text(parameters.get("answer", "none"))
    (BASE / "output" / "data" / "files.json").write_text(json.dumps(files))
    contract = {path.stem: json.loads(path.read_text()) for path in config.glob("*.json")}
    contract["environment"] = {k: v for k, v in os.environ.items() if k.startswith("TRAINING_")}
    (BASE / "output" / "data" / "contract.json").write_text(json.dumps(contract))

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sick = False
    wbufsize = -1  # one write an answer, or the client waits for a delayed acknowledgement
    def log_message(self, *args):
        pass
    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply(500 if Handler.sick else 200, b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"exit":
            os._exit(9)
        if body == b"sicken":
            Handler.sick = True
        if body == b"error":
            return self.reply(500, b"it broke")
        if body == b"pid":
            return self.reply(200, str(os.getpid()).encode())
        if body == b"workers":
            return self.reply(200, os.environ["SAGEMAKER_MODEL_SERVER_WORKERS"].encode())
        if b"bad" in body:
            return self.reply(400, b"a bad record")
        if b"slow" in body:
            time.sleep(30)
        answer = (BASE / "model" / "answer.txt").read_text()
        if os.environ.get("PER_LINE"):
            lines = body.decode().splitlines()
            found = [f"{len(lines)}{answer}{line}" for line in lines]
            return self.reply(200, "\\n".join(found).encode())
        self.reply(200, (answer + ":" + body.decode()).encode())

def serve():
    if os.environ.get("BROKEN"):
        sys.exit("this model cannot be served")
    print("serving", flush=True)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
    server = ThreadingHTTPServer((os.environ["HOST"], port), Handler)
    server.serve_forever()

train() if sys.argv[1] == "train" else serve()
"""
DOCKERFILE = """FROM scratch
WORKDIR /opt/program
COPY . /opt/program/
ENV HOST=0.0.0.0
ENTRYPOINT ["python", "main.py"]
"""


def push_container(
    cloud: TestCloud, repository: str, program: str = CONTAINER, architecture: str = "amd64"
) -> str:
    """Push the test container, or one with another program; return its image URI by digest."""
    have_role(cloud, SAGEMAKER_ROLE, "sagemaker")
    ecr = cloud.client("ecr")
    known = [r["repositoryName"] for r in ecr.describe_repositories()["repositories"]]
    if repository not in known:
        ecr.create_repository(repositoryName=repository)
    request = urllib.request.Request(
        f"{cloud.url}/_localcloud/images?repository={repository}&tag=latest"
        f"&architecture={architecture}",
        data=tar_of({"Dockerfile": DOCKERFILE, "main.py": program}),
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.loads(answer.read())["uri"])


def make_config(
    sagemaker: Any, name: str, image: str, model_url: str, *, instances: int = 1, **env: str
) -> None:
    """Create a model and an endpoint configuration of one variant, both of this name."""
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=SAGEMAKER_ROLE,
        PrimaryContainer={"Image": image, "ModelDataUrl": model_url, "Environment": env},
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": instances,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
