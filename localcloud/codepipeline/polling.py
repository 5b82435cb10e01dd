"""The polling of sources: checks once a minute whether a polled source changed.

An S3 or CodeCommit source is polled unless its PollForSourceChanges is false. A revision that no
execution uses yet starts one. Polling pauses while an execution has yet to read the source.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/triggers-polling-pipelines.html
"""

from __future__ import annotations

import logging
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import scope_of_arn
from localcloud.codecommit.api import CodeCommitApi
from localcloud.codepipeline.engine import PipelineEngine
from localcloud.codepipeline.model import Pipeline
from localcloud.codepipeline.plan import ACTIVE
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.codepipeline")

_LOOK_CLOCK_SECONDS = 60.0
_POLLED = ("S3", "CodeCommit")


def polls(action: dict[str, Any]) -> bool:
    """Return whether a source action is polled, which is the default of S3 and CodeCommit."""
    if action["actionTypeId"]["provider"] not in _POLLED:
        return False
    setting = action.get("configuration", {}).get("PollForSourceChanges", "true")
    return str(setting).lower() != "false"


class SourcePolling:
    """Starts pipelines whose polled sources have changed."""

    def __init__(
        self,
        context: ServiceContext,
        pipelines: Collection[Pipeline],
        engine: PipelineEngine,
        repositories: CodeCommitApi,
    ) -> None:
        self._context = context
        self._pipelines = pipelines
        self._engine = engine
        self._repositories = repositories

    async def run(self) -> None:
        """Poll the sources, until cancelled."""
        while True:
            await self._context.clock.pace(_LOOK_CLOCK_SECONDS)
            for pipeline in self._pipelines.values():
                try:
                    await self._look(pipeline)
                except Exception:
                    log.exception("polling the sources of %s", pipeline.name)

    async def _look(self, pipeline: Pipeline) -> None:
        source = pipeline.declaration["stages"][0]
        for action in source["actions"]:
            if not polls(action) or self._is_unread(pipeline):
                continue
            revision = await self._revision(pipeline, action)
            known = self._engine.executions(pipeline)
            if (
                revision is not None
                and pipeline.arn in self._pipelines
                and not self._is_unread(pipeline)
                and not any(revision in e.revisions_of(action["name"]) for e in known)
            ):
                log.info("%s: %s has the revision %s", pipeline.name, action["name"], revision)
                s3 = action["actionTypeId"]["provider"] == "S3"
                # The revision is named, so that one which cannot be read is tried only once.
                asked = {
                    "actionName": action["name"],
                    "revisionType": "S3_OBJECT_VERSION_ID" if s3 else "COMMIT_ID",
                    "revisionValue": revision,
                }
                self._engine.start(
                    pipeline, "PollForSourceChanges", action["name"], source_revisions=[asked]
                )
                return

    def _is_unread(self, pipeline: Pipeline) -> bool:
        """Return whether an execution has yet to read the sources, or is reading them."""
        return any(
            execution.status in ACTIVE and execution.stage_index == 0
            for execution in self._engine.executions(pipeline)
        )

    async def _revision(self, pipeline: Pipeline, action: dict[str, Any]) -> str | None:
        """Return the newest revision of a source, or None if it cannot be read."""
        scope = scope_of_arn(pipeline.arn)
        settings = action.get("configuration", {})
        role = action.get("roleArn") or pipeline.declaration["roleArn"]
        try:
            if action["actionTypeId"]["provider"] == "S3":
                head = await self._context.api(
                    scope,
                    "s3",
                    "head_object",
                    principal=role,
                    Bucket=settings["S3Bucket"],
                    Key=settings["S3ObjectKey"],
                )
                return str(head["VersionId"]) if "VersionId" in head else None
            branches = await self._repositories.branches(scope, settings["RepositoryName"])
            return branches.get(settings["BranchName"])
        except AwsError:
            return None
        except Exception as error:
            # The object or the permission is missing; the source action itself would report it.
            log.debug("%s: %s cannot be polled: %s", pipeline.name, action["name"], error)
            return None
