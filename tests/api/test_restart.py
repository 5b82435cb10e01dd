"""State: what was finished before a `kill -9` is there after a restart."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.archives import tar_of, zip_of
from tests.cloud import (
    TestCloud,
    configured_url,
    local_cloud,
    make_config,
    push_container,
    wait_for,
)
from tests.pipelines import approval_pipeline, approval_token

pytestmark = pytest.mark.emulator_only


def test_a_waiting_approval_keeps_its_token_through_a_kill(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        s3, pipeline = cloud.client("s3"), cloud.client("codepipeline")
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="bucket", Key="source.zip", Body=zip_of({"a": "b"}))
        approval_pipeline(cloud, "kept", "bucket")
        token = wait_for("the approval", lambda: approval_token(cloud, "kept"))
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as cloud:
        pipeline = cloud.client("codepipeline")
        assert wait_for("the approval again", lambda: approval_token(cloud, "kept")) == token
        pipeline.put_approval_result(
            pipelineName="kept",
            stageName="Approve",
            actionName="Approve",
            token=token,
            result={"status": "Approved", "summary": "after the restart"},
        )

        def status() -> bool:
            found = pipeline.list_pipeline_executions(pipelineName="kept")
            return bool(found["pipelineExecutionSummaries"][0]["status"] == "Succeeded")

        wait_for("the pipeline", status)


def test_an_endpoint_comes_back_after_a_kill_and_leaves_no_process_behind(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    with local_cloud(state_dir=tmp_path) as cloud:
        image = push_container(cloud, "kept")
        s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
        s3.create_bucket(Bucket="bucket")
        body = tar_of({"answer.txt": "kept"}, mode="w:gz")
        s3.put_object(Bucket="bucket", Key="model.tar.gz", Body=body)
        make_config(sagemaker, "kept", image, "s3://bucket/model.tar.gz")
        sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="kept")
        server = int(wait_for("the endpoint", lambda: _ask(cloud, b"pid")))
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
        if shutil.which("setpriv"):
            wait_for("the server to die", lambda: not Path(f"/proc/{server}").exists(), 10)
    with local_cloud(state_dir=tmp_path) as cloud:
        assert wait_for("the endpoint again", lambda: _ask(cloud, b"x")) == "kept:x"


def _ask(cloud: TestCloud, body: bytes) -> str | None:
    try:
        answer = cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="kept", Body=body, ContentType="text/csv"
        )
    except ClientError:
        return None
    return str(answer["Body"].read().decode())


def test_a_change_set_is_kept_through_a_kill_and_made_to_its_end(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to kill")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/kept"}}
    request = {
        "StackName": "kept",
        "ChangeSetType": "CREATE",
        "TemplateBody": json.dumps({"Resources": {"A": group}}),
    }
    fast = {"Delay": 0.2, "MaxAttempts": 150}
    with local_cloud(speed=1.0, state_dir=tmp_path) as cloud:
        client = cloud.client("cloudformation")
        client.create_change_set(ChangeSetName="kept", **request)
        client.get_waiter("change_set_create_complete").wait(
            StackName="kept", ChangeSetName="kept", WaiterConfig=fast
        )
        client.create_change_set(ChangeSetName="begun", **request)
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
    with local_cloud(state_dir=tmp_path) as cloud:
        client = cloud.client("cloudformation")
        (stack,) = client.describe_stacks(StackName="kept")["Stacks"]
        assert stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        client.get_waiter("change_set_create_complete").wait(
            StackName="kept", ChangeSetName="begun", WaiterConfig=fast
        )
        client.execute_change_set(StackName="kept", ChangeSetName="kept")
        client.get_waiter("stack_create_complete").wait(StackName="kept", WaiterConfig=fast)
