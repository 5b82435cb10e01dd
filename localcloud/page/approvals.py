"""The section `approvals`: what waits for a person, with the evidence to decide by.

The evidence is the document that the pipeline wrote to S3 and whose digest its action recorded. A
document with another digest is not shown, because nobody can say whose it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import Scope
from localcloud.codepipeline.actions.approval import DEFAULT_TIMEOUT_MINUTES
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
)
from localcloud.codepipeline.views import trigger
from localcloud.moto_backend.dispatcher import backend
from localcloud.page.template_changes import changes_between, fleet_of

if TYPE_CHECKING:
    from localcloud.edge.services import Services
    from localcloud.service_context import ServiceContext

_MOST = 10
_MOST_BYTES = 1024 * 1024
_MOST_SLICES = 30
# Decisions whose documents are kept in memory.
_KEPT = 4


class Approvals:
    """Finds the pending approvals, and reads the evidence of each once."""

    def __init__(self, context: ServiceContext, services: Services) -> None:
        self._context = context
        self._services = services
        self._read: dict[str, dict[str, Any]] = {}

    async def waiting(self, scope: Scope) -> list[dict[str, Any]]:
        """Return the pending approvals of a scope, the oldest first."""
        service = self._services.codepipeline.pipelines
        prefix = scope.arn("codepipeline", "")
        found = [
            (pipeline, execution, stage, run)
            for pipeline in service.pipelines.values()
            if pipeline.arn.startswith(prefix)
            for execution in service.engine.executions(pipeline)
            if execution.status in (ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING)
            for stage, run in _pending(execution)
        ]
        found.sort(key=lambda entry: entry[3].started)
        return [await self._approval(scope, *entry) for entry in found[:_MOST]]

    async def _approval(
        self, scope: Scope, pipeline: Pipeline, execution: Execution, stage: str, run: ActionRun
    ) -> dict[str, Any]:
        declared = execution.action_declaration(stage, run.name)
        minutes = int(declared.get("timeoutInMinutes", DEFAULT_TIMEOUT_MINUTES))
        return {
            "pipeline": pipeline.name,
            "stage": stage,
            "action": run.name,
            "execution": execution.id,
            "token": run.token,
            "started": run.started,
            "expires": run.started + timedelta(minutes=minutes),
            "message": run.configuration.get("CustomData"),
            "link": run.configuration.get("ExternalEntityLink"),
            **trigger(execution),
            **await self._evidence(scope, execution),
            "deploys": await self._deploys(scope, execution, stage),
        }

    async def _evidence(self, scope: Scope, execution: Execution) -> dict[str, Any]:
        """Return the evidence and the slices of its evaluation; None and why, if it has none."""
        url, digest = _recorded(execution)
        if not url:
            return {"evidence": None, "problem": None, "slices": []}
        known = self._read.get(digest)
        if known is None:
            known = await self._context.moto.call(_read_evidence, scope, url, digest)
            if known["problem"] is None:
                self._read[digest] = known
                while len(self._read) > _KEPT:
                    del self._read[next(iter(self._read))]
        return known

    async def _deploys(
        self, scope: Scope, execution: Execution, stage: str
    ) -> dict[str, Any] | None:
        """Return what the next deployment of a stack would change in its template."""
        found = _next_deployment(execution, stage)
        if found is None:
            return None
        name, artifact_name, path = found
        artifact = execution.artifacts.get(artifact_name)
        live = self._services.cloudformation.stacks.live(scope, name)
        if artifact is None:
            return None
        url = f"s3://{artifact.bucket}/{artifact.key}"
        body = await self._context.moto.call(_object, scope, url)
        text = await asyncio.to_thread(_member, body, path) if body is not None else None
        if text is None:
            return {"stack": name, "new": live is None, "changes": None, "fleets": None}
        before = live.template_body if live is not None else ""
        changes = await asyncio.to_thread(changes_between, before, text)
        fleets = {
            "now": await asyncio.to_thread(fleet_of, before) if before else None,
            "then": await asyncio.to_thread(fleet_of, text),
        }
        return {"stack": name, "new": live is None, "changes": changes, "fleets": fleets}


def _pending(execution: Execution) -> Iterator[tuple[str, ActionRun]]:
    """Yield the stage and the run of each action of an execution that waits for a person."""
    stage = execution.current_stage
    if stage is None:
        return
    for run in stage.actions.values():
        if run.token is not None and run.status is ActionStatus.IN_PROGRESS:
            yield stage.name, run


def _recorded(execution: Execution) -> tuple[str, str]:
    """Return where the evidence is and its SHA-256, as the execution's action recorded them."""
    for stage in execution.stages.values():
        for run in stage.actions.values():
            if run.outputs.get("Url", "").endswith("/evidence.json"):
                return run.outputs["Url"], run.outputs.get("Sha256", "")
    return "", ""


def _read_evidence(scope: Scope, url: str, digest: str) -> dict[str, Any]:
    body = _object(scope, url)
    if body is None:
        return {"evidence": None, "problem": f"{url} does not exist any more", "slices": []}
    if hashlib.sha256(body).hexdigest() != digest:
        problem = f"{url} was changed: it has another digest than the pipeline recorded"
        return {"evidence": None, "problem": problem, "slices": []}
    document = _json(body)
    if not isinstance(document, dict):
        return {"evidence": None, "problem": f"{url} is not a document", "slices": []}
    report = (document.get("evaluation") or {}).get("report") or {}
    slices: Any = []
    if str(report.get("url", "")).startswith("s3://"):
        found = _json(_object(scope, report["url"]) or b"")
        slices = found.get("slices") if isinstance(found, dict) else []
    return {"evidence": document, "problem": None, "slices": (slices or [])[:_MOST_SLICES]}


def _object(scope: Scope, url: str) -> bytes | None:
    """Return an object of S3; None if it is missing or large. Call it in moto's thread."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    try:
        found = backend("s3", scope).get_object(bucket, key)
    except Exception:  # moto's errors, such as that there is no such bucket
        return None
    if found is None or found.size > _MOST_BYTES:
        return None
    value: bytes = found.value
    return value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _next_deployment(execution: Execution, stage: str) -> tuple[str, str, str] | None:
    """Return the stack that a later stage deploys, and the artifact and file of its template."""
    names = [one["name"] for one in execution.declaration["stages"]]
    for later in execution.declaration["stages"][names.index(stage) + 1 :]:
        for action in later["actions"]:
            configuration = action.get("configuration", {})
            path = configuration.get("TemplatePath", "")
            if action["actionTypeId"]["provider"] == "CloudFormation" and "::" in path:
                artifact, _, file = path.partition("::")
                return configuration.get("StackName", ""), artifact, file
    return None


def _member(body: bytes, path: str) -> str | None:
    """Return a file of a zip archive as text; None if it is missing or too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            if archive.getinfo(path).file_size > _MOST_BYTES:
                return None
            return archive.read(path).decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError, OSError, ValueError):
        return None
