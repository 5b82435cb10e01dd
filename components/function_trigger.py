"""The trigger of a function: an EventBridge rule, and its permission to invoke the function."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from components.pipeline_function import PipelineFunction


def invoke_on(
    name: str,
    rule_name: str,
    function: PipelineFunction,
    *,
    pattern: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    description: str,
    statement_id: str,
    target_id: str,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Invoke a function on events that match a pattern, or on a schedule.

    Args:
        name: stem of the logical names.
        rule_name: the rule's name.
        function: the function.
        pattern: EventBridge's event pattern; None for a schedule.
        schedule: ``rate(…)`` or ``cron(…)``; None for a pattern.
        description: the rule's description.
        statement_id: id of the statement in the function's policy, unique for the function.
        target_id: id of the rule's target.
        tags: tags for each resource.
        parent: the component that the resources belong to.
    """
    rule = aws.cloudwatch.EventRule(
        f"{name}-rule",
        name=rule_name,
        description=description,
        event_pattern=json.dumps(pattern) if pattern is not None else None,
        schedule_expression=schedule,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    allowed = aws.lambda_.Permission(
        f"{name}-permission",
        statement_id=statement_id,
        action="lambda:InvokeFunction",
        function=function.name,
        principal="events.amazonaws.com",
        source_arn=rule.arn,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        f"{name}-target",
        rule=rule.name,
        target_id=target_id,
        arn=function.arn,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[allowed]),
    )
