"""What the dev stack knows about production: the outputs of production's own stack."""

import pulumi

from components.naming import Names
from components.pipeline_stages import DeployTarget
from components.settings import Environment

# Outputs of stack prd, in the order of DeployTarget's fields.
OUTPUTS = ("templateBucket", "templateKey", "deployRoleArn", "stackName", "endpointName")


def production_target(stack: str, names: Names) -> pulumi.Output[DeployTarget]:
    """Return where production wants its deployments.

    Args:
        stack: the production stack, ``organization/project/stack``.
        names: this stack's names; the permissions of the pipeline follow from them.

    Raises: ValueError when the stack is another model's (as the output resolves).
    """
    reference = pulumi.StackReference(stack)

    def target(outputs: list[str]) -> DeployTarget:
        found = DeployTarget(*outputs)
        expected = names.endpoint(Environment.PRD.value)
        if found.endpoint_name != expected:
            raise ValueError(
                f"productionStack {stack} deploys endpoint {found.endpoint_name}, this stack "
                f"expects {expected}: give both stacks the same modelName"
            )
        return found

    return pulumi.Output.all(*(reference.require_output(name) for name in OUTPUTS)).apply(target)
