"""Aliases, and the policies of functions, versions and aliases.

They run in moto's thread on moto's memory, and are stored like moto's own.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from localcloud.aws.errors import AwsError, ResourceNotFound
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.lambda_ import records
from localcloud.lambda_.configuration import invalid
from localcloud.lambda_.functions_api import check_revision, listed
from localcloud.lambda_.names import LATEST, FunctionName, parse
from localcloud.moto_backend.dispatcher import backend

_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


class AliasesApi:
    """The operations on aliases."""

    @operation("CreateAlias")
    def create_alias(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        from moto.awslambda.models import LambdaAlias

        name = _function(scope, params)
        lambdas = backend("lambda", scope)
        aliases = records.aliases_of(lambdas, name)
        arn = f"{name.arn}:{params['Name']}"
        if params["Name"] in aliases:
            raise AwsError("ResourceConflictException", f"Alias already exists: {arn}", 409)
        routing = _routing(params)
        _check_versions(lambdas, name, params["FunctionVersion"], routing)
        alias = LambdaAlias(
            account_id=scope.account,
            region=scope.region,
            name=params["Name"],
            function_name=name.name,
            function_version=params["FunctionVersion"],
            description=params.get("Description") or "",
            routing_config=routing,  # type: ignore[arg-type, unused-ignore]
        )
        aliases[params["Name"]] = alias
        return _shown(alias)

    @operation("UpdateAlias")
    def update_alias(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = _function(scope, params)
        lambdas = backend("lambda", scope)
        alias = _alias(lambdas, name, params["Name"], "Alias not found: ")
        check_revision(params, alias.revision_id)
        version = params.get("FunctionVersion") or alias.function_version
        given = params.get("RoutingConfig") is not None
        routing = _routing(params) if given else (alias.routing_config or {})
        _check_versions(lambdas, name, version, routing)
        alias.function_version, alias.routing_config = version, routing
        if params.get("Description") is not None:
            alias.description = params["Description"]
        alias.revision_id = str(uuid.uuid4())
        return _shown(alias)

    @operation("GetAlias")
    def get_alias(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = _function(scope, params)
        return _shown(
            _alias(backend("lambda", scope), name, params["Name"], "Cannot find alias arn: ")
        )

    @operation("DeleteAlias")
    def delete_alias(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = _function(scope, params)
        records.aliases_of(backend("lambda", scope), name).pop(params["Name"], None)
        return {}

    @operation("ListAliases")
    def list_aliases(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        aliases = records.aliases_of(backend("lambda", scope), _function(scope, params))
        wanted = params.get("FunctionVersion")
        found = [
            _shown(aliases[name])
            for name in sorted(aliases)
            if not wanted or wanted == aliases[name].function_version
        ]
        return listed("Aliases", found, "Name", params)


class PermissionsApi:
    """The operations on the policies of functions."""

    @operation("AddPermission")
    def add_permission(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, policy = _policy(scope, params)
        if name.qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        check_revision(params, policy.revision)
        sid = params["StatementId"]
        if any(statement.get("Sid") == sid for statement in _statements(policy, name)):
            raise AwsError(
                "ResourceConflictException",
                f"The statement id ({sid}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement.",
                409,
            )
        statement = {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": _principal(params["Principal"]),
            "Action": params["Action"],
            "Resource": name.qualified_arn,
        }
        conditions = _conditions(params)
        if conditions:
            statement["Condition"] = conditions
        policy.statements.append(statement)
        policy.revision = str(uuid.uuid4())
        return {"Statement": json.dumps(statement)}

    @operation("RemovePermission")
    def remove_permission(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, policy = _policy(scope, params)
        check_revision(params, policy.revision)
        for statement in _statements(policy, name):
            if statement.get("Sid") == params["StatementId"]:
                policy.statements.remove(statement)
                policy.revision = str(uuid.uuid4())
                return {}
        raise _missing(f"Statement {params['StatementId']} is not found in resource policy.")

    @operation("GetPolicy")
    def get_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, policy = _policy(scope, params)
        statements = _statements(policy, name)
        if not statements:
            raise _missing("The resource you requested does not exist.")
        document = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {"Policy": json.dumps(document), "RevisionId": policy.revision}


def _function(scope: Scope, params: dict[str, Any]) -> FunctionName:
    name = parse(scope, params["FunctionName"])
    if name.scope != scope:
        raise name.not_found()
    return FunctionName(name.scope, name.name)


def _missing(message: str) -> AwsError:
    error = ResourceNotFound(message)
    error.status = 404
    return error


def _alias(lambdas: Any, name: FunctionName, alias: str, message: str) -> Any:
    found = records.aliases_of(lambdas, name).get(alias)
    if found is None:
        raise _missing(f"{message}{name.arn}:{alias}")
    return found


def _routing(params: dict[str, Any]) -> dict[str, Any]:
    """Return a routing configuration; an empty one if it has no weights."""
    weights = (params.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {"AdditionalVersionWeights": dict(weights)} if weights else {}


def _check_versions(
    lambdas: Any, name: FunctionName, version: str, routing: dict[str, Any]
) -> None:
    """Refuse an alias of versions that do not exist, or that it cannot have together."""
    records.version_of(lambdas, name, version)
    others = list(routing.get("AdditionalVersionWeights") or {})
    if len(others) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if others and version == LATEST:
        raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    for other in others:
        if other == version:
            raise invalid(
                f"Invalid function version {other}. Function version {other} is already included "
                "in routing configuration."
            )
        records.version_of(lambdas, name, other)


def _shown(alias: Any) -> dict[str, Any]:
    weights = records.weights_of(alias)
    return {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": str(alias.function_version),
        "Description": alias.description or "",
        "RevisionId": alias.revision_id,
        **({"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}),
    }


def _policy(scope: Scope, params: dict[str, Any]) -> tuple[FunctionName, Any]:
    """Return what a policy is of, and moto's policy, which all versions share."""
    name = parse(scope, params["FunctionName"], params.get("Qualifier"))
    if name.scope != scope:
        raise name.not_found()
    lambdas = backend("lambda", scope)
    records.resolved(lambdas, name)
    return name, records.group_of(lambdas, name)["latest"].policy


def _statements(policy: Any, name: FunctionName) -> list[dict[str, Any]]:
    """Return the statements about a function, or about one version or alias of it."""
    arn = name.arn if name.qualifier == LATEST else name.qualified_arn
    return [statement for statement in policy.statements if statement.get("Resource") == arn]


def _principal(text: str) -> Any:
    if text == "*":
        return text
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    return {"AWS": text} if text.startswith("arn:") else {"Service": text}


def _conditions(params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for member, operator, key in (
        ("SourceArn", "ArnLike", "AWS:SourceArn"),
        ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
        ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
        ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
        ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ):
        if params.get(member):
            found.setdefault(operator, {})[key] = params[member]
    if params.get("InvokedViaFunctionUrl") is not None:
        value = str(params["InvokedViaFunctionUrl"]).lower()
        found["Bool"] = {"lambda:InvokedViaFunctionUrl": value}
    return found
