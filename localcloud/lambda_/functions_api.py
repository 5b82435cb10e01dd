"""Functions and their versions: the operations that moto lacks, or carries out in another way.

They run in moto's thread on moto's memory, and are stored like moto's own. moto still makes a new
function and reads its code.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
Differs: a function is Pending, and an update InProgress, in the answer of the call that causes it;
whoever asks next finds it Active or Successful, because nothing has to be prepared.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.lambda_ import records
from localcloud.lambda_.configuration import check, check_name, invalid
from localcloud.lambda_.names import LATEST, FunctionName, parse
from localcloud.moto_backend.dispatcher import backend

# AWS gives at most fifty, however many are asked for.
# Source: https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
_PAGE = 50


class FunctionsApi:
    """The operations on functions and versions.

    Args:
        now: returns the AWS time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    @operation("CreateFunction")
    def create_function(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = parse(scope, params["FunctionName"])
        if name.qualifier:
            raise invalid("FunctionName of a new function must not have a qualifier.")
        _check_own(scope, name)
        check_name(name.name)
        check(params, creation=True)
        lambdas = backend("lambda", scope)
        if name.name in lambdas._lambdas._functions:
            raise AwsError("ResourceConflictException", f"Function already exist: {name.name}", 409)
        code = params["Code"]
        if code.get("ImageUri") or not (code.get("ZipFile") or code.get("S3Key")):
            raise invalid("Please provide a source for function code.")
        spec = {
            **params,
            "FunctionName": name.name,
            "Publish": False,
            "Code": _code_of(scope, code),
        }
        _made(lambda: lambdas.create_function(spec))
        group = records.group_of(lambdas, name)
        about = records.kept(group["latest"])
        about |= {member: params[member] for member in records.KEPT if params.get(member)}
        records.changed(group["latest"], self._now())
        if params.get("Publish"):
            return self._published(group, name, params.get("Description") or "", _CREATING)
        return records.configuration(group["latest"], name) | _CREATING

    @operation("UpdateFunctionCode")
    def update_function_code(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, group, function = self._changing(scope, params)
        if params.get("PublishTo"):
            raise invalid("The local cloud does not support PublishTo of a function.")
        if params.get("ImageUri"):
            raise invalid("The local cloud does not run container images; give a zip archive.")
        if not (params.get("ZipFile") or params.get("S3Key")):
            raise invalid("Please provide a source for function code.")
        spec = _code_of(scope, params)
        if params.get("DryRun"):
            tried = _copy_of(function)
            _made(lambda: tried.update_function_code(dict(spec)))
            return records.configuration(tried, name)
        _made(lambda: function.update_function_code(spec))
        if params.get("Architectures"):
            function.architectures = params["Architectures"]
        records.changed(function, self._now())
        if params.get("Publish"):
            return self._published(group, name, "", _UPDATING)
        return records.configuration(function, name) | _UPDATING

    @operation("UpdateFunctionConfiguration")
    def update_function_configuration(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, _, function = self._changing(scope, params)
        check(params, creation=False)
        changes = {k: v for k, v in params.items() if k not in ("FunctionName", "RevisionId")}
        if "Environment" in changes:
            changes["Environment"] = {"Variables": changes["Environment"].get("Variables") or {}}
        # Before anything is changed: a layer that does not exist.
        _made(lambda: function._get_layers_data(changes.get("Layers") or []))
        _made(lambda: function.update_configuration(changes))
        if changes.get("EphemeralStorage"):
            function.ephemeral_storage = changes["EphemeralStorage"]["Size"]
        if changes.get("TracingConfig"):
            function.tracing_config = changes["TracingConfig"]
        about = records.kept(function)
        about |= {member: changes[member] for member in records.KEPT if member in changes}
        records.changed(function, self._now())
        return records.configuration(function, name) | _UPDATING

    @operation("GetFunction")
    def get_function(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, function = _asked(scope, params)
        answer = dict(function.get_code())
        answer["Configuration"] = records.configuration(function, name)
        return answer

    @operation("GetFunctionConfiguration")
    def get_function_configuration(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, function = _asked(scope, params)
        return records.configuration(function, name)

    @operation("DeleteFunction")
    def delete_function(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = _named(scope, params)
        lambdas = backend("lambda", scope)
        group, aliases = records.group_of(lambdas, name), records.aliases_of(lambdas, name)
        if not name.qualifier:
            del lambdas._lambdas._functions[name.name]
            lambdas._lambdas._arns.pop(name.arn, None)
            lambdas._lambdas._aliases.pop(name.arn, None)
            return {}
        if name.qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if name.qualifier in aliases:
            raise invalid("Deletion of aliases is not currently supported.")
        version = records.version_of(lambdas, name, name.qualifier)
        users = [
            alias.name
            for alias in aliases.values()
            if name.qualifier in (alias.function_version, *records.weights_of(alias))
        ]
        if users:
            raise AwsError(
                "ResourceConflictException",
                "Unable to delete version because the following aliases reference it: "
                f"[{', '.join(users)}]",
                409,
            )
        group["versions"].remove(version)
        return {}

    @operation("PublishVersion")
    def publish_version(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, group, function = self._changing(scope, params)
        if params.get("PublishTo"):
            raise invalid("The local cloud does not support PublishTo of a function.")
        wanted = params.get("CodeSha256")
        if wanted and wanted != function.code_sha_256:
            raise invalid(
                f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                f"({function.code_sha_256}). Please try again with the CodeSHA256 in $LATEST."
            )
        return self._published(group, name, params.get("Description") or "", _CREATING)

    @operation("ListVersionsByFunction")
    def list_versions_by_function(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = _named(scope, params)
        group = records.group_of(backend("lambda", scope), name)
        return listed("Versions", _with_versions(scope, group), "Version", params)

    @operation("ListFunctions")
    def list_functions(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for group in records.groups(backend("lambda", scope)):
            latest = group["latest"]
            if params.get("FunctionVersion") == "ALL":
                found += _with_versions(scope, group)
            else:
                name = FunctionName(scope, latest.function_name)
                found.append(records.configuration(latest, name))
        return listed("Functions", found, "FunctionArn", params)

    def _changing(
        self, scope: Scope, params: dict[str, Any]
    ) -> tuple[FunctionName, dict[str, Any], Any]:
        """Return the name, the versions and the `$LATEST` of a function that is to be changed."""
        name = _named(scope, params)
        if name.qualifier not in ("", LATEST):
            raise invalid("Only $LATEST of a function can be changed; leave out the qualifier.")
        name = FunctionName(scope, name.name)
        group = records.group_of(backend("lambda", scope), name)
        check_revision(params, records.kept(group["latest"])["RevisionId"])
        return name, group, group["latest"]

    def _published(
        self, group: dict[str, Any], name: FunctionName, description: str, status: dict[str, Any]
    ) -> dict[str, Any]:
        version = records.publish(group, description, self._now())
        qualified = FunctionName(name.scope, name.name, str(version.version))
        return records.configuration(version, qualified) | status


_CREATING = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
    "LastUpdateStatus": "Successful",
}
_UPDATING = {
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}


def check_revision(params: dict[str, Any], current: str) -> None:
    """Refuse a change of something that has changed since the caller read it."""
    if params.get("RevisionId") and params["RevisionId"] != current:
        raise AwsError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
            412,
        )


def listed(
    member: str, entries: Sequence[dict[str, Any]], key: str, params: dict[str, Any]
) -> dict[str, Any]:
    """Return a page of a list with its NextMarker."""
    given, marker = page(
        entries,
        lambda entry: str(entry[key]),
        params.get("Marker") or None,
        min(int(params.get("MaxItems") or _PAGE), _PAGE),
        "InvalidParameterValueException",
    )
    return {member: given, **({"NextMarker": marker} if marker else {})}


def _named(scope: Scope, params: dict[str, Any]) -> FunctionName:
    name = parse(scope, params["FunctionName"], params.get("Qualifier"))
    _check_own(scope, name)
    return name


def _check_own(scope: Scope, name: FunctionName) -> None:
    """Refuse a function of another account or region, which this call cannot reach."""
    if name.scope != scope:
        raise name.not_found()


def _asked(scope: Scope, params: dict[str, Any]) -> tuple[FunctionName, Any]:
    name = _named(scope, params)
    return name, records.resolved(backend("lambda", scope), name)


def _with_versions(scope: Scope, group: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        records.configuration(
            function, FunctionName(scope, function.function_name, str(function.version))
        )
        for function in (group["latest"], *group["versions"])
    ]


def _code_of(scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
    """Return the code of a request as moto takes it: the archive in base64."""
    archive = bytes(params["ZipFile"]) if params.get("ZipFile") else _object(scope, params)
    return {"ZipFile": base64.b64encode(archive).decode()}


def _object(scope: Scope, params: dict[str, Any]) -> bytes:
    """Return an archive in S3."""
    from moto.s3.exceptions import MissingBucket, MissingKey

    failed = "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}"
    try:
        found = backend("s3", scope).get_object(
            params.get("S3Bucket") or "",
            params["S3Key"],
            version_id=params.get("S3ObjectVersion"),
        )
    except MissingBucket:
        text = failed.format("NoSuchBucket", "The specified bucket does not exist")
        raise invalid(text) from None
    except MissingKey:
        found = None
    if found is None:
        raise invalid(failed.format("NoSuchKey", "The specified key does not exist."))
    return bytes(found.value)


def _copy_of(function: Any) -> Any:
    tried = copy.copy(function)
    tried.code = dict(function.code)
    return tried


def _made(make: Callable[[], Any]) -> None:
    """Let moto make or change a function; its errors are Lambda's."""
    from moto.core.exceptions import JsonRESTError

    try:
        make()
    except JsonRESTError as error:
        raise AwsError(error.error_type, error.message, error.code) from None
