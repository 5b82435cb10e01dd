"""The evidence of an execution: its document, its digest, and the approval that showed it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from lambda_src import evidence
from lambda_src.evidence import handler
from lambda_src.execution import approved, shown_digest
from lambda_src.model_packages import promote_handler
from tests.evidence import problems
from tests.unit.lambda_src.fake_aws import (
    DIGEST,
    EXECUTION_ID,
    IMAGE_URI,
    AwsError,
    FakeAws,
    pipeline_event,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/iris-model/3"
PARAMETERS = {
    "modelPackageArn": ARN,
    "pipelineName": "iris-model-pipeline",
    "executionId": EXECUTION_ID,
}
WHERE = "reports/version-3-abcdef01"
CHECK = {
    "message": "4 columns, 120 rows: nothing broken",
    "verdict": "passed",
    "dataset": {"name": "iris", "rows": {"train": 120, "validation": 30}},
    "findings": [{"severity": "warning"}, {"severity": "warning"}],
    "findings_left_out": 0,
}
EVALUATION = {
    "message": "accuracy 0.9667, champion 0.9333: not worse",
    "verdict": "not worse",
    "gate": "block",
    "maximum_regression": 0.0,
    "rows": 30,
    "metrics": [
        {"metric": "accuracy", "candidate": 0.97, "champion": 0.93, "interval": [-0.03, 0.1]}
    ],
    "mcnemar_p_value": 1.0,
}
REHEARSAL = {
    "message": "33 rows of production's traffic: 1 (3.03%; 0.54% to 15.32%) answered differently",
    "verdict": "different",
    "captures": {"requests": 4, "rows": 33, "bounded_by": None},
    "answers": {
        "rows": 33,
        "flows": [{"champion": "<i>", "candidate": "b", "rows": 1}],
        "tolerance": None,
    },
    "refused": {"both": 0},
    "latency": {},
}


def action(name: str, status: str = "Succeeded", **variables: str) -> dict[str, Any]:
    return {"actionName": name, "status": status, "output": {"outputVariables": variables}}


def shown(digest: str) -> dict[str, Any]:
    """Return an approval whose message showed a digest."""
    message = f"Deploy?\ns3://artifacts/x/evidence.json sha256:{digest}"
    return {
        "actionName": "ApproveDeploy",
        "status": "Succeeded",
        "updatedBy": "ada",
        "input": {"resolvedConfiguration": {"CustomData": message}},
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_OUTPUT", "s3://artifacts/reports")


@pytest.fixture
def ready(aws: FakeAws) -> FakeAws:
    """An execution that has made three reports."""
    aws.packages = [
        {
            "ModelPackageArn": ARN,
            "ModelPackageGroupName": "iris-model",
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE_URI, "ModelDataUrl": "s3://a/model.tar.gz"}]
            },
            "CustomerMetadataProperties": {
                "PipelineExecutionId": EXECUTION_ID,
                "DatasetVersionId": "version-1",
                "TrainingJobName": "iris-model-abc",
                "Metric": "accuracy",
                "Score": "0.9667",
            },
        }
    ]
    aws.training_jobs["iris-model-abc"] = {
        "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.9667}],
        "HyperParameters": {"n_estimators": "40"},
        "ResourceConfig": {"InstanceType": "ml.m5.large"},
    }
    aws.executions = [
        {
            "pipelineExecutionId": EXECUTION_ID,
            "artifactRevisions": [{"name": "DatasetArtifact", "revisionId": "version-1"}],
            "variables": [{"name": "StartedBy", "resolvedValue": "drift"}],
        }
    ]
    aws.actions = [
        action("Evidence", "InProgress"),
        action("Rehearse", ReportUrl="s3://artifacts/reports/r", Verdict="?"),
        action("Evaluate", ReportUrl="s3://artifacts/reports/e", Verdict="?"),
        # The stage was retried: the newer one counts.
        action("Evaluate", ReportUrl="s3://artifacts/reports/old", Verdict="?"),
        action("Register"),
        action("CheckData", ReportUrl="s3://artifacts/reports/c", Verdict="?"),
    ]
    for key, report in (
        ("c/check", CHECK),
        ("e/evaluation", EVALUATION),
        ("r/rehearsal", REHEARSAL),
    ):
        aws.objects["artifacts", f"reports/{key}.json"] = json.dumps(report).encode()
    return aws


def collect(aws: FakeAws) -> dict[str, Any]:
    """Run the action; return the document."""
    aws.calls.clear()
    handler(pipeline_event(PARAMETERS), None)
    assert aws.answers()[0][0] == "PutJobSuccessResult", aws.answers()
    body = aws.objects["artifacts", f"{WHERE}/evidence.json"]
    document: dict[str, Any] = json.loads(body)
    assert problems(document) == []
    return document


def test_the_evidence_has_reports_training_and_lineage(ready: FakeAws) -> None:
    document = collect(ready)
    assert document["model"] == {"group": "iris-model", "version": 3, "arn": ARN}
    assert document["lineage"] == {
        "pipeline": "iris-model-pipeline",
        "execution": EXECUTION_ID,
        "variables": {"StartedBy": "drift"},
        "dataset_version": "version-1",
        "training_job": "iris-model-abc",
        "model_data": "s3://a/model.tar.gz",
        "image": IMAGE_URI,
        "image_digest": DIGEST,
        "commit": "0123456789ab",
        "sources": {"DatasetArtifact": "version-1"},
    }
    assert document["training"]["metrics"] == {"validation:accuracy": 0.9667}
    assert document["data"]["findings"] == {"broken": 0, "warning": 2}
    assert document["evaluation"]["metrics"] == EVALUATION["metrics"]
    assert document["rehearsal"]["answers"] == REHEARSAL["answers"]
    body = ready.objects["artifacts", "reports/e/evaluation.json"]
    assert document["evaluation"]["report"] == {
        "url": "s3://artifacts/reports/e/evaluation.json",
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_the_registry_and_the_approval_get_the_digest_of_the_document(ready: FakeAws) -> None:
    collect(ready)
    body = ready.objects["artifacts", f"{WHERE}/evidence.json"]
    digest, url = hashlib.sha256(body).hexdigest(), f"s3://artifacts/{WHERE}/evidence.json"
    about = ready.packages[0]["CustomerMetadataProperties"]
    assert (about["EvidenceUrl"], about["EvidenceSha256"]) == (url, digest)
    assert about["Score"] == "0.9667"
    assert ready.success()["outputVariables"] == {
        "Url": url,
        "Sha256": digest,
        "Summary": f"Data: {CHECK['message']}. Evaluation: {EVALUATION['message']}.\n"
        f"Rehearsal: {REHEARSAL['message']}.",
    }


def test_the_same_execution_has_the_same_evidence(ready: FakeAws) -> None:
    assert collect(ready) == collect(ready)
    digests = {c["CustomerMetadataProperties"]["EvidenceSha256"] for c in updates(ready)}
    assert len(digests) == 1


def updates(aws: FakeAws) -> list[dict[str, Any]]:
    return aws.made("UpdateModelPackage")


def test_the_page_has_the_digest_and_shows_text_as_text(ready: FakeAws) -> None:
    collect(ready)
    page = ready.objects["artifacts", f"{WHERE}/evidence.html"].decode()
    digest = ready.packages[0]["CustomerMetadataProperties"]["EvidenceSha256"]
    assert f"sha256:{digest}" in page
    assert "<h1>Evidence of iris-model, version 3</h1>" in page
    assert "<i>" not in page
    assert "&lt;i&gt;" in page
    assert 'class="verdict good"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_report_that_was_not_made_has_its_reason(ready: FakeAws) -> None:
    why = "not rehearsed: there is no approved model yet"
    ready.actions = [
        action("Rehearse", ReportUrl="none", Verdict=why),
        action("CheckData", ReportUrl="s3://artifacts/reports/c", Verdict="?"),
    ]
    document = collect(ready)
    assert document["rehearsal"] == {"made": False, "message": why}
    assert document["evaluation"] == {
        "made": False,
        "message": "the pipeline has no such action",
    }
    assert document["verdicts"][1] == f"Rehearsal: {why}."
    assert 'class="verdict open"' in ready.objects["artifacts", f"{WHERE}/evidence.html"].decode()


def test_a_rehearsal_that_says_why_it_was_not_made_has_no_figures(ready: FakeAws) -> None:
    report = {"version": 1, "verdict": "not-rehearsed", "message": "not rehearsed: no file"}
    ready.objects["artifacts", "reports/r/rehearsal.json"] = json.dumps(report).encode()
    document = collect(ready)
    assert (document["rehearsal"]["verdict"], document["rehearsal"]["answers"]) == (
        "not-rehearsed",
        None,
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'"text"'])
def test_a_report_that_is_none_is_named(ready: FakeAws, content: bytes) -> None:
    ready.objects["artifacts", "reports/e/evaluation.json"] = content
    handler(pipeline_event(PARAMETERS), None)
    kind, message = ready.failure()
    assert kind == "ConfigurationError"
    assert message.startswith("s3://artifacts/reports/e/evaluation.json is not a report: ")


@pytest.mark.parametrize("tags", [[], ["latest"], ["release-1"]])
def test_a_commit_is_known_only_by_the_tag_of_a_build(ready: FakeAws, tags: list[str]) -> None:
    ready.image_tags = tags
    assert "commit" not in collect(ready)["lineage"]


def test_an_image_that_is_gone_has_no_commit(ready: FakeAws) -> None:
    ready.errors["DescribeImages"] = AwsError("ImageNotFoundException", "no such image")
    assert "commit" not in collect(ready)["lineage"]
    ready.errors["DescribeImages"] = AwsError("AccessDeniedException", "not allowed")
    ready.calls.clear()
    handler(pipeline_event(PARAMETERS), None)
    assert "not allowed" in ready.failure()[1]


def test_long_verdicts_are_cut() -> None:
    long = {name: {"message": "x" * 500} for name in ("data", "evaluation", "rehearsal")}
    first, second = evidence._verdicts(long)
    assert (len(first), len(second)) == (6 + 100 + 2 + 12 + 170 + 1, 11 + 200 + 1)
    assert second.endswith("x….")


def test_promotion_records_the_digest_that_the_approval_showed(ready: FakeAws) -> None:
    collect(ready)
    digest = ready.packages[0]["CustomerMetadataProperties"]["EvidenceSha256"]
    ready.actions = [shown(digest)]
    promote_handler(pipeline_event(PARAMETERS), None)
    about = ready.packages[0]["CustomerMetadataProperties"]
    assert about["ApprovedEvidenceSha256"] == about["EvidenceSha256"] == digest
    assert ready.packages[0]["ModelApprovalStatus"] == "Approved"


def test_an_approval_without_a_digest_records_none(ready: FakeAws) -> None:
    ready.actions = [{**shown("0"), "input": {}}]
    promote_handler(pipeline_event(PARAMETERS), None)
    assert "ApprovedEvidenceSha256" not in ready.packages[0]["CustomerMetadataProperties"]
    assert ready.packages[0]["ApprovalDescription"] == "approved by ada"


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (f"… sha256:{'a' * 64}", "a" * 64),
        (f"sha256:{'a' * 65}", None),
        (f"sha256:{'A' * 64}", None),
        ("", None),
    ],
)
def test_a_digest_is_found_in_a_message(message: str, digest: str | None) -> None:
    found = {"input": {"resolvedConfiguration": {"CustomData": message}}}
    assert shown_digest(found) == digest


def test_only_an_approval_that_was_given_counts() -> None:
    waiting = {**shown("0"), "status": "InProgress"}
    assert approved([waiting, action("Deploy")]) is None
    assert approved([waiting, shown("1")]) == shown("1")


def test_the_schema_refuses_what_is_no_evidence(ready: FakeAws) -> None:
    document = collect(ready)
    del document["lineage"]["image"]
    document["data"] = {"made": True, "message": "passed"}
    document["more"] = 1
    assert len(problems(document)) == 3


@pytest.mark.parametrize(
    ("state", "given", "expected"),
    [
        ("begun", None, "s3://artifacts/reports/e/reference.json"),
        # Its columns did not fit.
        ("begun", "s3://a/old.json", "s3://artifacts/reports/e/reference.json"),
        ("kept", "s3://a/old.json", "s3://a/old.json"),
        ("unreadable", "s3://a/old.json", "s3://a/old.json"),
        (None, None, None),
    ],
)
def test_the_version_names_the_reference_set_of_later_ones(
    ready: FakeAws, state: str | None, given: str | None, expected: str | None
) -> None:
    report = {**EVALUATION, "reference": state and {"state": state}}
    ready.objects["artifacts", "reports/e/evaluation.json"] = json.dumps(report).encode()
    variables = {"ReferenceUrl": given} if given else {}
    url = "s3://artifacts/reports/e"
    ready.actions.insert(1, action("Evaluate", ReportUrl=url, Verdict="?", **variables))
    collect(ready)
    assert ready.packages[0]["CustomerMetadataProperties"].get("ReferenceUrl") == expected
