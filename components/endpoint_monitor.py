"""EndpointMonitor: the schedule, the function and the roles of an endpoint's monitor.

    schedule ─► function ─► processing job ─► (its end) ─► function ─► CloudWatch metrics

The alarms on these metrics are ``endpoint_alarms``'. The jobs run the image of the model that the
endpoint serves, and compare with that model's baseline; the model's version in the registry names
both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import monitor_policies, policies
from components.data_protection import DataProtection
from components.function_trigger import invoke_on
from components.naming import CAPTURE_PREFIX, VARIANT_NAME, Names
from components.pipeline_function import PipelineFunction, PipelineFunctionArgs
from components.private_bucket import PrivateBucket
from components.service_role import service_role
from components.settings import Environment, MonitorSettings, NetworkSettings

MAX_RUNTIME_SECONDS = 3_600
# From this PSI on, a column has a warning.
PSI_WARNING = 0.1


@dataclass(frozen=True, slots=True)
class EndpointMonitorArgs:
    """The endpoint that is monitored, and where its captures and its models are.

    Attributes:
        environment: DEV or PRD.
        settings: schedule, instances and limits.
        captures: the bucket of the captures.
        delivery: names in the account with the models and the registry.
        protection: the stack's KMS key.
        network: the network of the jobs.
        functions: what the monitor's function has in common with the pipeline's.
        tags: tags for each resource.
    """

    environment: Environment
    settings: MonitorSettings
    captures: PrivateBucket
    delivery: Names
    protection: DataProtection
    network: NetworkSettings
    functions: PipelineFunctionArgs
    tags: Mapping[str, str]


class EndpointMonitor(pulumi.ComponentResource):
    """A function that runs the monitor on a schedule, and publishes what each run finds."""

    def __init__(
        self,
        name: str,
        names: Names,
        args: EndpointMonitorArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:EndpointMonitor", name, None, opts)
        environment = args.environment.value
        purpose = f"{environment}-monitor"
        bucket_name = names.capture_bucket(environment)
        key_arn = args.protection.key_arn
        job_role, job_policy = service_role(
            f"{name}-job",
            names,
            f"{purpose}-job",
            trust=policies.trust(names, policies.SAGEMAKER),
            description=f"Permissions of the monitoring jobs of {names.endpoint(environment)}",
            policy=pulumi.Output.from_input(key_arn).apply(
                lambda key: monitor_policies.monitor_job(
                    names,
                    delivery=args.delivery,
                    delivered_under_key=key is not None,
                    bucket=bucket_name,
                    key_arn=key,
                    network=args.network,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        function = PipelineFunction(
            purpose,
            "run_monitor",
            names,
            args.functions,
            grants=pulumi.Output.from_input(key_arn).apply(
                lambda key: monitor_policies.run_monitor(
                    names,
                    environment,
                    delivery=args.delivery,
                    bucket=bucket_name,
                    key_arn=key,
                    job_role_arn=names.role_arn(f"{purpose}-job"),
                )
            ),
            by_pipeline=False,
            environment=self._environment(names, args, key_arn, job_role.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[job_policy, *args.captures.ready]),
        )
        invoke_on(
            f"{name}-schedule",
            f"{names.model}-{purpose}",
            function,
            schedule=args.settings.schedule,
            description=f"Compares what {names.endpoint(environment)} captured with its training",
            statement_id="schedule",
            target_id="monitor",
            tags=args.tags,
            parent=self,
        )
        invoke_on(
            f"{name}-ended",
            f"{names.model}-{purpose}-ended",
            function,
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Processing Job State Change"],
                "detail": {
                    "ProcessingJobName": [
                        {"prefix": monitor_policies.job_name(names, environment)}
                    ],
                    "ProcessingJobStatus": ["Completed", "Failed", "Stopped"],
                },
            },
            description=f"Publishes what a run of the monitor of {environment} found",
            statement_id="ended",
            target_id="monitor",
            tags=args.tags,
            parent=self,
        )
        self.register_outputs({"function": function.name})

    @staticmethod
    def _environment(
        names: Names,
        args: EndpointMonitorArgs,
        key_arn: pulumi.Input[str] | None,
        job_role_arn: pulumi.Input[str],
    ) -> dict[str, pulumi.Input[str]]:
        environment, settings = args.environment.value, args.settings
        found: dict[str, pulumi.Input[str]] = {
            "ENDPOINT_NAME": names.endpoint(environment),
            "VARIANT_NAME": VARIANT_NAME,
            "BUCKET": args.captures.name,
            "CAPTURE_PREFIX": CAPTURE_PREFIX,
            "JOB_ROLE_ARN": job_role_arn,
            "INSTANCE_TYPE": settings.instance_type,
            "INSTANCE_COUNT": str(settings.instance_count),
            "MAX_RUNTIME_SECONDS": str(MAX_RUNTIME_SECONDS),
            "NETWORK_ISOLATION": "true" if args.network.isolation else "false",
            "MONITOR_PSI_DRIFT": f"{settings.psi_drift:g}",
            "MONITOR_PSI_WARNING": f"{min(PSI_WARNING, settings.psi_drift):g}",
            "MONITOR_MINIMUM_ROWS": str(settings.minimum_rows),
        }
        if key_arn is not None:
            found["KMS_KEY_ARN"] = key_arn
        if args.network.vpc_config is not None:
            found["VPC_CONFIG"] = json.dumps(args.network.vpc_config, separators=(",", ":"))
        return found
