"""`kill -9` while the lab works: finished steps stay finished, the rest is retried, and it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import configured_url, local_cloud, wait_for
from tests.e2e.conftest import Lab, deployed

pytestmark = [pytest.mark.e2e, pytest.mark.emulator_only, pytest.mark.slow]

FLOWER = b"5.1,3.5,1.4,0.2"
LOG = "localcloud.log"


@contextmanager
def killed_after(directory: Path, outputs: dict[str, Any]) -> Iterator[Lab]:
    """Run the lab on a kept state, and kill it in the end."""
    with local_cloud(state_dir=directory, log=directory / LOG) as cloud:
        yield Lab(cloud, outputs)
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)


def _retried(lab: Lab, execution: str, stage: str) -> None:
    """Retry a stage whose action failed because of the kill; nothing, when it was resumed."""
    client = lab.cloud.client("codepipeline")
    action = wait_for(
        f"{stage} to be judged",
        lambda: _decided(client.get_pipeline_state(name=lab.pipeline), stage),
        60,
    )
    if action["status"] == "Failed":
        assert (
            "restart" in action["errorDetails"]["message"]
            or "ended while" in (action["errorDetails"]["message"])
        )
        client.retry_stage_execution(
            pipelineName=lab.pipeline,
            stageName=stage,
            pipelineExecutionId=execution,
            # Production's stage approves the version again, which its failure rejected.
            retryMode="ALL_ACTIONS" if stage == "DeployPrd" else "FAILED_ACTIONS",
        )


def _decided(state: dict[str, Any], stage: str) -> dict[str, Any] | None:
    found = next(s for s in state["stageStates"] if s["stageName"] == stage)
    latest = [a.get("latestExecution", {}) for a in found["actionStates"]]
    failed = [a for a in latest if a.get("status") == "Failed"]
    done = all(a.get("status") == "Succeeded" for a in latest)
    return failed[0] if failed else latest[0] if done else None


def test_the_lab_ends_although_the_cloud_was_killed_in_each_stage(
    tmp_path: Path, iris: bytes
) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path, log=tmp_path / LOG) as cloud:
        lab = deployed(cloud)
        outputs = lab.outputs
        execution = lab.upload(iris)
        wait_for("the training", lambda: lab.state("Train", "Train").get("status"), 30)
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with killed_after(tmp_path, outputs) as lab:
        assert lab.state("Source", "Dataset")["status"] == "Succeeded"
        _retried(lab, execution, "Train")
        wait_for("the deployment", lambda: lab.state("DeployDev", "Deploy").get("status"), 60)
    with killed_after(tmp_path, outputs) as lab:
        _retried(lab, execution, "DeployDev")
        token = wait_for(
            "the approval", lambda: lab.state("DeployApproval", "ApproveDeploy").get("token"), 90
        )
    with killed_after(tmp_path, outputs) as lab:
        assert lab.state("DeployApproval", "ApproveDeploy")["token"] == token
        lab.answer("Approved")
        wait_for("production", lambda: lab.state("DeployPrd", "Deploy").get("status"), 60)
    with local_cloud(state_dir=tmp_path, log=tmp_path / LOG) as cloud:
        lab = Lab(cloud, outputs)
        _retried(lab, execution, "DeployPrd")
        assert lab.ended(execution) == "Succeeded"
        runtime = cloud.client("sagemaker-runtime")

        def answer() -> str | None:
            try:
                found = runtime.invoke_endpoint(
                    EndpointName="iris-model-production",
                    Body=FLOWER,
                    ContentType="text/csv",
                    Accept="text/csv",
                )
            except ClientError:
                return None
            return str(found["Body"].read().decode().strip())

        assert wait_for("production to answer", answer) == "setosa"
    # Whatever a service came to hold during all of this, it could be written down.
    assert "a restart will not find" not in (tmp_path / LOG).read_text()
