"""The trigger of a pipeline: an EventBridge rule and its role."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policies
from components.naming import Names
from components.service_role import service_role


@dataclass(frozen=True, slots=True)
class Revision:
    """The source revision in an event.

    Without it, two events within seconds would start two executions with the same revision.
    Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-trigger-source-overrides.html

    Attributes:
        action: name of the source action.
        kind: its revision type, such as ``S3_OBJECT_VERSION_ID``.
        path: where the event has the revision, such as ``$.detail.object.version-id``.
    """

    action: str
    kind: str
    path: str

    def transformer(self) -> aws.cloudwatch.EventTargetInputTransformerArgsDict:
        """Return the transformer of an event to the input of a pipeline."""
        revision = {
            "actionName": self.action,
            "revisionType": self.kind,
            "revisionValue": "<revision>",
        }
        return {
            "input_paths": {"revision": self.path},
            "input_template": json.dumps({"sourceRevisions": [revision]}),
        }


def start_on_event(
    name: str,
    names: Names,
    pipeline: aws.codepipeline.Pipeline,
    pipeline_name: str,
    *,
    event_pattern: pulumi.Input[str],
    revision: Revision | None = None,
    description: str,
    role_name: str,
    role_purpose: str,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Start a pipeline on events that match a pattern.

    Args:
        name: logical name of the rule, and its physical name after the model's name.
        names: the account's names.
        pipeline: the pipeline to start.
        pipeline_name: the pipeline's name, which the role's policy needs before it exists.
        event_pattern: EventBridge's event pattern, JSON.
        revision: the source revision that the event names, which the execution then uses; None
            takes the latest.
        description: the rule's description.
        role_name: stem of the role's logical names.
        role_purpose: part of the role's physical name.
        tags: tags for each resource.
        parent: the component that the resources belong to.
    """
    role, policy = service_role(
        role_name,
        names,
        role_purpose,
        trust=policies.trust(names, policies.EVENTS),
        description=f"Lets EventBridge start {pipeline_name}",
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
        input_transformer=revision.transformer() if revision is not None else None,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
