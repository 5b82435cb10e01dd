"""The dev stack's reference to production: the outputs of the production stack."""

from collections.abc import Mapping

import pulumi

from components.naming import Names
from components.pipeline_stages import TARGET_OUTPUTS, DeployTarget
from components.settings import DeliverySettings, Encryption, Environment, SafetySettings


def production_target(
    stack: str, names: Names, delivery: DeliverySettings, safety: SafetySettings
) -> pulumi.Output[DeployTarget]:
    """Return the target of production's deployments.

    Args:
        stack: the production stack, ``organization/project/stack``.
        names: this stack's names, from which the pipeline's permissions are derived.
        delivery: names production's account.
        safety: this stack's encryption, which production must have, too.

    Raises: ValueError, when the output resolves, if the stack belongs to another model or another
        account, or has another encryption.
    """
    reference = pulumi.StackReference(stack)
    outputs = {key: reference.require_output(key) for key in TARGET_OUTPUTS}

    def checked(target: DeployTarget) -> DeployTarget:
        problem = _problem(target, names, delivery, safety)
        if problem is not None:
            raise ValueError(f"productionStack {stack} {problem}")
        return target

    return DeployTarget.of(_strings(outputs)).apply(checked)


def _problem(
    target: DeployTarget, names: Names, delivery: DeliverySettings, safety: SafetySettings
) -> str | None:
    expected = names.endpoint(Environment.PRD.value)
    if target.endpoint_name != expected:
        return (
            f"deploys endpoint {target.endpoint_name}, but this stack expects {expected}: set the "
            "same modelName in both stacks"
        )
    encryption = Encryption.KMS if target.encryption_key_arn else Encryption.AES256
    if encryption is not safety.encryption:
        return (
            f"has encryption {encryption}, but this stack has {safety.encryption}: set the same "
            "encryption in both stacks"
        )
    account = target.deploy_role_arn.split(":")[4]
    if account != (delivery.production_account or names.account):
        return (
            f"is in account {account}, but this stack expects "
            f"{delivery.production_account or names.account}: set productionAccount to {account}"
        )
    path = target.deploy_role_arn.split(":")[5].removeprefix("role").rpartition("/")[0] + "/"
    if path != names.role_path:
        return (
            f"has rolePath {path}, but this stack has {names.role_path}: set the same rolePath in "
            "both stacks"
        )
    if delivery.production_account and not target.delivery_role_arn:
        return (
            "does not allow another account to deliver to it: set its deliveryAccount to "
            f"{names.account}"
        )
    return None


def _strings(outputs: Mapping[str, pulumi.Output[object]]) -> dict[str, pulumi.Output[str]]:
    return {key: output.apply(str) for key, output in outputs.items()}
