"""The CloudFormation deploy action, in each of its modes (ActionMode).

    CREATE_UPDATE, REPLACE_ON_FAILURE        creates or updates the stack
    CHANGE_SET_REPLACE, CHANGE_SET_EXECUTE   the same in two actions, with a review in between
    DELETE_ONLY                              deletes the stack

A change set without changes is not a failure: both actions succeed without an effect.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
"""

from __future__ import annotations

import json
from typing import Any

from localcloud.codepipeline.actions.base import (
    ActionContext,
    ActionFailed,
    ActionOutcome,
    file_in_zip,
    zipped,
)
from localcloud.codepipeline.variables import VariableError, parameter_overrides

MODES = (
    "CREATE_UPDATE",
    "REPLACE_ON_FAILURE",
    "CHANGE_SET_REPLACE",
    "CHANGE_SET_EXECUTE",
    "DELETE_ONLY",
)
_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_POLL_CLOCK_SECONDS = 6.0


async def deploy_stack(context: ActionContext) -> ActionOutcome:
    """Deploy the template and parameters of the artifacts to a stack.

    With an OutputFileName, the stack's outputs become a JSON file in the output artifact.

    Raises:
        ActionFailed: the configuration is not valid, or the deployment failed.
    """
    outcome = await _deploy(context)
    file_name = context.configuration.get("OutputFileName")
    for output in context.declaration.get("outputArtifacts", []) if file_name else ():
        location = context.output_location(output["name"])
        content = zipped(str(file_name), json.dumps(outcome.variables).encode())
        try:
            await context.api(
                "s3",
                "put_object",
                Bucket=location.bucket,
                Key=location.key,
                Body=content,
                ContentType="application/zip",
            )
        except Exception as error:
            raise ActionFailed("PermissionError", f"Amazon S3 refused: {error}") from error
        outcome.artifacts[output["name"]] = location
    return outcome


async def _deploy(context: ActionContext) -> ActionOutcome:
    mode, name = context.require("ActionMode"), context.require("StackName")
    if mode not in MODES:
        raise ActionFailed(
            "ConfigurationError", f"ActionMode is {mode}; it must be one of: {', '.join(MODES)}"
        )
    if mode == "CHANGE_SET_REPLACE":
        return await _replace_change_set(context, name)
    if mode == "CHANGE_SET_EXECUTE":
        return await _execute_change_set(context, name)
    stack = await _describe(context, name)
    if mode == "DELETE_ONLY":
        if stack is not None:
            await _call(context, "delete_stack", StackName=stack["StackId"])
            await _wait(context, stack["StackId"], "DELETE_COMPLETE")
        return ActionOutcome(summary=f"Stack {name} was deleted.")
    if context.run.external_id is None:
        request = await _request(context, name)
        if (
            mode == "REPLACE_ON_FAILURE"
            and stack
            and stack["StackStatus"].endswith(("FAILED", "ROLLBACK_COMPLETE"))
        ):
            await _call(context, "delete_stack", StackName=stack["StackId"])
            await _wait(context, stack["StackId"], "DELETE_COMPLETE")
            stack = None
        if stack is None:
            answer = await _call(context, "create_stack", **request)
        else:
            try:
                answer = await _call(context, "update_stack", **request)
            except ActionFailed as error:
                if "No updates are to be performed" not in error.message:
                    raise
                return _outcome(stack)
        context.run.external_id = answer["StackId"]
        context.save()
    return _outcome(await _wait(context, context.run.external_id, *_DONE))


async def _replace_change_set(context: ActionContext, name: str) -> ActionOutcome:
    change_set = context.require("ChangeSetName")
    if context.run.external_id is None:
        request = await _request(context, name)
        stack = await _describe(context, name)
        if stack is not None:  # deleting a change set that does not exist is no error
            await _call(context, "delete_change_set", StackName=name, ChangeSetName=change_set)
        new = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        answer = await _call(
            context,
            "create_change_set",
            ChangeSetName=change_set,
            ChangeSetType="CREATE" if new else "UPDATE",
            **request,
        )
        context.run.external_id = answer["Id"]
        context.save()
    while True:
        wanted = {"StackName": name, "ChangeSetName": context.run.external_id}
        made = await _call(context, "describe_change_set", **wanted)
        if made["Status"] == "CREATE_COMPLETE":
            return ActionOutcome(f"Change set {change_set} was created: {_count(made)}.")
        if _is_empty(made):
            return ActionOutcome(f"Change set {change_set}: {made['StatusReason']}")
        if made["Status"] == "FAILED":
            raise ActionFailed(
                "JobFailed", f"The change set {change_set} failed: {made.get('StatusReason')}"
            )
        await context.services.clock.sleep(_POLL_CLOCK_SECONDS)


async def _execute_change_set(context: ActionContext, name: str) -> ActionOutcome:
    if context.run.external_id is None:
        wanted = {"StackName": name, "ChangeSetName": context.require("ChangeSetName")}
        made = await _call(context, "describe_change_set", **wanted)
        if _is_empty(made):
            summary = f"Change set {made['ChangeSetName']}: {made['StatusReason']}"
            stack = await _describe(context, name)
            return ActionOutcome(summary, _outcome(stack).variables if stack else {})
        await _call(context, "execute_change_set", **wanted)
        context.run.external_id = made["StackId"]
        context.save()
    return _outcome(await _wait(context, context.run.external_id, *_DONE))


def _is_empty(change_set: dict[str, Any]) -> bool:
    reason = change_set.get("StatusReason") or ""
    return change_set["Status"] == "FAILED" and "didn't contain changes" in reason


def _count(change_set: dict[str, Any]) -> str:
    actions = [change["ResourceChange"]["Action"] for change in change_set["Changes"]]
    counts = [f"{actions.count(a)} {a}" for a in ("Add", "Modify", "Remove") if a in actions]
    return ", ".join(counts) or "no resource changes"


async def _request(context: ActionContext, name: str) -> dict[str, Any]:
    artifact, _, file_name = context.require("TemplatePath").partition("::")
    template = await context.read_file(artifact, file_name)
    inputs = {
        entry["name"]: await context.read_artifact(entry["name"])
        for entry in context.declaration.get("inputArtifacts", [])
    }
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}

    def read(name: str, path: str) -> bytes:
        if name not in inputs:
            raise VariableError(f"{name} is not an input artifact of this action")
        return file_in_zip(inputs[name], name, path)

    try:
        if context.configuration.get("TemplateConfiguration"):
            source, _, path = context.configuration["TemplateConfiguration"].partition("::")
            document = json.loads(read(source, path))
            parameters |= document.get("Parameters", {})
            tags |= document.get("Tags", {})
        if context.configuration.get("ParameterOverrides"):
            text = context.configuration["ParameterOverrides"]
            parameters |= parameter_overrides(text, context.execution.artifacts, read)
    except ValueError as error:
        raise ActionFailed("ConfigurationError", str(error)) from None
    request: dict[str, Any] = {
        "StackName": name,
        "TemplateBody": template.decode("utf-8", "replace"),
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        "Tags": [{"Key": k, "Value": v} for k, v in tags.items()],
    }
    if context.configuration.get("RoleArn"):
        request["RoleARN"] = context.configuration["RoleArn"]
    if context.configuration.get("Capabilities"):
        request["Capabilities"] = context.configuration["Capabilities"].split(",")
    return request


async def _call(context: ActionContext, operation: str, **parameters: Any) -> dict[str, Any]:
    try:
        return await context.api("cloudformation", operation, **parameters)
    except Exception as error:
        raise ActionFailed("JobFailed", str(error)) from error


async def _describe(context: ActionContext, name: str) -> dict[str, Any] | None:
    try:
        answer = await _call(context, "describe_stacks", StackName=name)
    except ActionFailed:
        return None
    stack: dict[str, Any] = answer["Stacks"][0]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


async def _wait(context: ActionContext, stack_id: str, *wanted: str) -> dict[str, Any]:
    while True:
        answer = await _call(context, "describe_stacks", StackName=stack_id)
        stack: dict[str, Any] = answer["Stacks"][0]
        status = stack["StackStatus"]
        if status in wanted:
            return stack
        if not status.endswith("IN_PROGRESS"):
            raise ActionFailed(
                "JobFailed",
                f"The stack {stack['StackName']} ended as {status}: "
                f"{await _reasons(context, stack_id)}",
            )
        await context.services.clock.sleep(_POLL_CLOCK_SECONDS)


async def _reasons(context: ActionContext, stack_id: str) -> str:
    answer = await _call(context, "describe_stack_events", StackName=stack_id)
    reasons = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in answer["StackEvents"]
        if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
    ]
    return "; ".join(reversed(reasons[:5])) or "the stack's events give no reason"


def _outcome(stack: dict[str, Any]) -> ActionOutcome:
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
    return ActionOutcome(f"Stack {stack['StackName']}: {stack['StackStatus']}", outputs)
