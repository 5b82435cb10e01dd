"""The model's monitor as processing jobs: sharded captures, partials, and one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import TestCloud
from tests.sagemaker import ROLE, ended, prepare
from tests.unit.model.monitoring import BASELINE, stable_lines

BUCKET = "monitor-tests"
LOCAL = "/opt/ml/processing"
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.emulator_only


class Monitors:
    """Runs the monitor over a bucket."""

    def __init__(self, cloud: TestCloud, image: str) -> None:
        self.s3, self._sagemaker, self._image = (
            cloud.client("s3"),
            cloud.client("sagemaker"),
            image,
        )

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def read(self, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def run(self, name: str, inputs: list[str], outputs: list[str], count: int) -> dict[str, Any]:
        """Run a job; inputs are prefixes by the name of the directory, captures are sharded."""
        self._sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn=ROLE,
            AppSpecification={
                "ImageUri": self._image,
                "ContainerEntrypoint": ["python3", "-m", "model", "monitor"],
            },
            Environment={"PYTHONPATH": str(ROOT)},
            ProcessingInputs=[
                {
                    "InputName": one,
                    "S3Input": {
                        "S3Uri": f"s3://{BUCKET}/{one}/",
                        "LocalPath": f"{LOCAL}/{one}",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                        "S3DataDistributionType": (
                            "ShardedByS3Key" if one == "captures" else "FullyReplicated"
                        ),
                    },
                }
                for one in inputs
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": one,
                        "S3Output": {
                            "S3Uri": f"s3://{BUCKET}/{one}s",
                            "LocalPath": f"{LOCAL}/{one}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                    for one in outputs
                ]
            },
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceCount": count,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
        )

        def describe() -> dict[str, Any]:
            return dict(self._sagemaker.describe_processing_job(ProcessingJobName=name))

        return dict(ended(describe, "ProcessingJobStatus"))


@pytest.fixture(scope="module")
def monitors(cloud: TestCloud) -> Monitors:
    found = Monitors(cloud, prepare(cloud, BUCKET))
    for number in range(4):
        lines = stable_lines(250, first=250 * number, shift=3.0)
        key = f"captures/shop/AllTraffic/2026/01/31/{number:02}/00.jsonl"
        found.put(key, "\n".join(lines) + "\n")
    return found


def test_two_instances_write_partials_that_a_second_job_merges(monitors: Monitors) -> None:
    monitors.put("baseline/baseline.json", json.dumps(BASELINE.as_json()))
    counted = monitors.run("counted", ["captures", "baseline"], ["partial"], 2)
    assert counted["ProcessingJobStatus"] == "Completed"
    assert counted["ExitMessage"].startswith("partial: 500 rows of instance algo-")
    merged = monitors.run("merged", ["partials", "baseline"], ["report", "state"], 1)
    assert merged["ProcessingJobStatus"] == "Completed"
    report = monitors.read("reports/monitor.json")
    assert (report["verdict"], report["rows"], report["files"]) == ("drift", 1000, 4)
    assert merged["ExitMessage"] == report["message"]
    assert sorted(monitors.read("states/state.json")["hours"]) == [
        f"2026/01/31/{hour:02}" for hour in range(4)
    ]


def test_a_job_without_a_baseline_fails_with_the_reason(monitors: Monitors) -> None:
    failed = monitors.run("blind", ["captures"], ["report"], 1)
    assert failed["ProcessingJobStatus"] == "Failed"
    assert "not-monitored: cannot read" in failed["ExitMessage"]
