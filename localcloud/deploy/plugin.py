"""A resource plug-in for Pulumi's own engine: the AWS resources of this deployer's table.

    pulumi up ─► engine ─► gRPC ─► this plug-in ─► TYPES ─► the local cloud

`localcloud pulumi` puts it first on the PATH of that one command. It refuses an endpoint that is
not loopback, so that it never reaches AWS.

Source: https://github.com/pulumi/pulumi/blob/master/sdk/proto/pulumi/provider.proto
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent import futures
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.aws.routing import account_of_access_key
from localcloud.deploy.difference import UNKNOWN, differences, is_digest
from localcloud.deploy.errors import DeployError, IncompleteError, is_gone
from localcloud.deploy.functions import FunctionFailed, result_of
from localcloud.deploy.paths import restore
from localcloud.deploy.plugin_values import is_unknown, read, write
from localcloud.deploy.refusals import PROVIDER_INPUTS, unsupported_function
from localcloud.deploy.stacks import aws_at
from localcloud.deploy.types import TYPES, Aws, Inputs, ResourceType

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_DEFAULT_REGION = "us-east-1"
_THREADS = 8
_LOOK_SECONDS = 1.0
_KINDS = provider_pb2.PropertyDiff


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """The operations that the engine calls, under their names in gRPC.

    Args:
        endpoint: URL of the local cloud.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._aws: Aws | None = None

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the version of the AWS plug-in that this one stands for."""
        del request, context
        return plugin_pb2.PluginInfo(version=version("pulumi_aws"))

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return an empty schema: the program has the types already."""
        del request, context
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse settings of the provider that have no effect here."""
        del context
        refused = sorted(set(request.news.fields) - PROVIDER_INPUTS)
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                _failure(name, "the local cloud's plug-in has no such setting of the provider")
                for name in refused
            ],
        )

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return no difference: another provider manages the same local cloud."""
        del request, context
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the provider's region, and the account that its access key names."""
        del context
        given = read(request.args, content=False)
        region = given.get("region") or _DEFAULT_REGION
        account = account_of_access_key(str(given.get("accessKey", "")))
        self._aws = aws_at(self._endpoint, str(region), account)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the result of a provider function."""
        try:
            found = result_of(self._cloud(), request.tok, read(request.args, content=False))
        except FunctionFailed as error:
            raise _stop(context, str(error)) from None
        if found is None:
            raise _stop(context, str(unsupported_function(request.tok)))
        return provider_pb2.InvokeResponse(**{"return": write(found)})

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse inputs that a type does not have, and names that are missing."""
        inputs = read(request.news, content=False)
        kind = self._kind(request.urn, context)
        failures = [
            *(
                _failure(name, f"it is not supported; {_accepted(kind)}")
                for name in kind.refused(inputs)
            ),
            *(
                _failure(name, "it is missing, and the local cloud generates no names")
                for name in kind.unnamed(inputs)
            ),
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return which inputs differ, and whether that replaces the resource."""
        kind = self._kind(request.urn, context)
        before = read(request.old_inputs, content=False)
        after = restore(read(request.news, content=False), before, request.ignoreChanges)
        found = differences(before, after)
        changed = sorted(
            key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
        )
        replaces = [key for key in changed if kind.update is None or key in kind.replace_on]
        same_name = bool(kind.name_inputs) and all(
            before.get(name) == after.get(name) for name in kind.name_inputs
        )
        stable = set(request.olds.fields) - set(changed) - kind.volatile
        detail = {}
        for one in found:
            name = one.path.partition(".")[0].partition("[")[0]
            how = "ADD" if one.before is None else "DELETE" if one.after is None else "UPDATE"
            suffix = "_REPLACE" if name in replaces else ""
            detail[one.path] = _KINDS(kind=getattr(_KINDS, f"{how}{suffix}"), inputDiff=True)
        some = provider_pb2.DiffResponse.DIFF_SOME
        return provider_pb2.DiffResponse(
            changes=some if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=replaces,
            stables=[] if replaces else sorted(stable),
            deleteBeforeReplace=bool(replaces) and same_name,
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Create a resource, or return what a preview knows of it."""
        kind = self._kind(request.urn, context)
        inputs = read(request.properties, content=not request.preview)
        if request.preview:
            known = {key: value for key, value in inputs.items() if not is_unknown(value)}
            id_ = kind.key(inputs) if kind.key is not None and len(known) == len(inputs) else ""
            return provider_pb2.CreateResponse(id=id_, properties=write(known, request.properties))
        try:
            id_, outputs = _told(context, lambda: kind.create(self._cloud(), inputs))
        except IncompleteError as error:
            raise _half_way(context, error, request.properties) from None
        return provider_pb2.CreateResponse(id=id_, properties=write(outputs, request.properties))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change a resource in place, or return what a preview knows of it."""
        kind = self._kind(request.urn, context)
        olds = read(request.olds, content=False)
        inputs = read(request.news, content=not request.preview)
        if request.preview:
            computed = {
                k: v for k, v in olds.items() if k not in read(request.old_inputs, content=False)
            }
            outputs: Inputs = {**computed, **inputs, **dict.fromkeys(kind.volatile, UNKNOWN)}
        else:
            update = kind.update
            if update is None:
                raise _stop(context, "this type cannot be updated in place")
            outputs = _told(context, lambda: update(self._cloud(), request.id, inputs, olds))
        properties = write(outputs, request.news, request.olds)
        return provider_pb2.UpdateResponse(properties=properties)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Delete a resource; do nothing if it no longer exists."""
        kind = self._kind(request.urn, context)
        outputs = read(request.properties, content=False)

        def delete() -> None:
            try:
                kind.delete(self._cloud(), request.id, outputs)
            except Exception as error:
                if not is_gone(error):
                    raise

        _told(context, delete)
        return empty_pb2.Empty()

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return a resource as AWS has it; without an id if it does not exist.

        A request without inputs is an import.
        """
        kind = self._kind(request.urn, context)
        known = read(request.inputs, content=False) if request.inputs.fields else None
        olds = read(request.properties, content=False)
        found = _told(context, lambda: kind.read(self._cloud(), request.id, known, olds))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = found
        # An asset that is not the deployed one has a hash of another kind than the engine's.
        inputs = {
            key: value
            for key, value in inputs.items()
            if not is_digest(value) or value == (known or {}).get(key)
        }
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=write(outputs, request.inputs, request.properties),
            inputs=write(inputs, request.inputs),
        )

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Do nothing: each call ends by itself."""
        del request, context
        return empty_pb2.Empty()

    def _cloud(self) -> Aws:
        if self._aws is None:
            self._aws = aws_at(self._endpoint, _DEFAULT_REGION)
        return self._aws

    def _kind(self, urn: str, context: Any) -> ResourceType:
        # urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME
        type_ = urn.split("::")[2].rpartition("$")[2]
        kind = TYPES.get(type_)
        if kind is None:
            supported = ", ".join(sorted(t.rpartition(":")[2] for t in TYPES))
            raise _stop(
                context,
                f"the local cloud does not support the type {type_}; it supports: {supported}",
            )
        return kind


def _accepted(kind: ResourceType) -> str:
    return f"the inputs are: {', '.join(sorted(kind.accepts))}"


def _failure(name: str, reason: str) -> Any:
    return provider_pb2.CheckFailure(property=name, reason=reason)


def _told(context: Any, call: Callable[[], Any]) -> Any:
    """Return what a call returns; its error reaches the user in one sentence.

    Raises:
        IncompleteError: a resource exists that the call did not complete.
    """
    try:
        return call()
    except IncompleteError:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
        raise _stop(context, text) from None


def _stop(context: Any, text: str) -> RuntimeError:
    """End the call with an error; gRPC raises by itself, so nothing is returned."""
    context.abort(grpc.StatusCode.UNKNOWN, text)
    return RuntimeError(text)


def _half_way(context: Any, error: IncompleteError, inputs: Any) -> RuntimeError:
    """End the call with an error that has the resource, which the engine then keeps and updates.

    Source: https://github.com/pulumi/pulumi/blob/master/sdk/proto/pulumi/provider.proto
    (ErrorResourceInitFailed)
    """
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.id,
            properties=write(error.outputs, inputs),
            reasons=[str(error)],
            inputs=inputs,
        )
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    return _stop(context, str(error))


def endpoint_of(environ: dict[str, str]) -> str:
    """Return the endpoint of an environment.

    Raises:
        DeployError: it has none, or one that is not loopback.
    """
    url = environ.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(url).hostname or ""
    if host not in _LOOPBACK and not host.endswith((".localhost", ".localhost.localstack.cloud")):
        raise DeployError(
            f"AWS_ENDPOINT_URL is '{url}'; the local cloud's plug-in works on this machine only. "
            "`localcloud pulumi` sets it, such as to http://127.0.0.1:4566"
        )
    return url


def serve() -> int:
    """Serve on a free port of loopback, which is printed, until the engine ends.

    An engine that is killed ends no plug-in, so the plug-in looks whether its parent is there.
    """
    engine = os.getppid()
    try:
        endpoint = endpoint_of(dict(os.environ))
    except DeployError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    server = grpc.server(
        futures.ThreadPoolExecutor(_THREADS),
        options=[("grpc.max_receive_message_length", 400 * 1024 * 1024)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(endpoint), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # True says that the time is up, and that the server still serves.
    while server.wait_for_termination(_LOOK_SECONDS) and os.getppid() == engine:
        pass
    return 0


if __name__ == "__main__":
    raise SystemExit(serve())
