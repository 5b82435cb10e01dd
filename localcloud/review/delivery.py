"""A delivery to production for `localcloud diff --run`: dataset, pipeline, approval.

The approval is given, because nobody is asked. Must not: compare anything, start or stop the local
cloud, or run code of the compared programs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from localcloud.aws.routing import DEFAULT_ACCOUNT
from localcloud.cli.console import CommandError, client
from localcloud.cli.watch import (
    ENDED,
    action_lines,
    put_approval,
    triggered_execution,
    waiting_approvals,
)

NEEDED = ("repositoryName", "imageParameter", "dataBucket", "datasetKey", "pipelineName")
_DELIVERY_SECONDS = 300.0
_POLL_SECONDS = 0.2


def stop_schedules(url: str, region: str) -> None:
    """Disable the rules that have a schedule, such as the monitor's.

    How often they would run depends on this machine's speed; what the run uses must not.
    """
    events = client("events", url, DEFAULT_ACCOUNT, region)
    for page in events.get_paginator("list_rules").paginate():
        for rule in page["Rules"]:
            if rule.get("ScheduleExpression"):
                events.disable_rule(Name=rule["Name"])


def deliver(url: str, region: str, outputs: Mapping[str, Any], dataset: bytes) -> None:
    """Upload a dataset, approve its model, and follow the pipeline to its end.

    Args:
        url: the address of the local cloud.
        region: where the pipeline is.
        outputs: those of the stack that holds the pipeline, with NEEDED.
        dataset: the zip.

    Raises:
        CommandError: the pipeline did not start, did not succeed, or took more than 300 wall-clock
            seconds.
    """
    pipeline = str(outputs["pipelineName"])
    codepipeline = client("codepipeline", url, DEFAULT_ACCOUNT, region)
    bucket = outputs["dataBucket"]
    answer = client("s3", url, DEFAULT_ACCOUNT, region).put_object(
        Bucket=bucket, Key=outputs["datasetKey"], Body=dataset
    )
    if "VersionId" not in answer:
        raise CommandError(f"bucket {bucket} keeps no versions, which the pipeline's source needs")
    version = answer["VersionId"]
    if _starts_on_upload(url, region, pipeline):
        execution = triggered_execution(codepipeline, pipeline, version)
    else:
        execution = codepipeline.start_pipeline_execution(name=pipeline)["pipelineExecutionId"]
    deadline = time.monotonic() + _DELIVERY_SECONDS
    status = ""
    while status not in ENDED:
        if time.monotonic() > deadline:
            running = [
                f"{line.stage}/{line.action}"
                for line in action_lines(codepipeline, pipeline, execution)
                if line.status == "InProgress"
            ]
            raise CommandError(
                f"{pipeline} did not end within {_DELIVERY_SECONDS:g} s; in progress: "
                f"{', '.join(running) or 'no action'}"
            )
        time.sleep(_POLL_SECONDS)
        for waiting in waiting_approvals(codepipeline, pipeline):
            if waiting.execution == execution:
                put_approval(codepipeline, waiting, "Approved", "Approved by localcloud diff --run")
        status = codepipeline.get_pipeline_execution(
            pipelineName=pipeline, pipelineExecutionId=execution
        )["pipelineExecution"]["status"]
    if status != "Succeeded":
        reasons = [
            f"{line.stage}/{line.action}: {line.error}"
            for line in action_lines(codepipeline, pipeline, execution)
            if line.error
        ]
        raise CommandError(f"{pipeline} ended as {status}: {'; '.join(reasons) or 'no reason'}")


def _starts_on_upload(url: str, region: str, pipeline: str) -> bool:
    """Return whether a rule starts the pipeline; `trainOnUpload: false` leaves it out."""
    arn = client("codepipeline", url, DEFAULT_ACCOUNT, region).get_pipeline(name=pipeline)[
        "metadata"
    ]["pipelineArn"]
    found = client("events", url, DEFAULT_ACCOUNT, region).list_rule_names_by_target(TargetArn=arn)
    return bool(found["RuleNames"])
