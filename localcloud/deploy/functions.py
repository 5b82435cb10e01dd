"""The provider functions that a program may call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.deploy.types import Aws


class FunctionFailed(Exception):
    """A provider function that could not read; the program may catch it, as on AWS."""


def result_of(aws: Aws, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result of a provider function, or None if there is no such function here.

    Args:
        aws: the account and region.
        token: such as `aws:index/getRegion:getRegion`.
        arguments: the function's arguments, by Pulumi's names.

    Raises:
        FunctionFailed: what it reads does not exist, or nothing answers.
    """
    match token:
        case "aws:index/getCallerIdentity:getCallerIdentity":
            arn = f"arn:aws:iam::{aws.account}:root"
            return {
                "accountId": aws.account,
                "arn": arn,
                "userId": aws.account,
                "id": aws.account,
            }
        case "aws:index/getRegion:getRegion":
            return {"name": aws.region, "region": aws.region, "id": aws.region}
        case "aws:index/getPartition:getPartition":
            return {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"}
        case "aws:cloudformation/getStack:getStack":
            return _stack(aws, str(arguments["name"]))
    return None


def _stack(aws: Aws, name: str) -> dict[str, Any]:
    """Return a CloudFormation stack as Pulumi's AWS provider reads it.

    Source: https://www.pulumi.com/registry/packages/aws/api-docs/cloudformation/getstack/
    """
    client = aws.client("cloudformation")
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        body = client.get_template(StackName=name)["TemplateBody"]
    except (ClientError, BotoCoreError) as error:
        raise FunctionFailed(f"reading the CloudFormation stack {name}: {error}") from None
    return {
        "id": stack["StackId"],
        "name": name,
        "region": aws.region,
        "capabilities": stack.get("Capabilities", []),
        "description": stack.get("Description", ""),
        "disableRollback": stack.get("DisableRollback", False),
        "iamRoleArn": stack.get("RoleARN", ""),
        "notificationArns": stack.get("NotificationARNs", []),
        "outputs": {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
        "parameters": {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
        "tags": {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])},
        "templateBody": body if isinstance(body, str) else json.dumps(body),
        "timeoutInMinutes": stack.get("TimeoutInMinutes", 0),
    }
