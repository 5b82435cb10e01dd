"""Functions, versions and aliases in moto's memory, and the configuration that is shown of them.

moto's storage keeps a function's `$LATEST` and its published versions; what moto does not know is
in the dictionary `localcloud` of each. A version is a copy, so later changes of the function do not
change it. Everything here runs in moto's thread.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.lambda_.names import LATEST, FunctionName

# Settings that moto forgets, by their name in requests.
KEPT = ("DeadLetterConfig", "LoggingConfig", "KMSKeyArn")
# Members of a configuration that change although code and settings do not.
_NOT_FROZEN = frozenset({"FunctionArn", "LastModified", "RevisionId", "Version"})
_NOWHERE = Scope()


def group_of(backend: Any, name: FunctionName) -> dict[str, Any]:
    """Return `latest` and `versions` of a function.

    Raises:
        AwsError: it does not exist.
    """
    functions: dict[str, dict[str, Any]] = backend._lambdas._functions
    if name.name not in functions or functions[name.name]["latest"] is None:
        raise name.not_found()
    return functions[name.name]


def groups(backend: Any) -> Iterator[dict[str, Any]]:
    """Yield every function of a region in the order of their names."""
    functions: dict[str, dict[str, Any]] = backend._lambdas._functions
    yield from (functions[name] for name in sorted(functions) if functions[name]["latest"])


def aliases_of(backend: Any, name: FunctionName) -> dict[str, Any]:
    """Return the aliases of a function by name."""
    group_of(backend, name)
    found: dict[str, Any] = backend._lambdas._aliases[name.arn]
    return found


def version_of(backend: Any, name: FunctionName, version: str) -> Any:
    """Return `$LATEST` or a published version of a function.

    Raises:
        AwsError: it does not exist.
    """
    group = group_of(backend, name)
    if version in ("", LATEST):
        return group["latest"]
    for function in group["versions"]:
        if str(function.version) == version:
            return function
    raise FunctionName(name.scope, name.name, version).not_found()


def resolved(backend: Any, name: FunctionName, draw: float = 0.0) -> Any:
    """Return the version that a qualifier means: itself, or that of an alias.

    An alias with two versions gives one or the other by its weight, as `draw` from 0 to 1 says.

    Raises:
        AwsError: there is no such function, version or alias.
    """
    alias = aliases_of(backend, name).get(name.qualifier)
    if alias is None:
        return version_of(backend, name, name.qualifier)
    for version, weight in weights_of(alias).items():
        if draw < weight:
            return version_of(backend, name, version)
    return version_of(backend, name, alias.function_version)


def weights_of(alias: Any) -> dict[str, float]:
    """Return the additional versions of an alias and their share of the invocations."""
    return dict((alias.routing_config or {}).get("AdditionalVersionWeights") or {})


def kept(function: Any) -> dict[str, Any]:
    """Return what this project keeps of a function beside moto; of an older state nothing yet."""
    if not hasattr(function, "localcloud"):
        function.localcloud = {
            "RevisionId": str(uuid.uuid4()),
            "LoggingConfig": dict(getattr(function, "logging_config", {})),
        }
    found: dict[str, Any] = function.localcloud
    return found


def changed(function: Any, now: datetime) -> None:
    """Note that a function has changed: it has a new revision, at this time."""
    kept(function)["RevisionId"] = str(uuid.uuid4())
    function.last_modified = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+0000"


def fingerprint(function: Any) -> str:
    """Return a digest of the code and the settings that a version freezes."""
    shown = configuration(function, FunctionName(_NOWHERE, function.function_name))
    parts = {k: v for k, v in shown.items() if k not in _NOT_FROZEN}
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()


def publish(group: dict[str, Any], description: str, now: datetime) -> Any:
    """Publish a version and return it; the newest one, if nothing has changed since."""
    latest, versions = group["latest"], group["versions"]
    about = kept(latest)
    newest = versions[-1] if versions else None
    print_ = fingerprint(latest)
    if newest is not None and about.get("Published") == [print_, str(newest.version)]:
        return newest
    number = 1 + max(int(about.get("LastVersion", 0)), *(int(v.version) for v in versions), 0)
    version = copy.copy(latest)
    version.code = dict(latest.code)
    version.localcloud = dict(about)
    version.version = number
    version.function_arn = f"{latest.function_arn}:{number}"
    version.description = description or latest.description
    about["LastVersion"], about["Published"] = number, [print_, str(number)]
    changed(version, now)
    version.last_modified = latest.last_modified
    versions.append(version)
    changed_at = latest.last_modified
    changed(latest, now)
    latest.last_modified = changed_at
    return version


def configuration(function: Any, name: FunctionName) -> dict[str, Any]:
    """Return the FunctionConfiguration of a version, with the ARN by which it was asked for.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
    """
    about = kept(function)
    region = name.scope.region
    runtime = hashlib.sha256(str(function.run_time).encode()).hexdigest()
    default_log = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}"}
    shown: dict[str, Any] = {
        "FunctionName": function.function_name,
        "FunctionArn": name.qualified_arn,
        "Runtime": function.run_time,
        "Role": function.role,
        "Handler": function.handler,
        "CodeSize": function.code_size,
        "Description": function.description or "",
        "Timeout": int(function.timeout),
        "MemorySize": int(function.memory_size),
        "LastModified": function.last_modified,
        "CodeSha256": function.code_sha_256,
        "Version": str(function.version),
        "TracingConfig": function.tracing_config,
        "RevisionId": about["RevisionId"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": function.package_type,
        "Architectures": list(function.architectures),
        "EphemeralStorage": {"Size": int(function.ephemeral_storage)},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": f"arn:aws:lambda:{region}::runtime:{runtime}"
        },
        "LoggingConfig": default_log | (about.get("LoggingConfig") or {}),
    }
    if function.environment_vars:
        shown["Environment"] = {"Variables": dict(function.environment_vars)}
    if function.layers:
        shown["Layers"] = list(function.layers)
    vpc = function._vpc_config or {}
    if vpc.get("SubnetIds") or vpc.get("SecurityGroupIds"):
        lists = {name: list(vpc.get(name) or []) for name in ("SubnetIds", "SecurityGroupIds")}
        dual = bool(vpc.get("Ipv6AllowedForDualStack"))
        shown["VpcConfig"] = {**lists, "VpcId": "", "Ipv6AllowedForDualStack": dual}
    dead_letters = about.get("DeadLetterConfig") or {}
    if dead_letters.get("TargetArn"):
        shown["DeadLetterConfig"] = dead_letters
    key = about.get("KMSKeyArn") or getattr(function, "kms_key_arn", None)
    if key:
        shown["KMSKeyArn"] = key
    return shown
