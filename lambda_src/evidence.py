"""The evidence: one document of what is known of a model when a person decides about it.

    CheckData, Evaluate, Rehearse   their reports in S3 ─┐
    Train                           its job              ├► evidence.json, evidence.html in S3
    Register                        its version          │    sha256 ─► the version in the registry
    the execution                   its sources         ─┘              the approval's message

The document holds no time of its own, so that the same execution always gives the same bytes.
`docs/evidence.schema.json` describes it.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambda_src.evidence_page import draw_page
from lambda_src.execution import actions_of
from lambda_src.pipeline_job import ConfigurationError, Job, Succeeded, parameter, run

VERSION = 1
DOCUMENT, PAGE = "evidence.json", "evidence.html"
REFERENCE_FILE = "reference.json"
# The verdict of an action that has made no report.
_NO_REPORT = "none"
# The message of an approval has 1,000 characters.
_DATA_CHARACTERS, _EVALUATION_CHARACTERS, _REHEARSAL_CHARACTERS = 100, 170, 200
# A build tags its image with the commit's beginning and its own number.
_BUILD_TAG = re.compile(r"([0-9a-f]{12})-\d+")
_IMAGE = re.compile(r"(\d{12})\.[^/]+/([^@]+)@(sha256:[0-9a-f]{64})")
# Of each report: the action that makes it, its file, and the members that the evidence repeats.
_REPORTS = {
    "data": ("CheckData", "check.json", ("verdict", "dataset", "findings_left_out")),
    "evaluation": (
        "Evaluate",
        "evaluation.json",
        (
            *("verdict", "gate", "maximum_regression", "rows", "metrics", "mcnemar_p_value"),
            "reference",
        ),
    ),
    "rehearsal": (
        "Rehearse",
        "rehearsal.json",
        ("verdict", "captures", "answers", "refused", "latency"),
    ),
}


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation by CodePipeline."""
    run(event, collect)


def collect(job: Job) -> Succeeded:
    """Write the evidence of an execution, and record its digest in the registry."""
    arn = parameter(job, "modelPackageArn", str)
    codepipeline, sagemaker = boto3.client("codepipeline"), boto3.client("sagemaker")
    pipeline = parameter(job, "pipelineName", str)
    execution = parameter(job, "executionId", str)
    outputs = _outputs(actions_of(codepipeline, pipeline, execution))
    found = codepipeline.get_pipeline_execution(
        pipelineName=pipeline, pipelineExecutionId=execution
    )["pipelineExecution"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    document = _document(arn, package, pipeline, found, outputs, sagemaker)
    body = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    digest = hashlib.sha256(body).hexdigest()
    where = f"{os.environ['REPORT_OUTPUT']}/{_name(arn, execution)}"
    url = f"{where}/{DOCUMENT}"
    _put(url, body, "application/json")
    _put(f"{where}/{PAGE}", draw_page(document, digest).encode(), "text/html; charset=utf-8")
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={
            "EvidenceUrl": url,
            "EvidenceSha256": digest,
            **_reference(document["evaluation"], outputs.get("Evaluate", {})),
        },
    )
    return Succeeded(
        summary=f"sha256:{digest} of {url}",
        external_id=url,
        variables={"Url": url, "Sha256": digest, "Summary": "\n".join(document["verdicts"])},
    )


def _name(arn: str, execution: str) -> str:
    return f"version-{arn.rpartition('/')[2]}-{execution[:8]}"


def _outputs(actions: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the output variables of each action that has succeeded, by its name.

    A stage that was retried has an action twice; the newest one counts.
    """
    found: dict[str, dict[str, str]] = {}
    for action in actions:
        if action["status"] == "Succeeded":
            variables = action.get("output", {}).get("outputVariables") or {}
            found.setdefault(action["actionName"], variables)
    return found


def _document(
    arn: str,
    package: Mapping[str, Any],
    pipeline: str,
    execution: Mapping[str, Any],
    outputs: Mapping[str, Mapping[str, str]],
    sagemaker: Any,
) -> dict[str, Any]:
    reports = {
        name: _report(name, outputs.get(action, {}).get("ReportUrl"), outputs.get(action))
        for name, (action, _, _) in _REPORTS.items()
    }
    about = package["CustomerMetadataProperties"]
    (container,) = package["InferenceSpecification"]["Containers"]
    return {
        "version": VERSION,
        "model": {
            "group": package["ModelPackageGroupName"],
            "version": int(arn.rpartition("/")[2]),
            "arn": arn,
        },
        "verdicts": _verdicts(reports),
        **reports,
        "training": _training(about, sagemaker),
        "lineage": {
            "pipeline": pipeline,
            "execution": execution["pipelineExecutionId"],
            "variables": {
                one["name"]: one["resolvedValue"] for one in execution.get("variables", ())
            },
            "dataset_version": about["DatasetVersionId"],
            "training_job": about["TrainingJobName"],
            "model_data": container["ModelDataUrl"],
            **_image(container["Image"]),
            "sources": {
                one["name"]: one.get("revisionId") for one in execution.get("artifactRevisions", ())
            },
        },
    }


def _report(name: str, url: str | None, variables: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what the evidence says of a report, or why there is none."""
    if variables is None:
        return {"made": False, "message": "the pipeline has no such action"}
    if not url or url == _NO_REPORT:
        return {"made": False, "message": variables.get("Verdict", "there is no report")}
    _, file, members = _REPORTS[name]
    body = _get(f"{url}/{file}")
    try:
        report = json.loads(body)
        found = {member: report.get(member) for member in members}
        message = str(report["message"])
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{url}/{file} is not a report: {error!r}") from None
    if name == "data":
        severities = [one.get("severity") for one in report.get("findings", ())]
        found["findings"] = {kind: severities.count(kind) for kind in ("broken", "warning")}
    return {
        "made": True,
        "message": message,
        **found,
        "report": {"url": f"{url}/{file}", "sha256": hashlib.sha256(body).hexdigest()},
    }


def _reference(evaluation: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the frozen reference set that later models are compared on, if there is one.

    It is the one that this model was compared on, or its own validation rows, which begin one.
    """
    reference = evaluation.get("reference") or {}
    if reference.get("state") == "begun":
        return {"ReferenceUrl": f"{variables['ReportUrl']}/{REFERENCE_FILE}"}
    return {"ReferenceUrl": variables["ReferenceUrl"]} if "ReferenceUrl" in variables else {}


def _verdicts(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return two lines for the approval's message."""
    return [
        f"Data: {_cut(reports['data']['message'], _DATA_CHARACTERS)}. "
        f"Evaluation: {_cut(reports['evaluation']['message'], _EVALUATION_CHARACTERS)}.",
        f"Rehearsal: {_cut(reports['rehearsal']['message'], _REHEARSAL_CHARACTERS)}.",
    ]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _training(about: Mapping[str, str], sagemaker: Any) -> dict[str, Any]:
    job = sagemaker.describe_training_job(TrainingJobName=about["TrainingJobName"])
    return {
        "metric": about["Metric"],
        "score": about["Score"],
        "metrics": {one["MetricName"]: one["Value"] for one in job.get("FinalMetricDataList", ())},
        "hyperparameters": job.get("HyperParameters", {}),
        "instance_type": job["ResourceConfig"]["InstanceType"],
    }


def _image(uri: str) -> dict[str, Any]:
    """Return the image's digest, and the commit that it was built from, if its tags name one."""
    found = _IMAGE.fullmatch(uri)
    if found is None:
        return {"image": uri}
    account, repository, digest = found.groups()
    try:
        tags = (
            boto3.client("ecr")
            .describe_images(
                registryId=account, repositoryName=repository, imageIds=[{"imageDigest": digest}]
            )["imageDetails"][0]
            .get("imageTags", [])
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ImageNotFoundException":
            raise
        tags = []
    commits = [match[1] for tag in sorted(tags) if (match := _BUILD_TAG.fullmatch(tag))]
    commit = {"commit": commits[0]} if commits else {}
    return {"image": uri, "image_digest": digest, **commit}


def _get(url: str) -> bytes:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body: bytes = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _put(url: str, body: bytes, content_type: str) -> None:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
