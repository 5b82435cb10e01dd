"""The CloudFormation part of `localcloud down`."""

from __future__ import annotations

import time
from typing import Any

from localcloud.cli.console import CommandError, client, out, styled


def deployed_stack(url: str, stack: str) -> tuple[str, str] | None:
    """Return the CloudFormation stack that the pipeline deployed for a stack, and its account.

    Return None if the pipeline has deployed none.
    """
    from localcloud.deploy.stacks import saved

    state = saved(stack, url)
    name = str(state.outputs.get("stackName"))
    stacks = client("cloudformation", url, state.account).describe_stacks()["Stacks"]
    return (name, state.account) if name in [found["StackName"] for found in stacks] else None


def delete_deployed(cloudformation: Any, name: str, poll_seconds: float = 0.2) -> None:
    """Delete a CloudFormation stack and wait until it is gone.

    Args:
        cloudformation: a client of boto3.
        name: the name of the stack.
        poll_seconds: seconds between two looks at its status.

    Raises:
        CommandError: it could not be deleted.
    """
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    while True:
        found = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
        if found["StackStatus"] == "DELETE_COMPLETE":
            out.print(f"  {styled('deleted')} CloudFormation stack [bold]{name}[/bold]")
            return
        if found["StackStatus"] != "DELETE_IN_PROGRESS":
            reason = found.get("StackStatusReason", found["StackStatus"])
            raise CommandError(f"the CloudFormation stack {name} could not be deleted: {reason}")
        time.sleep(poll_seconds)
