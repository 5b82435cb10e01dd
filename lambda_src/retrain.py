"""Starts the pipeline on the newest dataset: on drift, or by the clock, once in a cooldown.

The pipeline's variable ``StartedBy`` says why, so that the evaluation requires a better model, and
so that this function knows the executions that it has started.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-trigger-source-overrides.html
"""

import logging
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3

logger = logging.getLogger("retrain")
logger.setLevel(logging.INFO)

VARIABLE = "StartedBy"
# Of the newest executions, so many are looked at.
_MOST_EXECUTIONS = 100


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Start the pipeline, unless retraining has started it within the cooldown.

    Args:
        event: the event of the alarm, or of the schedule.
    """
    pipeline, reason = os.environ["PIPELINE_NAME"], os.environ["STARTED_BY"]
    hours = int(os.environ["COOLDOWN_HOURS"])
    codepipeline = boto3.client("codepipeline")
    since = datetime.fromisoformat(event["time"]) - timedelta(hours=hours)
    earlier = _retrained(codepipeline, pipeline, since) if hours else None
    if earlier is not None:
        logger.info(
            "%s was retrained by execution %s within the last %d hours", pipeline, earlier, hours
        )
        return
    execution = codepipeline.start_pipeline_execution(
        name=pipeline,
        variables=[{"name": VARIABLE, "value": reason}],
        # The same event always starts the same execution, also when Lambda delivers it twice.
        clientRequestToken=event["id"],
    )["pipelineExecutionId"]
    logger.info("started execution %s of %s: %s", execution, pipeline, reason)


def _retrained(codepipeline: Any, pipeline: str, since: datetime) -> str | None:
    """Return the newest execution since a time that retraining has started; None without one."""
    summaries = codepipeline.list_pipeline_executions(
        pipelineName=pipeline, maxResults=_MOST_EXECUTIONS
    )["pipelineExecutionSummaries"]
    for summary in summaries:
        if summary["startTime"] < since:
            break
        if summary.get("trigger", {}).get("triggerType") != "StartPipelineExecution":
            continue
        execution = codepipeline.get_pipeline_execution(
            pipelineName=pipeline, pipelineExecutionId=summary["pipelineExecutionId"]
        )["pipelineExecution"]
        variables = {v["name"]: v["resolvedValue"] for v in execution.get("variables", [])}
        if variables.get(VARIABLE) in ("drift", "schedule"):
            found: str = summary["pipelineExecutionId"]
            return found
    return None
