"""The lab, deployed once for the whole tier: stacks up, image pushed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ACCOUNT, ROOT, TestCloud, configured_url, local_cloud, wait_for

DEV, PRD = "iris-model-development", "iris-model-production"
ENDED = {"Succeeded", "Failed", "Stopped", "Superseded"}


def localcloud(url: str, *arguments: str, account: str = ACCOUNT) -> str:
    """Run a command of the local cloud in an account; return what it printed."""
    answer = localcloud_answer(url, *arguments, account=account)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def localcloud_answer(
    url: str, *arguments: str, account: str = ACCOUNT
) -> subprocess.CompletedProcess[str]:
    """Run a command of the local cloud in an account."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": account}
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Lab:
    """The deployed lab, and what a test does with it."""

    cloud: TestCloud
    outputs: dict[str, Any]

    @property
    def pipeline(self) -> str:
        """Return the pipeline's name."""
        return str(self.outputs["pipelineName"])

    def upload(self, content: bytes) -> str:
        """Upload a dataset; return the execution that its event started."""
        version = self.cloud.client("s3").put_object(
            Bucket=self.outputs["dataBucket"], Key=self.outputs["datasetKey"], Body=content
        )["VersionId"]

        def probe() -> str | None:
            answer = self.cloud.client("codepipeline").list_pipeline_executions(
                pipelineName=self.pipeline
            )
            for summary in answer["pipelineExecutionSummaries"]:
                if version in [r["revisionId"] for r in summary["sourceRevisions"]]:
                    return str(summary["pipelineExecutionId"])
            return None

        return wait_for("the execution of this version", probe, 20)

    def status(self, execution: str) -> str:
        """Return an execution's status."""
        detail = self.cloud.client("codepipeline").get_pipeline_execution(
            pipelineName=self.pipeline, pipelineExecutionId=execution
        )
        return str(detail["pipelineExecution"]["status"])

    def ended(self, execution: str) -> str:
        """Wait for an execution's end; return its status."""
        wait_for(f"{execution} to end", lambda: self.status(execution) in ENDED, 90)
        return self.status(execution)

    def state(self, stage: str, action: str) -> dict[str, Any]:
        """Return an action's latest execution as get_pipeline_state has it."""
        answer = self.cloud.client("codepipeline").get_pipeline_state(name=self.pipeline)
        states = next(s for s in answer["stageStates"] if s["stageName"] == stage)["actionStates"]
        found = next(a for a in states if a["actionName"] == action)
        return dict(found.get("latestExecution", {}))

    def answer(self, verdict: str) -> None:
        """Answer the approval that waits, as a person with the token would."""
        token = wait_for(
            "the approval", lambda: self.state("DeployApproval", "ApproveDeploy").get("token"), 90
        )
        self.cloud.client("codepipeline").put_approval_result(
            pipelineName=self.pipeline,
            stageName="DeployApproval",
            actionName="ApproveDeploy",
            token=token,
            result={"status": verdict, "summary": f"{verdict} by a test"},
        )

    def deliver(self, dataset: bytes) -> str:
        """Upload a dataset and approve its model; return how the execution ended."""
        execution = self.upload(dataset)
        self.answer("Approved")
        return self.ended(execution)

    def ask_production(self, rows: Sequence[str]) -> None:
        """Send rows to production, one in each request, and wait until they are captured."""
        bucket = str(self.outputs["artifactBucket"]).replace("-artifacts-", "-capture-prd-")
        runtime, s3 = self.cloud.client("sagemaker-runtime"), self.cloud.client("s3")
        for row in rows:
            runtime.invoke_endpoint(EndpointName=PRD, ContentType="text/csv", Body=row.encode())

        def captured() -> bool:
            found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
            bodies = [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]
            return b"".join(bodies).count(b"\n") >= len(rows)

        wait_for("the captures", captured, 30)

    def config_of(self, endpoint: str) -> str | None:
        """Return the configuration that an endpoint serves; None when there is no endpoint."""
        sagemaker = self.cloud.client("sagemaker")
        known = [e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]]
        if endpoint not in known:
            return None
        return str(sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"])


def deployed(
    cloud: TestCloud,
    prd: Sequence[str] = (),
    both: Sequence[str] = (),
    dev: Sequence[str] = (),
) -> Lab:
    """Deploy the lab to a cloud: both stacks, then the model's image.

    Args:
        cloud: where.
        prd: options of production's `up`.
        both: options of each stack's `up`.
        dev: options of the other stack's `up`.
    """
    localcloud(cloud.url, "up", "prd", *both, *prd)
    localcloud(cloud.url, "up", "dev", *both, *dev)
    localcloud(
        cloud.url,
        *("image", "push", "model", "--repository", "iris-model"),
        *("--release", "/mlops/iris-model/image"),
    )
    status, body = cloud.get("/_localcloud/stacks/mlops-lab/dev")
    assert status == 200
    return Lab(cloud, json.loads(body)["outputs"])


@contextmanager
def cloud_of_its_own(logs: Path, *, speed: float, iam: str = "log") -> Iterator[TestCloud]:
    """Run a local cloud that must log no error; skip where the tests are given a cloud to use.

    Args:
        logs: directory for the cloud's log.
        speed: how many times faster than real time the cloud's clock runs.
        iam: what the cloud does with calls that the policies deny, `log` or `enforce`.
    """
    if configured_url() is not None:
        pytest.skip("the lab is deployed to a local cloud of its own")
    log = logs / "localcloud.log"
    with local_cloud(speed=speed, log=log, iam=iam, snapshots=logs / "snapshots") as cloud:
        yield cloud
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A local cloud of its own with both stacks and the model's image."""
    with cloud_of_its_own(tmp_path_factory.mktemp("lab"), speed=60.0) as cloud:
        yield deployed(cloud)


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The iris dataset's zip."""
    path: Path = tmp_path_factory.mktemp("dataset") / "iris.zip"
    subprocess.run(
        [sys.executable, "-m", "model.dataset", "--table", "iris", "--out", str(path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return path.read_bytes()


@pytest.fixture
def production(lab: Lab, iris: bytes) -> Lab:
    """The lab with its production endpoint in service, regardless of earlier tests."""
    if lab.config_of(PRD) is None:
        assert lab.deliver(iris) == "Succeeded"
    return lab


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")


def build_image(lab: Lab, directory: Path, trigger: str = "CloudWatchEvent") -> str:
    """Push another model container to the source repository; return how its pipeline ended.

    Args:
        lab: the lab.
        directory: an empty directory for the clone.
        trigger: what starts the pipeline.
    """
    shutil.copytree(
        ROOT / "model", directory / "model", ignore=shutil.ignore_patterns("__pycache__")
    )
    (directory / "model" / "CHANGED").write_text("so that it is another image")
    author = ("-c", "user.name=lab", "-c", "user.email=lab@example.com")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (*author, "commit", "--quiet", "--message", "Change the container"),
        ("push", "--quiet", lab.outputs["sourceCloneUrl"], "main"),
    ):
        subprocess.run(["git", *command], cwd=directory, check=True, timeout=60)
    codepipeline = lab.cloud.client("codepipeline")

    def ended() -> str | None:
        answer = codepipeline.list_pipeline_executions(
            pipelineName=lab.outputs["imagePipelineName"]
        )
        newest = answer["pipelineExecutionSummaries"][0]
        pushed = newest["trigger"]["triggerType"] == trigger
        return str(newest["status"]) if pushed and newest["status"] in ENDED else None

    return wait_for("the end of the image's pipeline", ended, 90)
