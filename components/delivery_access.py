"""DeliveryAccess: the roles by which a pipeline in another account delivers to this account.

    pipeline's role, other account ───► delivery role, here: read the template, deploy the stack
    smoke test's role, other account ─► invoke role, here: invoke the endpoint

The roles in the other account may not exist yet, so a condition names them instead of the
principal.
"""

from collections.abc import Mapping

import pulumi

from components import policies
from components.naming import Names
from components.service_role import service_role


class DeliveryAccess(pulumi.ComponentResource):
    """The two roles that the delivery account may assume."""

    def __init__(
        self,
        name: str,
        names: Names,
        environment: str,
        *,
        delivery: Names,
        template: tuple[pulumi.Input[str], pulumi.Input[str]],
        stack_name: str,
        deploy_role_arn: pulumi.Input[str],
        key_arn: pulumi.Input[str] | None,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:DeliveryAccess", name, None, opts)
        grants = pulumi.Output.all(*template, deploy_role_arn, key_arn).apply(
            lambda made: policies.document(
                policies.read_sources(names, [(made[0], made[1])]),
                policies.use_key(names, made[3], "s3", write=False),
                policies.use_artifact_store(delivery, delivery.arn("kms", "key/*")),
                policies.deploy_stacks(names, [stack_name], [made[2]]),
            )
        )
        delivery_role, delivery_policy = service_role(
            f"{name}-delivery",
            names,
            f"{environment}-delivery",
            trust=policies.trust_role(delivery, "pipeline"),
            description=f"Permissions of the pipeline of account {delivery.account} here",
            policy=grants,
            tags=tags,
            parent=self,
        )
        invoke_role, _ = service_role(
            f"{name}-invoke",
            names,
            f"{environment}-invoke",
            trust=policies.trust_role(delivery, "smoke-test"),
            description=f"Lets the smoke test of account {delivery.account} invoke the endpoint",
            policy=policies.document(
                policies.invoke_endpoints(names, [names.endpoint(environment)])
            ),
            tags=tags,
            parent=self,
        )
        self.delivery_role_arn = pulumi.Output.all(delivery_role.arn, delivery_policy.id).apply(
            lambda made: str(made[0])
        )
        self.invoke_role_arn = invoke_role.arn
        self.register_outputs(
            {"delivery_role_arn": self.delivery_role_arn, "invoke_role_arn": self.invoke_role_arn}
        )
