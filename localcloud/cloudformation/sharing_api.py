"""The operations of CloudFormation on exports, protection, stack policies and rollbacks.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListExports.html
Differs: a cancelled update ends after the current resource.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.cloudformation.api import CloudFormationApi
from localcloud.cloudformation.exports import exports_of, importers
from localcloud.cloudformation.request_validation import (
    check_members,
    check_role,
    invalid,
    paged,
)
from localcloud.cloudformation.template_source import stack_policy
from localcloud.service_context import ServiceContext


class SharingApi:
    """Exports and imports, termination protection, stack policies, cancelled updates."""

    def __init__(self, context: ServiceContext, stacks: CloudFormationApi) -> None:
        self._context = context
        self._stacks = stacks

    @operation("ListExports")
    def list_exports(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = [
            {"ExportingStackId": stack.id, "Name": name, "Value": value}
            for stack in self._stacks.engine.of(scope)
            for name, value in exports_of(stack.outputs).items()
        ]
        found.sort(key=lambda export: export["Name"])
        shown, token = paged(found, lambda export: export["Name"], params)
        return {"Exports": shown, "NextToken": token}

    @operation("ListImports")
    def list_imports(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, stacks = params["ExportName"], self._stacks.engine.of(scope)
        users = importers(stacks, name)
        if not users:
            known = any(name in exports_of(stack.outputs) for stack in stacks)
            raise invalid(
                f"Export '{name}' is not imported by any stack."
                if known
                else f"Export '{name}' does not exist."
            )
        shown, token = paged(users, lambda user: user, params)
        return {"Imports": shown, "NextToken": token}

    @operation("UpdateTerminationProtection")
    def update_termination_protection(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stacks.stack(scope, params["StackName"])
        stack.protected = params["EnableTerminationProtection"]
        self._stacks.stacks.put(stack.id, stack)
        return {"StackId": stack.id}

    @operation("SetStackPolicy")
    async def set_stack_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        policy = await stack_policy(self._context, scope, params)
        if policy is None:
            raise invalid("Either StackPolicyBody or StackPolicyURL must be given.")
        stack = self._stacks.stack(scope, params["StackName"])
        stack.policy = policy
        self._stacks.stacks.put(stack.id, stack)
        return {}

    @operation("GetStackPolicy")
    def get_stack_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return {"StackPolicyBody": self._stacks.stack(scope, params["StackName"]).policy}

    @operation("CancelUpdateStack")
    def cancel_update_stack(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        stack = self._stacks.stack(scope, params["StackName"])
        if stack.status != "UPDATE_IN_PROGRESS":
            raise invalid(
                f"CancelUpdateStack cannot be called from current stack status {stack.status}"
            )
        stack.request_token = params.get("ClientRequestToken") or stack.request_token
        self._stacks.engine.cancel(stack)
        return {}

    @operation("ContinueUpdateRollback")
    async def continue_update_rollback(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        check_members("ContinueUpdateRollback", params)
        stack = self._stacks.stack(scope, params["StackName"])
        await check_role(self._context, params.get("RoleARN") or stack.role_arn)
        stack = self._stacks.stack(scope, stack.id)  # again, because reading a role takes time
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise invalid(
                f"Stack:{stack.id} is in {stack.status} state and its rollback cannot be continued."
            )
        skipped = set(params.get("ResourcesToSkip") or [])
        unknown = sorted(skipped - stack.unrolled.keys() - {r.logical_id for r in stack.leftovers})
        if unknown:
            raise invalid(
                f"ResourcesToSkip: [{', '.join(unknown)}] did not fail to be rolled back."
            )
        stack.request_token = params.get("ClientRequestToken")
        stack.role_arn = params.get("RoleARN") or stack.role_arn
        self._stacks.engine.continue_rollback(stack, skipped)
        return {}
