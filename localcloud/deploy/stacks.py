"""Up, preview and down of a stack: the deployer's front door."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.deploy.effects import CloudEffects, NoEffects
from localcloud.deploy.engine import Deployment
from localcloud.deploy.errors import DeployError
from localcloud.deploy.plan import Change, Listener, Step
from localcloud.deploy.project import Project, load
from localcloud.deploy.state import StateStore
from localcloud.deploy.types import Aws


def up(
    directory: Path,
    stack: str,
    endpoint_url: str,
    listener: Listener,
    overrides: Mapping[str, str] | None = None,
) -> tuple[dict[Change, int], dict[str, Any]]:
    """Deploy a stack; return how many resources changed how, and its outputs.

    Args:
        directory: of the project.
        stack: which.
        endpoint_url: of the local cloud.
        listener: is told of each resource when it is done.
        overrides: settings over the stack's own, for this run only.

    Raises:
        DeployError: it did not work; what was made stays in the state for the next try.
    """
    project, store, aws = _open(directory, stack, endpoint_url, overrides)
    state = store.load(stack)
    if any(resource.options.protect for resource in state.resources):
        # Changes are made as the program goes, so ask first whether all of it is allowed.
        _run(
            project,
            Deployment(NoEffects(), store.load(stack), _no_progress),
            store,
            aws,
            preview=True,
        )
    deployment = Deployment(CloudEffects(aws, store), state, listener)
    outputs = _run(project, deployment, store, aws)
    return deployment.changes, outputs


def preview(
    directory: Path,
    stack: str,
    endpoint_url: str,
    listener: Listener,
    overrides: Mapping[str, str] | None = None,
) -> dict[Change, int]:
    """Tell what `up` would do, and do nothing; return how many resources would change how.

    Args:
        directory: of the project.
        stack: which.
        endpoint_url: of the local cloud, which keeps the stack's state.
        listener: is told of each resource.
        overrides: settings over the stack's own, for this run only.

    Raises:
        DeployError: `up` would not work.
    """
    project, store, aws = _open(directory, stack, endpoint_url, overrides)
    deployment = Deployment(NoEffects(), store.load(stack), listener)
    _run(project, deployment, store, aws, preview=True)
    return deployment.changes


def down(stack: str, endpoint_url: str, listener: Listener) -> dict[Change, int]:
    """Delete a stack's resources; return how many.

    Raises:
        ProtectedError: some of them are protected; nothing was deleted.
        DeployError: a resource could not be deleted; the rest stays in the state.
    """
    deployment = _saved(stack, endpoint_url, listener)
    deployment.destroy()
    return deployment.changes


def refuse_protected(stack: str, endpoint_url: str) -> None:
    """Raise when `down` would be refused.

    Raises:
        ProtectedError: a resource of the stack is protected; all are named.
    """
    _saved(stack, endpoint_url, _no_progress).refuse_protected()


def unprotect(stack: str, endpoint_url: str) -> None:
    """Take the protection off a stack's resources, as `pulumi state unprotect --all` does."""
    _saved(stack, endpoint_url, _no_progress).unprotect()


def _open(
    directory: Path, stack: str, endpoint_url: str, overrides: Mapping[str, str] | None
) -> tuple[Project, StateStore, Aws]:
    project = load(directory, stack, overrides)
    # The program builds its provider for this endpoint, as it would under `pulumi up`.
    os.environ["AWS_ENDPOINT_URL"] = endpoint_url
    region = project.configuration.get("aws:region", DEFAULT_REGION)
    return project, StateStore(endpoint_url), aws_at(endpoint_url, region)


def _run(
    project: Project, deployment: Deployment, store: StateStore, aws: Aws, *, preview: bool = False
) -> dict[str, Any]:
    try:
        from localcloud.deploy import monitor
    except ModuleNotFoundError as error:
        raise DeployError(
            f"running a Pulumi program needs {error.name}: pip install 'mlops-lab[deploy]'"
        ) from None
    outputs = monitor.run(project, deployment, store, aws, preview=preview)
    deployment.finish(outputs)
    return outputs


def _saved(stack: str, endpoint_url: str, listener: Listener) -> Deployment:
    store = StateStore(endpoint_url)
    state = store.load(stack)
    region = next(
        (r.outputs["region"] for r in state.resources if "region" in r.outputs), DEFAULT_REGION
    )
    return Deployment(CloudEffects(aws_at(endpoint_url, region), store), state, listener)


def _no_progress(step: Step) -> None:
    """Hear nothing."""


def aws_at(endpoint_url: str, region: str) -> Aws:
    """Return the clients of a local cloud."""
    session = boto3.session.Session()
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            clients[service] = session.client(
                service,
                endpoint_url=endpoint_url,
                region_name=region,
                aws_access_key_id=DEFAULT_ACCOUNT,
                aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
            )
        return clients[service]

    return Aws(client, DEFAULT_ACCOUNT, region)
