"""Retraining: a function that starts the pipeline on the newest dataset, on drift or by the clock.

the alarm of production's monitor, or a schedule ─► function ─► the pipeline, unless it was
                                                                retrained within the cooldown
"""

import pulumi

from components import policies
from components.endpoint_alarms import DRIFT
from components.function_trigger import invoke_on
from components.naming import Names
from components.pipeline_function import PipelineFunction, PipelineFunctionArgs
from components.settings import Environment, RetrainingSettings, RetrainOn


class Retraining(pulumi.ComponentResource):
    """The function `retrain`, and the rule that invokes it.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """

    def __init__(
        self,
        name: str,
        names: Names,
        args: PipelineFunctionArgs,
        settings: RetrainingSettings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:Retraining", name, None, opts)
        function = PipelineFunction(
            "retrain",
            "retrain",
            names,
            args,
            grants=policies.retrain(names),
            by_pipeline=False,
            environment={
                "PIPELINE_NAME": names.pipeline,
                "STARTED_BY": settings.on.value,
                "COOLDOWN_HOURS": str(settings.cooldown_hours),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        on_drift = settings.on is RetrainOn.DRIFT
        alarm = f"{names.endpoint(Environment.PRD.value)}-{DRIFT}"
        invoke_on(
            "retraining",
            f"{names.model}-retraining",
            function,
            pattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {"alarmName": [alarm], "state": {"value": ["ALARM"]}},
            }
            if on_drift
            else None,
            schedule=None if on_drift else settings.schedule,
            description=f"Starts {names.pipeline} on the newest dataset",
            statement_id="events",
            target_id="retrain",
            tags=args.tags,
            parent=self,
        )
        self.register_outputs({"function": function.name})
