"""FailureNotification: notifies the topic's subscribers when a pipeline execution fails."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.naming import Names


class FailureNotification(pulumi.ComponentResource):
    """An EventBridge rule for the project's pipelines that sends one readable line.

    Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        pipelines: Sequence[str],
        topic_arn: pulumi.Input[str],
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        # The type token is part of each child's URN. It keeps the component's first name, because
        # a new token needs an alias, which `localcloud up` does not support: it would replace the
        # resources of existing stacks.
        super().__init__("mlops:index:FailureNotice", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=f"{names.model}-pipeline-failed",
            description=f"Notifies subscribers when an execution of {' or '.join(pipelines)} fails",
            event_pattern=json.dumps(
                {
                    "source": ["aws.codepipeline"],
                    "detail-type": ["CodePipeline Pipeline Execution State Change"],
                    "detail": {"pipeline": list(pipelines), "state": ["FAILED"]},
                }
            ),
            tags=dict(tags),
            opts=child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            target_id="topic",
            arn=topic_arn,
            input_transformer={
                "input_paths": {
                    "pipeline": "$.detail.pipeline",
                    "execution": "$.detail.execution-id",
                    "time": "$.time",
                },
                "input_template": '"Pipeline <pipeline> failed: execution <execution> at <time>."',
            },
            opts=child,
        )
        self.register_outputs({})
