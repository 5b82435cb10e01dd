"""Deploys, previews, refreshes and destroys a stack: the entry points of the deployer."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.deploy.effects import CloudEffects, NoEffects
from localcloud.deploy.engine import Deployment
from localcloud.deploy.errors import DeployError
from localcloud.deploy.plan import ChangeType, Listener, ResourceChange
from localcloud.deploy.project import Project, load, project_name
from localcloud.deploy.refresh import refresh as read_stack
from localcloud.deploy.state import StackState, StateStore
from localcloud.deploy.types import TYPES, Aws


def up(
    directory: Path,
    stack: str,
    endpoint_url: str,
    listener: Listener,
    overrides: Mapping[str, str] | None = None,
    account: str = DEFAULT_ACCOUNT,
    *,
    refresh: bool = False,
) -> tuple[dict[ChangeType, int], dict[str, Any]]:
    """Deploy a stack; return the number of changes of each type, and the outputs to show.

    The program runs twice: once to check that everything in it can be carried out, and once to
    carry it out. So a program that is refused leaves everything as it was.

    Args:
        directory: the project's directory.
        stack: name of the stack.
        endpoint_url: URL of the local cloud.
        listener: called after each change of a resource.
        overrides: settings that override the stack's own, for this run only.
        account: the account that gets the stack, 12 digits.
        refresh: whether to read every resource first, so that what was changed or deleted by hand
            is corrected.

    Raises:
        DeployError: the stack is in another account, or the deployment failed; resources created so
            far stay in the state, so that the next run continues from there.
    """
    project, store, aws = _open(directory, stack, endpoint_url, overrides, account)
    state = _loaded(store, project.name, stack, aws if refresh else None)
    state.account = account
    trial = Deployment(NoEffects(), copy.deepcopy(state), _no_progress)
    _run(project, trial, store, aws, preview=True)
    deployment = Deployment(CloudEffects(aws, store), state, listener)
    _run(project, deployment, store, aws, quiet=True)
    return deployment.changes, state.shown_outputs


def preview(
    directory: Path,
    stack: str,
    endpoint_url: str,
    listener: Listener,
    overrides: Mapping[str, str] | None = None,
    account: str = DEFAULT_ACCOUNT,
    *,
    refresh: bool = False,
) -> dict[ChangeType, int]:
    """Report what `up` would do, without doing it; return the number of changes of each type.

    Args:
        directory: the project's directory.
        stack: name of the stack.
        endpoint_url: URL of the local cloud, which stores the stack's state.
        listener: called for each resource.
        overrides: settings that override the stack's own, for this run only.
        account: the account that would get the stack, 12 digits.
        refresh: whether to read every resource first, as `up` does with the same argument.

    Raises:
        DeployError: `up` would fail.
    """
    project, store, aws = _open(directory, stack, endpoint_url, overrides, account)
    state = _loaded(store, project.name, stack, aws if refresh else None)
    deployment = Deployment(NoEffects(), state, listener)
    _run(project, deployment, store, aws, preview=True)
    return deployment.changes


def down(stack: str, endpoint_url: str, listener: Listener) -> dict[ChangeType, int]:
    """Delete a stack's resources; return the number of changes of each type.

    Raises:
        ProtectedError: a resource is protected; nothing was deleted.
        DeployError: a resource could not be deleted; it and the rest stay in the state.
    """
    deployment = _saved(stack, endpoint_url, listener)
    deployment.destroy()
    return deployment.changes


def refresh(stack: str, endpoint_url: str, listener: Listener) -> dict[ChangeType, int]:
    """Save what AWS has of a stack's resources, and change none of them.

    Returns:
        The number of resources for each type of change: UPDATE where AWS has other values than the
        state, DELETE where a resource is gone.

    Raises:
        DeployError: a resource could not be read; the state stays as it was.
    """
    state, store, aws = _with_clients(stack, endpoint_url)
    counted = read_stack(TYPES, state, aws, listener)
    store.save(state)
    return counted


def refuse_protected(stack: str, endpoint_url: str) -> None:
    """Raise an error if `down` would be refused.

    Raises:
        ProtectedError: a resource of the stack is protected; all are named.
    """
    _saved(stack, endpoint_url, _no_progress).refuse_protected()


def unprotect(stack: str, endpoint_url: str) -> None:
    """Remove the protection of a stack's resources, as `pulumi state unprotect --all` does."""
    _saved(stack, endpoint_url, _no_progress).unprotect()


def _open(
    directory: Path,
    stack: str,
    endpoint_url: str,
    overrides: Mapping[str, str] | None,
    account: str,
) -> tuple[Project, StateStore, Aws]:
    project, store = load(directory, stack, overrides), StateStore(endpoint_url)
    state = store.load(project.name, stack)
    if state.resources and state.account != account:
        raise DeployError(
            f"stack {stack} is in account {state.account}, and AWS_ACCESS_KEY_ID selects account "
            f"{account}: set AWS_ACCESS_KEY_ID={state.account}, or delete the stack first"
        )
    # The program configures its provider with this endpoint, as under `pulumi up`.
    os.environ["AWS_ENDPOINT_URL"] = endpoint_url
    region = project.configuration.get("aws:region", DEFAULT_REGION)
    return project, store, aws_at(endpoint_url, region, account)


def _loaded(store: StateStore, project: str, stack: str, refresh: Aws | None) -> StackState:
    state = store.load(project, stack)
    if refresh is not None:
        read_stack(TYPES, state, refresh, _no_progress)
    return state


def _run(
    project: Project,
    deployment: Deployment,
    store: StateStore,
    aws: Aws,
    *,
    preview: bool = False,
    quiet: bool = False,
) -> None:
    try:
        from localcloud.deploy import monitor
    except ModuleNotFoundError as error:
        raise DeployError(
            f"running a Pulumi program requires {error.name}: pip install 'mlops-lab[deploy]'"
        ) from None
    outputs, secrets = monitor.run(project, deployment, store, aws, preview=preview, quiet=quiet)
    deployment.finish(outputs, secrets)


def _saved(stack: str, endpoint_url: str, listener: Listener) -> Deployment:
    state, store, aws = _with_clients(stack, endpoint_url)
    return Deployment(CloudEffects(aws, store), state, listener)


def _with_clients(stack: str, endpoint_url: str) -> tuple[StackState, StateStore, Aws]:
    """Return the state of a stack, where it is saved, and clients for its region."""
    state = saved(stack, endpoint_url)
    region = next(
        (r.outputs["region"] for r in state.resources if "region" in r.outputs), DEFAULT_REGION
    )
    return state, StateStore(endpoint_url), aws_at(endpoint_url, region, state.account)


def saved(stack: str, endpoint_url: str, directory: Path | None = None) -> StackState:
    """Return the state of a stack of a directory's project, or of the only one that has it.

    Args:
        stack: name of the stack.
        endpoint_url: URL of the local cloud.
        directory: the project's directory; None for the working directory.

    Raises:
        DeployError: several projects have a stack of this name, and none of them is here.
    """
    store = StateStore(endpoint_url)
    return store.load(store.project_of(stack, project_name(directory or Path.cwd())), stack)


def _no_progress(step: ResourceChange) -> None:
    """Ignore the change."""


def aws_at(endpoint_url: str, region: str, account: str = DEFAULT_ACCOUNT) -> Aws:
    """Return an account's clients for a local cloud."""
    session = boto3.session.Session()
    clients: dict[str, Any] = {}
    # A session makes one client at a time.
    making = threading.Lock()

    def client(service: str) -> Any:
        with making:
            return made(service)

    def made(service: str) -> Any:
        if service not in clients:
            clients[service] = session.client(
                service,
                endpoint_url=endpoint_url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
            )
        return clients[service]

    return Aws(client, account, region)
