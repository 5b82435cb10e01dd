"""A pipeline of a source and an approval, which a client watches and approves."""

from __future__ import annotations

from tests.cloud import ACCOUNT, TestCloud, have_role


def approved_pipeline(cloud: TestCloud, name: str, bucket: str) -> dict[str, object]:
    """Return a pipeline whose source is `source.zip` of a versioned bucket; make its role."""
    kind = {"owner": "AWS", "version": "1"}
    source = {
        "name": "Object",
        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
        "configuration": {
            "S3Bucket": bucket,
            "S3ObjectKey": "source.zip",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "ApproveDeploy",
        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
    }
    return {
        "name": name,
        "roleArn": have_role(cloud, f"arn:aws:iam::{ACCOUNT}:role/{name}-pipeline", "codepipeline"),
        "artifactStore": {"type": "S3", "location": bucket},
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "DeployApproval", "actions": [approval]},
        ],
    }
