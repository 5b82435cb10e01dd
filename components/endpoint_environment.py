"""EndpointEnvironment: the resources that a pipeline needs to deploy an endpoint to an account.

The endpoint itself is not one of them: the delivery pipeline creates and updates it through
CloudFormation, with the template and the role that this component creates. The alarms and the
dashboard belong to this component because they outlast a deployment.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import (
    deploy_policies,
    endpoint_alarms,
    endpoint_dashboard,
    endpoint_template,
    instance_types,
    policies,
)
from components.data_protection import DataProtection
from components.delivery_access import DeliveryAccess
from components.endpoint_monitor import EndpointMonitor, EndpointMonitorArgs
from components.log_group import log_group
from components.naming import CAPTURE_DAYS, TEMPLATE_FILE, TEMPLATE_KEY, Names
from components.pipeline_function import PipelineFunctionArgs
from components.pipeline_stages import DeployTarget
from components.private_bucket import PrivateBucket
from components.service_role import service_role
from components.settings import (
    EndpointSettings,
    Environment,
    FunctionSettings,
    NetworkSettings,
    UpdateSettings,
)


@dataclass(frozen=True, slots=True)
class EndpointEnvironmentArgs:
    """The environment, its endpoint's settings, and the account that delivers to it.

    Attributes:
        environment: DEV or PRD.
        endpoint: instances, scaling, alarms, data capture and updates.
        network: the network of the model's containers.
        functions: concurrency and tracing of the monitor's function.
        protection: encryption, access logs and deletion protection.
        log_retention_days: days after which lines of the containers' log expire.
        delivery: names in the account with the pipeline, the artifacts and the image.
        notification_topic_arn: topic that receives the alarms.
        tags: tags for each resource.
    """

    environment: Environment
    endpoint: EndpointSettings
    network: NetworkSettings
    functions: FunctionSettings
    protection: DataProtection
    log_retention_days: int
    delivery: Names
    notification_topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]


class EndpointEnvironment(pulumi.ComponentResource):
    """The roles, rendered template, capture bucket, alarms and dashboard of one environment.

    Attributes:
        outputs: the stack's outputs, which describe the environment to a pipeline.
        target: the same values as a DeployTarget.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        args: EndpointEnvironmentArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        environment = args.environment.value
        # A policy sees these when the template is not known yet, in the preview of a new stack.
        instances = {"environment": environment, "instanceType": args.endpoint.instance_type}
        super().__init__("mlops:index:EndpointEnvironment", name, instances, opts)
        self.endpoint_name = names.endpoint(environment)
        self.stack_name = names.cloudformation_stack(environment)
        self._name, self._names, self._args = name, names, args

        self.capture = self._capture_bucket()
        capture_bucket = self.capture.name if self.capture else None
        key_arn = args.protection.key_arn
        self.execution_role, execution_policy = service_role(
            f"{name}-execution",
            names,
            f"{environment}-execution",
            trust=policies.trust(names, policies.SAGEMAKER),
            description=f"Permissions of the containers of {self.endpoint_name}",
            policy=pulumi.Output.all(capture_bucket, key_arn).apply(
                lambda made: policies.execution_role(
                    names,
                    environment,
                    delivery=args.delivery,
                    delivered_under_key=key_arn is not None,
                    capture_bucket=made[0],
                    key_arn=made[1],
                    network=args.network,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        own_alarms = [
            alarm
            for alarm in endpoint_alarms.render(self.endpoint_name, args.endpoint)
            if alarm.with_endpoint
        ]
        self.deploy_role, deploy_policy = service_role(
            f"{name}-deploy",
            names,
            f"{environment}-deploy",
            trust=policies.trust(names, policies.CLOUDFORMATION),
            description=f"Permissions of CloudFormation to deploy {self.endpoint_name}",
            policy=self.execution_role.arn.apply(
                lambda arn: deploy_policies.deploy_role(
                    names,
                    environment,
                    arn,
                    rollback_alarms=self._rollback_alarms(),
                    own_alarms=[alarm.name for alarm in own_alarms],
                    scaling=args.endpoint.scaling is not None,
                    versions_of=args.delivery if args.environment is Environment.PRD else None,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        alarms = self._alarms()
        logs = log_group(
            f"{name}-logs",
            names.endpoint_log_group(environment),
            retention_days=args.log_retention_days,
            key_arn=key_arn,
            tags=args.tags,
            parent=self,
        )
        store = PrivateBucket(
            f"{name}-template",
            names.template_bucket(environment),
            names,
            safety=args.protection.buckets,
            tags=args.tags,
            rendered=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        template = aws.s3.BucketObjectv2(
            f"{name}-template-object",
            bucket=store.name,
            key=TEMPLATE_KEY,
            content_type="application/zip",
            tags=dict(args.tags),
            source=pulumi.Output.all(
                self.execution_role.arn, capture_bucket, key_arn, args.notification_topic_arn
            ).apply(lambda made: self._archive(*made)),
            # Once a pipeline can read the template, a deployment with it must succeed.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*store.ready, execution_policy, deploy_policy, logs, *alarms],
            ),
        )
        self.template_bucket = store.name
        self.template_key = template.key
        self._monitor()
        access = self._delivery_access()
        self.outputs: dict[str, pulumi.Input[str]] = {
            "templateBucket": self.template_bucket,
            "templateKey": self.template_key,
            "deployRoleArn": self.deploy_role.arn,
            "executionRoleArn": self.execution_role.arn,
            "stackName": self.stack_name,
            "endpointName": self.endpoint_name,
            "encryptionKeyArn": key_arn if key_arn is not None else "",
            "deliveryRoleArn": access.delivery_role_arn if access else "",
            "invokeRoleArn": access.invoke_role_arn if access else "",
            "imageArchitecture": instance_types.architecture(args.endpoint.instance_type),
        }
        self.target: pulumi.Output[DeployTarget] = DeployTarget.of(self.outputs)
        self.register_outputs({**self.outputs, **instances})

    def _archive(
        self,
        execution_role_arn: str,
        capture_bucket: str | None,
        key_arn: str | None,
        topic_arn: str,
    ) -> pulumi.Archive:
        template = endpoint_template.render(
            self.endpoint_name,
            execution_role_arn,
            self._args.endpoint,
            self._args.tags,
            network=self._args.network,
            by_version=self._args.environment is Environment.PRD,
            capture_bucket=capture_bucket,
            key_arn=key_arn,
            topic_arn=topic_arn,
        )
        return pulumi.AssetArchive({TEMPLATE_FILE: pulumi.StringAsset(json.dumps(template))})

    def _capture_bucket(self) -> PrivateBucket | None:
        args, environment = self._args, self._args.environment.value
        if not args.endpoint.data_capture_percent:
            return None
        return PrivateBucket(
            f"{self._name}-capture",
            self._names.capture_bucket(environment),
            self._names,
            safety=args.protection.buckets,
            tags=args.tags,
            expire_days=CAPTURE_DAYS,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _monitor(self) -> None:
        args = self._args
        if self.capture is None or not args.endpoint.monitored:
            return
        EndpointMonitor(
            f"{self._name}-monitor",
            self._names,
            EndpointMonitorArgs(
                environment=args.environment,
                settings=args.endpoint.monitor,
                captures=self.capture,
                delivery=args.delivery,
                protection=args.protection,
                network=args.network,
                functions=PipelineFunctionArgs(
                    network=args.network,
                    settings=args.functions,
                    key_arn=args.protection.key_arn,
                    log_retention_days=args.log_retention_days,
                    tags=args.tags,
                ),
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _rollback_alarms(self) -> list[str]:
        """Return the alarms that SageMaker reads; none if all traffic moves at once."""
        if self._args.endpoint.update == UpdateSettings():
            return []
        return endpoint_alarms.rollback_alarm_names(self.endpoint_name)

    def _alarms(self) -> list[pulumi.Resource]:
        args = self._args
        made = []
        for alarm in endpoint_alarms.render(self.endpoint_name, args.endpoint):
            if alarm.with_endpoint:
                continue
            made.append(
                aws.cloudwatch.MetricAlarm(
                    f"{self._name}-{alarm.purpose}",
                    name=alarm.name,
                    alarm_description=alarm.description,
                    alarm_actions=[args.notification_topic_arn],
                    ok_actions=[args.notification_topic_arn],
                    tags=dict(args.tags),
                    opts=pulumi.ResourceOptions(parent=self),
                    **alarm.arguments,
                )
            )
        own = [
            self._names.arn("cloudwatch", f"alarm:{alarm.name}")
            for alarm in endpoint_alarms.render(self.endpoint_name, args.endpoint)
            if alarm.with_endpoint
        ]
        body = pulumi.Output.all(*(alarm.arn for alarm in made)).apply(
            lambda arns: endpoint_dashboard.render(
                self.endpoint_name, self._names.region, args.endpoint, [*arns, *own]
            )
        )
        dashboard = aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            dashboard_name=self.endpoint_name,
            dashboard_body=body,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [*made, dashboard]

    def _delivery_access(self) -> DeliveryAccess | None:
        args = self._args
        if args.delivery.account == self._names.account:
            return None
        return DeliveryAccess(
            f"{self._name}-access",
            self._names,
            args.environment.value,
            delivery=args.delivery,
            template=(self.template_bucket, self.template_key),
            stack_name=self.stack_name,
            deploy_role_arn=self.deploy_role.arn,
            key_arn=args.protection.key_arn,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
