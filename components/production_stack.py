"""What the dev stack knows about production: the outputs of production's own stack."""

from collections.abc import Mapping

import pulumi

from components.naming import Names
from components.pipeline_stages import TARGET_OUTPUTS, DeployTarget
from components.settings import DeliverySettings, Encryption, Environment, SafetySettings


def production_target(
    stack: str, names: Names, delivery: DeliverySettings, safety: SafetySettings
) -> pulumi.Output[DeployTarget]:
    """Return where production wants its deployments.

    Args:
        stack: the production stack, ``organization/project/stack``.
        names: this stack's names; the permissions of the pipeline follow from them.
        delivery: says in which account production is to be.
        safety: both stacks must encrypt alike.

    Raises: ValueError when the stack is another model's or another account's, or encrypts
        otherwise (as the output resolves).
    """
    reference = pulumi.StackReference(stack)
    outputs = {key: reference.require_output(key) for key in TARGET_OUTPUTS}

    def checked(target: DeployTarget) -> DeployTarget:
        problem = _problem(target, names, delivery, safety)
        if problem is not None:
            raise ValueError(f"productionStack {stack} {problem}")
        return target

    return DeployTarget.of(_texts(outputs)).apply(checked)


def _problem(
    target: DeployTarget, names: Names, delivery: DeliverySettings, safety: SafetySettings
) -> str | None:
    expected = names.endpoint(Environment.PRD.value)
    if target.endpoint_name != expected:
        return (
            f"deploys endpoint {target.endpoint_name}, this stack expects {expected}: give both "
            "stacks the same modelName"
        )
    encryption = Encryption.KMS if target.encryption_key_arn else Encryption.AES256
    if encryption is not safety.encryption:
        return (
            f"has encryption {encryption}, this stack {safety.encryption}: give both stacks the "
            "same encryption"
        )
    account = target.deploy_role_arn.split(":")[4]
    if account != (delivery.production_account or names.account):
        return (
            f"is in account {account}, this stack expects "
            f"{delivery.production_account or names.account}: set productionAccount to {account}"
        )
    if delivery.production_account and not target.delivery_role_arn:
        return f"lets no other account deliver to it: set its deliveryAccount to {names.account}"
    return None


def _texts(outputs: Mapping[str, pulumi.Output[object]]) -> dict[str, pulumi.Output[str]]:
    return {key: output.apply(str) for key, output in outputs.items()}
