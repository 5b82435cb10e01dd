"""EndpointEnvironment: what an account needs before a pipeline can deploy an endpoint to it.

Not the endpoint itself: the delivery pipeline makes and updates that, through CloudFormation,
with the template and the role that are made here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import endpoint_template, policies
from components.naming import TEMPLATE_FILE, TEMPLATE_KEY, Names
from components.pipeline_stages import DeployTarget
from components.private_bucket import PrivateBucket
from components.settings import EndpointSettings, Environment


@dataclass(frozen=True, slots=True)
class EndpointEnvironmentArgs:
    """Which environment, and the instances of its endpoint."""

    environment: Environment
    endpoint: EndpointSettings
    tags: Mapping[str, str]


class EndpointEnvironment(pulumi.ComponentResource):
    """Execution role, deploy role and the rendered template of one environment."""

    def __init__(
        self,
        name: str,
        names: Names,
        args: EndpointEnvironmentArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:EndpointEnvironment", name, None, opts)
        environment = args.environment.value
        self.endpoint_name = names.endpoint(environment)
        self.stack_name = names.cloudformation_stack(environment)
        self._name, self._names, self._tags = name, names, args.tags

        self.execution_role, execution_policy = self._role(
            "execution",
            trust=policies.trust(names, policies.SAGEMAKER),
            description=f"What the containers of {self.endpoint_name} may do",
            policy=policies.execution_role(names, environment),
            environment=environment,
        )
        self.deploy_role, deploy_policy = self._role(
            "deploy",
            trust=policies.trust(names, policies.CLOUDFORMATION),
            description=f"What CloudFormation may do to deploy {self.endpoint_name}",
            policy=self.execution_role.arn.apply(
                lambda arn: policies.deploy_role(
                    names, environment, arn, scaling=args.endpoint.scaling is not None
                )
            ),
            environment=environment,
        )
        store = PrivateBucket(
            f"{name}-template",
            names.template_bucket(environment),
            names,
            tags=args.tags,
            # All in it is rendered from these settings.
            force_destroy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        template = aws.s3.BucketObjectv2(
            f"{name}-template-object",
            bucket=store.name,
            key=TEMPLATE_KEY,
            content_type="application/zip",
            source=self.execution_role.arn.apply(lambda arn: self._archive(args, arn)),
            # A template that can be read is one that can be deployed with.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*store.ready, execution_policy, deploy_policy]
            ),
        )
        self.template_bucket = store.name
        self.template_key = template.key
        self.target: pulumi.Output[DeployTarget] = pulumi.Output.all(
            self.template_bucket, self.template_key, self.deploy_role.arn
        ).apply(lambda v: DeployTarget(v[0], v[1], v[2], self.stack_name, self.endpoint_name))
        self.outputs: dict[str, pulumi.Input[str]] = {
            "templateBucket": self.template_bucket,
            "templateKey": self.template_key,
            "deployRoleArn": self.deploy_role.arn,
            "executionRoleArn": self.execution_role.arn,
            "endpointName": self.endpoint_name,
            "stackName": self.stack_name,
        }
        self.register_outputs(dict(self.outputs))

    def _archive(self, args: EndpointEnvironmentArgs, execution_role_arn: str) -> pulumi.Archive:
        template = endpoint_template.render(
            self.endpoint_name, execution_role_arn, args.endpoint, args.tags
        )
        return pulumi.AssetArchive({TEMPLATE_FILE: pulumi.StringAsset(json.dumps(template))})

    def _role(
        self,
        purpose: str,
        *,
        trust: str,
        description: str,
        policy: pulumi.Input[str],
        environment: str,
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{self._name}-{purpose}-role",
            name=self._names.role(f"{environment}-{purpose}"),
            description=description,
            assume_role_policy=trust,
            tags=dict(self._tags),
            opts=child,
        )
        role_policy = aws.iam.RolePolicy(
            f"{self._name}-{purpose}-policy",
            name="grants",
            role=role.name,
            policy=policy,
            opts=child,
        )
        return role, role_policy
