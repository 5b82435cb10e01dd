"""`localcloud evidence`: the evidence of an execution, and whether it is the one that was shown.

    the stored document ─► its SHA-256 ─┬─ that of the action Evidence
                                        ├─ that in the message of the approval
                                        └─ those in the version of the model registry

This module only reads. The pipeline's functions write the document and record its digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape

from localcloud.cli.console import CommandError, client, out

ACTION, APPROVAL = "Evidence", "ApproveDeploy"
_DIGEST = re.compile(r"\bsha256:([0-9a-f]{64})\b")
# Names of the version's metadata, and what they are called here.
_RECORDED = {"EvidenceSha256": "registry", "ApprovedEvidenceSha256": "registry, when approved"}


@dataclass(slots=True)
class Evidence:
    """The evidence of an execution, and what was found about it.

    Attributes:
        recorded: SHA-256 by where it is recorded.
        stored: SHA-256 of the stored document; empty if there is none.
        document: the stored document; None if it cannot be read.
        problems: one sentence for each difference.
    """

    pipeline: str
    execution: str
    url: str
    recorded: dict[str, str]
    model_package: str = ""
    approval: str = ""
    stored: str = ""
    document: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        """Return where the page is."""
        return self.url.removesuffix(".json") + ".html"

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "pipeline": self.pipeline,
            "execution": self.execution,
            "modelPackage": self.model_package,
            "approval": self.approval,
            "url": self.url,
            "page": self.page,
            "stored": self.stored,
            "recorded": self.recorded,
            "verified": not self.problems,
            "problems": self.problems,
            "evidence": self.document,
        }


def find_evidence(url: str, execution: str | None) -> Evidence:
    """Return the verified evidence of an execution.

    Args:
        url: the endpoint.
        execution: its id; by default the newest one that has evidence.

    Raises:
        CommandError: there is no such execution, or it has no evidence.
    """
    codepipeline = client("codepipeline", url)
    pipeline, found, actions = _actions(codepipeline, execution)
    evidence = _recorded(pipeline, found, actions)
    _read_version(client("sagemaker", url), evidence)
    s3 = client("s3", url)
    body = _read(s3, evidence.url, evidence.problems)
    if body is not None:
        evidence.stored = hashlib.sha256(body).hexdigest()
        _compare(s3, evidence)
        _read_document(s3, evidence, body)
    return evidence


def show_evidence(url: str, execution: str | None, *, as_json: bool) -> bool:
    """Print the evidence of an execution; return whether it is the one that was shown.

    Raises:
        CommandError: as for `find_evidence`.
    """
    found = find_evidence(url, execution)
    if as_json:
        out.print_json(json.dumps(found.as_json()))
        return not found.problems
    out.print(f"Execution [bold]{found.execution}[/bold] of {found.pipeline}", highlight=False)
    lines = found.document.get("verdicts", []) if found.document else []
    for line in [*lines, found.model_package, found.approval, found.url, found.page]:
        if line:
            out.print(line, markup=False)
    for where, digest in {"stored document": found.stored, **found.recorded}.items():
        out.print(f"sha256 {digest or 'none':<64}  {where}", markup=False)
    for problem in found.problems:
        out.print(f"[red]{escape(problem)}[/red]")
    if not found.problems:
        out.print("[green]Verified[/green]: the document and its reports are those that were shown")
    return not found.problems


def _actions(
    codepipeline: Any, execution: str | None
) -> tuple[str, str, dict[str, dict[str, Any]]]:
    """Return the pipeline, the execution, and its newest actions by name."""
    seen = False
    for pipeline in codepipeline.list_pipelines()["pipelines"]:
        name = pipeline["name"]
        for found in _executions(codepipeline, name):
            if execution not in (None, found):
                continue
            seen = True
            pages = codepipeline.get_paginator("list_action_executions").paginate(
                pipelineName=name, filter={"pipelineExecutionId": found}
            )
            actions: dict[str, dict[str, Any]] = {}
            for page in pages:
                for action in page["actionExecutionDetails"]:
                    if action["status"] == "Succeeded" or action["actionName"] == APPROVAL:
                        actions.setdefault(action["actionName"], action)
            if ACTION in actions:
                return name, found, actions
    if execution is None:
        raise CommandError("no execution has evidence; an execution that reaches DEV makes it")
    if seen:
        raise CommandError(f"execution {execution} has no evidence: it did not reach that action")
    raise CommandError(f"there is no execution {execution}; `localcloud status` shows pipelines")


def _executions(codepipeline: Any, pipeline: str) -> Iterator[str]:
    """Yield the ids of a pipeline's executions, the newest first."""
    pages = codepipeline.get_paginator("list_pipeline_executions").paginate(pipelineName=pipeline)
    for page in pages:
        for summary in page["pipelineExecutionSummaries"]:
            yield summary["pipelineExecutionId"]


def _recorded(pipeline: str, execution: str, actions: dict[str, dict[str, Any]]) -> Evidence:
    """Return what the pipeline recorded of the evidence."""
    variables = actions[ACTION]["output"]["outputVariables"]
    registered = actions.get("Register", {}).get("output", {}).get("outputVariables", {})
    found = Evidence(
        pipeline,
        execution,
        variables["Url"],
        {"action Evidence": variables["Sha256"]},
        registered.get("ModelPackageArn", ""),
    )
    approval = actions.get(APPROVAL)
    if approval is not None:
        message = approval["input"].get("resolvedConfiguration", {}).get("CustomData", "")
        match = _DIGEST.search(message)
        if match is None:
            found.problems.append("the message of the approval showed no digest")
        else:
            found.recorded["approval"] = match[1]
        who = approval.get("updatedBy")
        found.approval = f"{APPROVAL} {approval['status']}" + (f" by {who}" if who else "")
    return found


def _read_version(sagemaker: Any, evidence: Evidence) -> None:
    if not evidence.model_package:
        evidence.problems.append("the execution registered no version of the model")
        return
    package = sagemaker.describe_model_package(ModelPackageName=evidence.model_package)
    about = package.get("CustomerMetadataProperties", {})
    for key, where in _RECORDED.items():
        if key in about:
            evidence.recorded[where] = about[key]
    if "EvidenceSha256" not in about:
        evidence.problems.append(f"{evidence.model_package} has no digest of the evidence")
    if about.get("EvidenceUrl", evidence.url) != evidence.url:
        evidence.problems.append(
            f"{evidence.model_package} names another document: {about['EvidenceUrl']}"
        )


def _compare(s3: Any, evidence: Evidence) -> None:
    """Compare the stored document with each digest that was recorded."""
    for where, digest in evidence.recorded.items():
        if digest != evidence.stored:
            version = _version_with(s3, evidence.url, digest)
            hint = f"; version {version} of the object has it" if version else ""
            evidence.problems.append(
                f"the stored document has another digest than recorded by {where}: it was changed, "
                f"or the record was{hint}"
            )


def _read_document(s3: Any, evidence: Evidence, body: bytes) -> None:
    """Read the document, and compare the reports that it names with their digests."""
    try:
        document = json.loads(body)
        reports = [
            part["report"]
            for part in document.values()
            if isinstance(part, dict) and isinstance(part.get("report"), dict)
        ]
        expected = [(str(one["url"]), str(one["sha256"])) for one in reports]
    except (ValueError, KeyError, TypeError, AttributeError):
        evidence.problems.append(f"{evidence.url} is not a document of the evidence")
        return
    evidence.document = document
    for url, digest in expected:
        report = _read(s3, url, evidence.problems)
        if report is not None and hashlib.sha256(report).hexdigest() != digest:
            evidence.problems.append(f"{url} was changed: it has another digest than the evidence")


def _read(s3: Any, url: str, problems: list[str]) -> bytes | None:
    """Return an object's content; note that it is gone, and return None."""
    from botocore.exceptions import ClientError

    bucket, _, key = url.removeprefix("s3://").partition("/")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket"):
            raise
        problems.append(f"{url} does not exist any more")
        return None
    return body


def _version_with(s3: Any, url: str, digest: str) -> str | None:
    """Return the id of the object's version with a digest, or None."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for version in page.get("Versions", []):
            if version["Key"] == key:
                found = s3.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
                if hashlib.sha256(found["Body"].read()).hexdigest() == digest:
                    return str(version["VersionId"])
    return None
