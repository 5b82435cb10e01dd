"""A stage that records evidence as the lab's does, for tests of what is shown of it."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from typing import Any

from tests.archives import zip_of
from tests.cloud import TestCloud
from tests.pipelines import BUCKET, kind

_numbers = count(1)

PROGRAM = """
import boto3, os
def handler(event, context):
    boto3.client("codepipeline").put_job_success_result(
        jobId=event["CodePipeline.job"]["id"],
        outputVariables={"Url": os.environ["URL"], "Sha256": os.environ["SHA256"]})
"""


def metric(name: str, champion: float, candidate: float, *, higher: bool = True) -> dict[str, Any]:
    """Return a metric of an evaluation."""
    return {
        "metric": name,
        "champion": champion,
        "candidate": candidate,
        "interval": [candidate - champion - 0.05, candidate - champion + 0.05],
        "higher_is_better": higher,
    }


EVIDENCE: dict[str, Any] = {
    "model": {"group": "iris-model", "version": 2},
    "training": {
        "metric": "accuracy",
        "score": "0.9667",
        "metrics": {"validation:accuracy": 0.9667},
    },
    "data": {"made": True, "message": "4 columns, 150 rows: nothing broken"},
    "evaluation": {
        "made": True,
        "message": "accuracy 0.9667, champion 0.9000: not worse",
        "rows": 30,
        "metrics": [metric("accuracy", 0.9, 0.9667), metric("log_loss", 0.2, 0.25, higher=False)],
        "reference": None,
    },
    "rehearsal": {"made": False, "message": "not rehearsed", "answers": None},
    "lineage": {"dataset_version": "v-1", "training_job": "job-1", "image_digest": "sha256:ab"},
}


def evidence_stage(
    cloud: TestCloud, document: dict[str, Any] = EVIDENCE, digest: str = ""
) -> dict[str, Any]:
    """Return an action that records a document in S3 as the evidence of its execution.

    Args:
        cloud: where; the roles and the bucket of `tests.pipelines` are there.
        document: the evidence.
        digest: the SHA-256 that is recorded; that of the document by default.
    """
    name = f"evidence-{next(_numbers)}"
    body, key = json.dumps(document).encode(), f"{name}/evidence.json"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName=name,
        Role=functions.get_function(FunctionName="pipeline-job")["Configuration"]["Role"],
        Runtime="python3.12",
        Handler="handlers.handler",
        Environment={
            "Variables": {
                "URL": f"s3://{BUCKET}/{key}",
                "SHA256": digest or hashlib.sha256(body).hexdigest(),
            }
        },
        Code={"ZipFile": zip_of({"handlers.py": PROGRAM})},
    )
    return {
        "name": "Evidence",
        "actionTypeId": kind("Invoke", "Lambda"),
        "configuration": {"FunctionName": name},
    }
