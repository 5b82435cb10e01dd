"""Runs the program under Pulumi's own test monitor, with resources that are really deployed.

Source: https://www.pulumi.com/docs/iac/guides/testing/unit/ (mocks); Pulumi's SDK ships the
monitor for such tests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

from localcloud.deploy import refusals
from localcloud.deploy.difference import UNKNOWN
from localcloud.deploy.errors import DeployError, ProgramError, ResourceError
from localcloud.deploy.functions import FunctionFailed, result_of
from localcloud.deploy.plan import Registration
from localcloud.deploy.project import Project
from localcloud.deploy.state import Options, StackState
from localcloud.deploy.types import Aws

_STACK_REFERENCE = "pulumi:pulumi:StackReference"


class ResourceRegistry(Protocol):
    """Receives the program's resources: a deployment, or a test that records them.

    Attributes:
        error: the error that stopped the run; None while it can continue.
    """

    error: DeployError | None

    def register(self, registration: Registration) -> tuple[str, dict[str, Any]]:
        """Register one resource; return its id and outputs."""
        ...


class StackLookup(Protocol):
    """Finds the stacks to which the program refers."""

    def load(self, project: str, name: str) -> StackState:
        """Return a stack, which is empty if it was never deployed."""
        ...


class _Resources(mocks.Mocks):
    """Deploys each resource that the monitor passes to the mocks."""

    def __init__(
        self, project: str, deployment: ResourceRegistry, store: StackLookup, aws: Aws
    ) -> None:
        self._project = project
        self._deployment = deployment
        self._store = store
        self._aws = aws
        self.current = threading.local()

    def refuse(self, error: DeployError) -> DeployError:
        """Stop the run with an error, and return it; only the first one counts."""
        self._deployment.error = self._deployment.error or error
        return error

    def register_transform(self, transform: Any) -> None:
        raise self.refuse(refusals.transforms())

    def register_invoke_transform(self, transform: Any) -> None:
        raise self.refuse(refusals.transforms())

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        try:
            found = result_of(self._aws, args.token, args.args)
        except FunctionFailed as error:
            return {}, [("name", str(error))]  # which the program may catch
        if found is not None:
            return found, []
        raise self.refuse(refusals.unsupported_function(args.token))

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == _STACK_REFERENCE:
            return args.name, self._reference(args.name)
        if args.typ.startswith("pulumi:") or not args.custom:
            try:
                plain = {key: _plain(value) for key, value in args.inputs.items()}
                refusals.check_provider(args.typ, args.name, plain, self._aws.region)
            except ResourceError as error:
                raise self.refuse(error) from None
            return args.name, args.inputs  # providers and components exist only in the program
        request = self.current.request
        secrets = {key for key, value in args.inputs.items() if rpc.is_rpc_secret(value)}
        secret_outputs = secrets | set(request.additionalSecretOutputs)
        id_, outputs = self._deployment.register(
            Registration(
                urn=self.current.urn,
                type=args.typ,
                name=args.name,
                inputs={key: _plain(value) for key, value in args.inputs.items()},
                options=_options(request),
                secrets=frozenset(secrets),
                dependencies={
                    key: tuple(sorted(found.urns))
                    for key, found in request.propertyDependencies.items()
                },
                depends_on=tuple(sorted(request.dependencies)),
                aliases=self.current.aliases,
            )
        )
        # A secret input stays a secret output.
        return id_, {
            key: rpc.wrap_rpc_secret(value) if key in secret_outputs else value
            for key, value in outputs.items()
        }

    def _reference(self, name: str) -> dict[str, Any]:
        # organization/project/stack, or a stack of this project.
        parts = name.split("/")
        project, stack = (parts[-2] if len(parts) == 3 else self._project), parts[-1]
        state = self._store.load(project, stack)
        if not state.outputs:
            where = "" if project == self._project else f" of the project {project}"
            raise self.refuse(
                ResourceError(
                    f"this stack refers to the stack {stack}{where}, which is not deployed; "
                    f"run: localcloud up {stack}"
                )
            )
        outputs = {
            key: rpc.wrap_rpc_secret(value) if key in state.secret_outputs else value
            for key, value in state.outputs.items()
        }
        return {"name": name, "outputs": outputs, "secretOutputNames": state.secret_outputs}


def _plain(value: Any) -> Any:
    """Return an input without Pulumi's wrappers: secrets unwrapped, unknown values marked."""
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _options(request: Any) -> Options:
    return Options(
        protect=bool(request.protect),
        retain_on_delete=bool(request.retainOnDelete),
        delete_before_replace=bool(request.deleteBeforeReplace),
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
    )


_QUIET = logging.Logger("program", logging.CRITICAL)


class _Monitor(mocks.MockMonitor):
    """The test monitor, which also passes on what mocks do not receive: the URN and options."""

    def __init__(self, resources: _Resources) -> None:
        super().__init__(resources)
        self._resources = resources
        self._urns: set[str] = set()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the monitor's own name
        current = self._resources.current
        current.urn = self.make_urn(request.parent, request.type, request.name)
        current.request = request
        current.aliases = tuple(self._aliases(request))
        try:
            refusals.check_options(request)
        except ResourceError as error:
            raise self._resources.refuse(error) from None
        if current.urn in self._urns:
            raise self._resources.refuse(refusals.duplicate(current.urn))
        self._urns.add(current.urn)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def _aliases(self, request: Any) -> Iterator[str]:
        """Yield the earlier URNs of a resource, in the form of this monitor's URNs."""
        for alias in request.aliases:
            if alias.HasField("urn"):
                yield self._with_stack_type(alias.urn)
                continue
            spec = alias.spec
            elsewhere = (spec.stack or SETTINGS.stack, spec.project or SETTINGS.project)
            if elsewhere == (SETTINGS.stack, SETTINGS.project):
                parent = "" if spec.noParent else spec.parentUrn or request.parent
                yield self._with_stack_type(
                    self.make_urn(parent, spec.type or request.type, spec.name or request.name)
                )
        yield from map(self._with_stack_type, request.aliasURNs)

    def _with_stack_type(self, urn: str) -> str:
        parts = urn.split("::", 3)
        if len(parts) == 4 and "$" not in parts[2]:
            parts[2] = refusals.STACK_TYPE + parts[2]
        return "::".join(parts)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the monitor's own name
        try:
            refusals.check_read(request.type, request.name)
        except ResourceError as error:
            raise self._resources.refuse(error) from None
        return super().ReadResource(request)  # type: ignore[no-untyped-call]


def run(
    project: Project,
    deployment: ResourceRegistry,
    store: StackLookup,
    aws: Aws,
    *,
    preview: bool = False,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Run the program once; return the stack's exports, and the names of those that are secret.

    Args:
        project: the project, with its configuration.
        deployment: receives the program's resources.
        store: finds the stacks to which the program refers.
        aws: the account and region that the program sees.
        preview: whether outputs of resources that do not exist yet are unknown to the program.
        quiet: drop what the program logs, because an earlier run has shown it.

    Raises:
        DeployError: a resource could not be deployed, or the program itself failed.
    """
    loops: list[asyncio.AbstractEventLoop] = []
    try:
        return asyncio.run(
            _run(
                project,
                deployment,
                _Resources(project.name, deployment, store, aws),
                preview,
                quiet,
                loops,
            )
        )
    finally:
        for loop in loops:
            loop.close()


def _executor(loops: list[asyncio.AbstractEventLoop]) -> ThreadPoolExecutor:
    """Return an executor whose threads have an event loop, which it appends to `loops`.

    Pulumi's monitor makes one for each thread that has none and never closes it. When Python then
    collects such a loop after its sockets, it prints a traceback at the end of the command.
    """

    def give_loop() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loops.append(loop)

    return ThreadPoolExecutor(thread_name_prefix="registration", initializer=give_loop)


async def _run(
    project: Project,
    deployment: ResourceRegistry,
    resources: _Resources,
    preview: bool,
    quiet: bool,
    loops: list[asyncio.AbstractEventLoop],
) -> tuple[dict[str, Any], list[str]]:
    asyncio.get_running_loop().set_default_executor(_executor(loops))
    # Follow-on errors of the first one would only obscure it.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    # This must happen inside the running loop; otherwise the program never ends.
    pulumi.runtime.set_mocks(
        resources,
        project=project.name,
        stack=project.stack,
        preview=preview,
        logger=_QUIET if quiet else None,
        monitor=_Monitor(resources),
    )
    pulumi.runtime.set_all_config(project.configuration)
    # An earlier run in this process may have left unfinished tasks of its own loop.
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    os.chdir(project.directory)
    if str(project.directory) not in sys.path:
        sys.path.insert(0, str(project.directory))
    # localcloud reports the program's failure once; Pulumi's log would repeat it.
    logging.getLogger("pulumi").setLevel(logging.CRITICAL)

    def program() -> None:
        runpy.run_path(str(project.main), run_name="__main__")

    try:
        await run_pulumi_func(program)
        root: Any = pulumi.runtime.settings.get_root_resource()
        outputs = {
            name: pulumi.Output.from_input(value)
            for name, value in (root.outputs if root else {}).items()
        }
        exports = await pulumi.Output.all(**outputs).future()
        secrets = [name for name, output in outputs.items() if await output.is_secret()]
    except Exception as error:
        if deployment.error is not None:
            raise deployment.error from None
        if isinstance(error, DeployError):
            raise
        raise ProgramError(_explain(error, project)) from error
    return dict(exports or {}), secrets


def _explain(error: BaseException, project: Project) -> str:
    """Return the program's error with the line of the program that raised it.

    Pulumi wraps an error once for each output that it passes; the innermost one has the message. An
    error that is raised again may be a cause of itself. A `pulumi.RunError` is meant for the user
    and gets no line.
    """
    passed: list[BaseException] = []
    while error.__cause__ is not None and error not in passed:
        passed.append(error)
        error = error.__cause__
    if isinstance(error, pulumi.RunError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    # Exclude installed packages, and this package, which may lie in the program's directory.
    elsewhere = ("site-packages", os.path.dirname(__file__))
    own = [
        frame
        for frame in frames
        if frame.filename.startswith(str(project.directory))
        and not any(part in frame.filename for part in elsewhere)
    ]
    where = (
        f" ({os.path.relpath(own[-1].filename, project.directory)}:{own[-1].lineno})" if own else ""
    )
    return f"{error}{where}"
