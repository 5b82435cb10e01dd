"""The permissions that operations on Lambda's functions, versions and aliases require. Pure.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
"""

from __future__ import annotations

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.iam.permission import Parameters, Permission, Rule
from localcloud.lambda_.names import FunctionName, parse

_PRINCIPAL = "lambda.amazonaws.com"
# Operations on what a qualifier names, and the action of each that has another name.
_QUALIFIED = (
    "AddPermission",
    "DeleteFunction",
    "DeleteFunctionEventInvokeConfig",
    "GetFunction",
    "GetFunctionConfiguration",
    "GetFunctionEventInvokeConfig",
    "GetPolicy",
    "Invoke",
    "PutFunctionEventInvokeConfig",
    "RemovePermission",
    "UpdateFunctionEventInvokeConfig",
)
_WHOLE = (
    "CreateAlias",
    "CreateFunction",
    "DeleteAlias",
    "GetAlias",
    "InvokeAsync",
    "ListAliases",
    "ListFunctionEventInvokeConfigs",
    "ListVersionsByFunction",
    "PublishVersion",
    "UpdateAlias",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
)
_ACTIONS = {"Invoke": "InvokeFunction"}


def _rule(operation: str) -> Rule:
    action = f"lambda:{_ACTIONS.get(operation, operation)}"

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        name = _named(scope, parameters)
        if name is None:
            return [Permission(action, scope.arn("lambda", "function:*"))]
        arn = name.qualified_arn if operation in _QUALIFIED else name.arn
        found = [Permission(action, arn)]
        role = parameters.get("Role")
        if role and operation in ("CreateFunction", "UpdateFunctionConfiguration"):
            passed = {"iam:PassedToService": (_PRINCIPAL,)}
            found.append(Permission("iam:PassRole", role, passed))
        return found

    return rule


def _named(scope: Scope, parameters: Parameters) -> FunctionName | None:
    try:
        return parse(scope, str(parameters.get("FunctionName")), parameters.get("Qualifier"))
    except AwsError:
        return None  # it is refused for that


FUNCTIONS: dict[str, Rule] = {
    "lambda:ListFunctions": lambda scope, parameters: [Permission("lambda:ListFunctions", "*")],
    **{f"lambda:{operation}": _rule(operation) for operation in (*_QUALIFIED, *_WHOLE)},
}
