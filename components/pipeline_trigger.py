"""What starts a pipeline: an EventBridge rule, and the role by which it may."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components import policies
from components.naming import Names
from components.service_role import service_role


def start_on_event(
    name: str,
    names: Names,
    pipeline: aws.codepipeline.Pipeline,
    pipeline_name: str,
    *,
    event_pattern: pulumi.Input[str],
    description: str,
    role_name: str,
    role_purpose: str,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Let events that match a pattern start a pipeline.

    Args:
        name: logical name of the rule and, after the model's, its name.
        names: the account's names.
        pipeline: what is started.
        pipeline_name: its name, which its role's policy must know before it exists.
        event_pattern: of EventBridge, JSON.
        description: of the rule, for people.
        role_name: stem of the role's logical names.
        role_purpose: part of the role's name.
        tags: of each resource.
        parent: the component that they belong to.
    """
    role, policy = service_role(
        role_name,
        names,
        role_purpose,
        trust=policies.trust(names, policies.EVENTS),
        description=f"How EventBridge starts {pipeline_name}",
        policy=policies.start_pipeline(names, pipeline_name),
        tags=tags,
        parent=parent,
    )
    rule = aws.cloudwatch.EventRule(
        name,
        name=f"{names.model}-{name}",
        description=description,
        event_pattern=event_pattern,
        tags=dict(tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        f"{name}-target",
        rule=rule.name,
        target_id="pipeline",
        arn=pipeline.arn,
        role_arn=role.arn,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
