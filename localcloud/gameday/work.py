"""The work that goes on during a game day: datasets are uploaded, and models are approved.

One thread uploads a dataset, follows what the pipeline does with it, approves each model, and
retries a stage that a fault has failed, as a person on duty would. It notes what was acknowledged.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter
from typing import Any

from localcloud.cli.watch import ENDED, waiting_approvals
from localcloud.gameday.acknowledged import Acknowledged, Found

log = logging.getLogger("localcloud.gameday")

_TICK_SECONDS = 0.5
_MOST_RETRIES = 10


class Work:
    """Uploads and approves, in a thread.

    Args:
        s3: a client of S3.
        codepipeline: a client of CodePipeline.
        outputs: the outputs of stack dev.
        dataset: the content of the dataset.
        pause_seconds: from the end of an execution to the next upload, in wall-clock seconds.
    """

    def __init__(
        self,
        s3: Any,
        codepipeline: Any,
        outputs: dict[str, Any],
        dataset: bytes,
        pause_seconds: float,
    ) -> None:
        self._s3, self._codepipeline = s3, codepipeline
        self._pipeline = str(outputs["pipelineName"])
        self._place = {"Bucket": outputs["dataBucket"], "Key": outputs["datasetKey"]}
        self._dataset, self._pause_seconds = dataset, pause_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._retries: Counter[str] = Counter()
        self.acknowledged = Acknowledged()
        self.retried = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Upload nothing more, and wait until every execution has ended, at most `seconds`."""
        self._stopped.set()
        self._thread.join(seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._all_ended():
            time.sleep(_TICK_SECONDS)

    def deliver(self, seconds: float) -> bool:
        """Upload a dataset and follow it; return whether it reached production in time."""
        self._upload()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            statuses = self._tick()
            if "Succeeded" in statuses.values():
                return True
            time.sleep(_TICK_SECONDS)
        return False

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._safely(self._upload) is not None:
                while not self._all_ended() and not self._stopped.wait(_TICK_SECONDS):
                    pass
            self._stopped.wait(self._pause_seconds)

    def _safely(self, work: Any) -> Any:
        """Do work that a fault may fail; return None if it did."""
        try:
            return work()
        except Exception as error:  # of the client, while the local cloud fails
            log.debug("%s", error)
            return None

    def _upload(self) -> str:
        digest = hashlib.sha256(self._dataset).hexdigest()
        version = str(self._s3.put_object(**self._place, Body=self._dataset)["VersionId"])
        self.acknowledged.objects[version] = digest
        return version

    def _all_ended(self) -> bool:
        statuses = self._safely(self._tick)
        return bool(statuses) and all(status in ENDED for status in statuses.values())

    def _tick(self) -> dict[str, str]:
        """Look at the pipeline and do what a person would; return the status of each execution."""
        statuses = self._statuses()
        known = self.acknowledged.executions
        fresh = [e for e, status in statuses.items() if e not in known or status not in ENDED]
        known.update(dict.fromkeys(statuses))
        for execution in fresh:
            for detail in self._actions(execution):
                if detail["status"] == "Succeeded":
                    step = (execution, detail["stageName"], detail["actionName"])
                    self.acknowledged.steps[step] = None
        for waiting in list(waiting_approvals(self._codepipeline, self._pipeline)):
            summary = f"approved on the game day, token {waiting.token[:8]}"
            self._codepipeline.put_approval_result(
                pipelineName=waiting.pipeline,
                stageName=waiting.stage,
                actionName=waiting.action,
                token=waiting.token,
                result={"status": "Approved", "summary": summary},
            )
            step = (waiting.execution, waiting.stage, waiting.action)
            self.acknowledged.approvals[step] = summary
        self._retry(statuses)
        return statuses

    def _retry(self, statuses: dict[str, str]) -> None:
        """Retry the failed stage of the newest execution of a dataset."""
        newest = next(iter(statuses), None)
        if newest is None or statuses[newest] != "Failed" or newest not in self._started():
            return
        state = self._codepipeline.get_pipeline_state(name=self._pipeline)
        for stage in state["stageStates"]:
            latest = stage.get("latestExecution", {})
            mine = latest.get("pipelineExecutionId") == newest and latest["status"] == "Failed"
            if mine and self._retries[newest] < _MOST_RETRIES:
                self._retries[newest] += 1
                self._codepipeline.retry_stage_execution(
                    pipelineName=self._pipeline,
                    stageName=stage["stageName"],
                    pipelineExecutionId=newest,
                    # Production's stage approves the version again, which its failure rejected.
                    retryMode="ALL_ACTIONS"
                    if stage["stageName"] == "DeployPrd"
                    else "FAILED_ACTIONS",
                )
                self.retried += 1
                statuses[newest] = "InProgress"
                return

    def _summaries(self) -> list[dict[str, Any]]:
        pages = self._codepipeline.get_paginator("list_pipeline_executions")
        found: list[dict[str, Any]] = []
        for page in pages.paginate(pipelineName=self._pipeline):
            found += page["pipelineExecutionSummaries"]
        return found

    def _statuses(self) -> dict[str, str]:
        return {s["pipelineExecutionId"]: s["status"] for s in self._summaries()}

    def _started(self) -> dict[str, set[str]]:
        """Return the versions of the dataset of each execution that an upload started."""
        started = {}
        for summary in self._summaries():
            revisions = {r["revisionId"] for r in summary.get("sourceRevisions", [])}
            if revisions & set(self.acknowledged.objects):
                started[summary["pipelineExecutionId"]] = revisions
        return started

    def _actions(self, execution: str) -> list[dict[str, Any]]:
        pages = self._codepipeline.get_paginator("list_action_executions").paginate(
            pipelineName=self._pipeline, filter={"pipelineExecutionId": execution}
        )
        return [detail for page in pages for detail in page["actionExecutionDetails"]]

    def found(self) -> Found:
        """Return what is there now."""
        found = Found(executions=self._statuses())
        for revisions in self._started().values():
            found.started_by |= revisions
        for version in self.acknowledged.objects:
            try:
                body = self._s3.get_object(**self._place, VersionId=version)["Body"].read()
            except self._s3.exceptions.ClientError:
                continue
            found.objects[version] = hashlib.sha256(body).hexdigest()
        for execution in self.acknowledged.executions:
            for detail in self._actions(execution):
                step = (execution, detail["stageName"], detail["actionName"])
                found.steps.setdefault(step, set()).add(detail["status"])
                result = detail.get("output", {}).get("executionResult", {})
                if detail["status"] == "Succeeded" and step in self.acknowledged.approvals:
                    found.approvals[step] = result.get("externalExecutionSummary", "")
        return found
