"""The manual approval action, which waits for a person's decision.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from datetime import timedelta

from localcloud.codepipeline.actions.base import (
    ActionContext,
    ActionFailed,
    ActionOutcome,
    ApprovalResult,
)

log = logging.getLogger("localcloud.codepipeline")

DEFAULT_TIMEOUT_MINUTES = 7 * 24 * 60


async def approve(context: ActionContext) -> ActionOutcome:
    """Wait until PutApprovalResult is called with this action's token.

    Raises:
        ActionFailed: a person rejected it, or nobody answered within the timeout, in clock minutes.
    """
    run = context.run
    resumed = run.token is not None
    run.token = run.token or str(uuid.uuid4())
    answer: asyncio.Future[ApprovalResult] = asyncio.get_running_loop().create_future()
    context.pending_results.approvals[run.token] = answer
    context.save()
    minutes = int(context.declaration.get("timeoutInMinutes", DEFAULT_TIMEOUT_MINUTES))
    try:
        if not resumed and context.configuration.get("NotificationArn"):
            await _notify(context, minutes)
        deadline = run.started + timedelta(minutes=minutes)
        remaining = (deadline - context.services.clock.now()).total_seconds()
        try:
            result = await context.services.clock.wait_for(answer, remaining)
        except TimeoutError:
            raise ActionFailed(
                "JobFailed", f"The approval was not given within {minutes} minutes."
            ) from None
    finally:
        del context.pending_results.approvals[run.token]
    run.updated_by = result.by
    if not result.approved:
        raise ActionFailed("JobFailed", result.summary or "Rejected")
    return ActionOutcome(summary=result.summary)


async def _notify(context: ActionContext, minutes: int) -> None:
    """Publish AWS's approval message; the approval continues if the topic does not exist.

    Raises:
        ActionFailed: the action's role may not publish to the topic.
    """
    run = context.run
    stage = context.execution.stage_declaration["name"]
    message = {
        "region": context.scope.region,
        "approval": {
            "pipelineName": context.pipeline.name,
            "stageName": stage,
            "actionName": run.name,
            "token": run.token,
            "expires": (run.started + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%MZ"),
            "externalEntityLink": context.configuration.get("ExternalEntityLink"),
            "customData": context.configuration.get("CustomData"),
        },
    }
    try:
        await context.api(
            "sns",
            "publish",
            TopicArn=context.configuration["NotificationArn"],
            Subject=f"APPROVAL NEEDED: AWS CodePipeline {context.pipeline.name[:40]} for "
            f"action {run.name[:20]}"[:100],
            Message=json.dumps(message),
        )
    except Exception as error:
        if "AccessDenied" in str(error):
            raise ActionFailed("PermissionError", str(error)) from error
        log.warning("could not publish the approval of %s: %s", run.name, error)
