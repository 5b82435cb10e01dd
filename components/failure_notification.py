"""FailureNotice: a failed pipeline execution reaches the notification topic."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.naming import Names


class FailureNotice(pulumi.ComponentResource):
    """An EventBridge rule over the project's pipelines, its message one readable line.

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
        super().__init__("mlops:index:FailureNotice", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=f"{names.model}-pipeline-failed",
            description=f"A failed execution of {' or '.join(pipelines)} is told to people",
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
