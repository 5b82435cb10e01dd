"""Runs the program under Pulumi's own test monitor, whose resources are really made.

Source: https://www.pulumi.com/docs/iac/guides/testing/unit/ (mocks); the monitor is the one that
Pulumi's SDK ships for them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from typing import Any

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime.stack import run_pulumi_func

from localcloud.deploy.engine import Deployment
from localcloud.deploy.errors import DeployError, ProgramError, ResourceError
from localcloud.deploy.project import Project
from localcloud.deploy.state import StateStore

_STACK_REFERENCE = "pulumi:pulumi:StackReference"


class _RealResources(mocks.Mocks):
    """Answers what the monitor asks by doing it."""

    def __init__(self, deployment: Deployment, store: StateStore) -> None:
        self._deployment = deployment
        self._store = store
        self.current = threading.local()

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        aws = self._deployment.aws
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                arn = f"arn:aws:iam::{aws.account}:root"
                return {"accountId": aws.account, "arn": arn, "userId": aws.account}, []
            case "aws:index/getRegion:getRegion":
                return {"name": aws.region, "region": aws.region, "id": aws.region}, []
            case "aws:index/getPartition:getPartition":
                return {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"}, []
        raise ProgramError(f"the local cloud cannot answer the function {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == _STACK_REFERENCE:
            return args.name, self._reference(args.name)
        if args.typ.startswith("pulumi:") or not args.custom:
            return args.name, args.inputs  # providers and components: nothing to make
        return self._deployment.register(self.current.urn, args.typ, args.name, args.inputs)

    def _reference(self, name: str) -> dict[str, Any]:
        stack = name.rsplit("/", 1)[-1]
        outputs = self._store.load(stack).outputs
        if not outputs:
            self._deployment.error = ResourceError(
                f"the stack {stack}, which this one refers to, is not deployed; "
                f"run: localcloud up {stack}"
            )
            raise self._deployment.error
        return {"name": name, "outputs": outputs, "secretOutputNames": []}


class _Monitor(mocks.MockMonitor):
    """The test monitor, which also tells the URN of the resource that is being registered."""

    def __init__(self, resources: _RealResources) -> None:
        super().__init__(resources)
        self._resources = resources

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the monitor's own name
        self._resources.current.urn = self.make_urn(request.parent, request.type, request.name)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def run(project: Project, deployment: Deployment, store: StateStore) -> dict[str, Any]:
    """Run the program once; return the stack's exports.

    Raises:
        DeployError: a resource could not be made, or the program itself failed.
    """
    return asyncio.run(_run(project, deployment, store))


async def _run(project: Project, deployment: Deployment, store: StateStore) -> dict[str, Any]:
    resources = _RealResources(deployment, store)
    # Inside the running loop: before it, the program would hang for ever.
    pulumi.runtime.set_mocks(
        resources,
        project=project.name,
        stack=project.stack,
        preview=False,
        monitor=_Monitor(resources),
    )
    pulumi.runtime.set_all_config(project.configuration)
    os.chdir(project.directory)
    sys.path.insert(0, str(project.directory))
    # The program's own failure is reported once, by us; Pulumi's log of it would say it again.
    logging.getLogger("pulumi").setLevel(logging.CRITICAL)

    def program() -> None:
        runpy.run_path(str(project.main), run_name="__main__")

    try:
        await run_pulumi_func(program)
        root: Any = pulumi.runtime.settings.get_root_resource()
        exports = await pulumi.Output.all(**(root.outputs if root else {})).future()
    except Exception as error:
        if deployment.error is not None:
            raise deployment.error from None
        if isinstance(error, DeployError):
            raise
        raise ProgramError(_explain(error, project)) from error
    return dict(exports or {})


def _explain(error: BaseException, project: Project) -> str:
    """Return the program's error with the line of the program that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(str(project.directory))]
    own = [f for f in own if "site-packages" not in f.filename]
    where = (
        f" ({os.path.relpath(own[-1].filename, project.directory)}:{own[-1].lineno})" if own else ""
    )
    return f"{error}{where}"
