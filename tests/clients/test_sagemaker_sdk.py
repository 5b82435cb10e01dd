"""The SageMaker Python SDK, unchanged: version 2, as the lab's course has it, and version 3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, client_of
from tests.cloud import ACCOUNT, SAGEMAKER_ROLE, TestCloud, push_container

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]


def test_version_2_trains_deploys_and_predicts(target: TestCloud, tmp_path: Path) -> None:
    push_container(target, "sdk")
    target.client("s3").create_bucket(Bucket="of-the-sdk")
    sdk = client_of("sagemaker-2", target, tmp_path)
    text = sdk.run(
        "python",
        str(HERE / "programs" / "sagemaker_2.py"),
        IMAGE=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/sdk:latest",
        ROLE=SAGEMAKER_ROLE,
        BUCKET="of-the-sdk",
    )
    result = json.loads(text.splitlines()[-1])
    assert result.pop("model_data").startswith("s3://of-the-sdk/sdk-")
    assert result == {
        "status": "Completed",
        "metrics": {"accuracy": 0.75},
        "answer": "by the SDK:5.1,3.5",
        "updated": "by the SDK:1,2",
    }
