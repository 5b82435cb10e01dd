"""The dev stack's reference to production: the outputs of the production stack."""

from collections.abc import Mapping

import pulumi
from pulumi.runtime.sync_await import _sync_await  # as Pulumi's own functions wait, `invoke` too

from components.instance_types import ARM64
from components.naming import Names
from components.pipeline_stages import TARGET_OUTPUTS, DeployTarget
from components.settings import DeliverySettings, Encryption, Environment, SafetySettings


def production_target(
    stack: str, names: Names, delivery: DeliverySettings, safety: SafetySettings
) -> pulumi.Output[DeployTarget]:
    """Return the target of production's deployments, after it was read and checked.

    It waits for the outputs, so that nothing is registered with a production that does not fit.

    Args:
        stack: the production stack, ``organization/project/stack``.
        names: this stack's names, from which the pipeline's permissions are derived.
        delivery: names production's account.
        safety: this stack's encryption, which production must have, too.

    Raises: pulumi.RunError if the stack was deployed by an older program, belongs to another model
        or another account, or has another encryption, or needs an image that is not built.
    """
    reference = pulumi.StackReference(stack)
    values = _sync_await(_read(reference))
    if values is not None:
        missing = [key for key in TARGET_OUTPUTS if key not in values]
        problem = (
            f"has no output {', '.join(missing)}: deploy it first, by this program"
            if missing
            else _problem(
                DeployTarget(**{field: values[key] for key, field in TARGET_OUTPUTS.items()}),
                *(names, delivery, safety),
            )
        )
        if problem is not None:
            raise pulumi.RunError(f"productionStack {stack} {problem}")
    return DeployTarget.of({key: reference.require_output(key) for key in TARGET_OUTPUTS})


async def _read(reference: pulumi.StackReference) -> Mapping[str, str] | None:
    """Return the outputs that there are; None if they are not known in this preview."""
    if not await reference.outputs.is_known():
        return None
    outputs = await reference.outputs.future()
    return {key: str(value) for key, value in (outputs or {}).items()}


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
    if target.image_architecture == ARM64 and not delivery.arm64_image:
        return (
            "has its endpoint on an Arm type, and no image is built for arm64: set arm64Image to "
            "true in this stack"
        )
    if delivery.production_account and not target.delivery_role_arn:
        return (
            "does not allow another account to deliver to it: set its deliveryAccount to "
            f"{names.account}"
        )
    return None
