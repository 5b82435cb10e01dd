"""Up, down and outputs of a stack: the deployer's front door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.deploy.engine import Change, Deployment, Listener
from localcloud.deploy.errors import DeployError
from localcloud.deploy.project import load
from localcloud.deploy.state import StateStore
from localcloud.deploy.types import Aws
from localcloud.routing import DEFAULT_ACCOUNT, DEFAULT_REGION


def up(
    directory: Path, stack: str, endpoint_url: str, listener: Listener
) -> tuple[dict[Change, int], dict[str, Any]]:
    """Deploy a stack; return how many resources changed how, and its outputs.

    Raises:
        DeployError: it did not work; what was made stays in the state for the next try.
    """
    project = load(directory, stack)
    try:
        from localcloud.deploy import monitor
    except ModuleNotFoundError as error:
        raise DeployError(
            f"running a Pulumi program needs {error.name}: pip install 'mlops-lab[deploy]'"
        ) from None
    store = StateStore(endpoint_url)
    region = project.configuration.get("aws:region", DEFAULT_REGION)
    # The program builds its provider for this endpoint, as it would under `pulumi up`.
    os.environ["AWS_ENDPOINT_URL"] = endpoint_url
    deployment = Deployment(aws_at(endpoint_url, region), store, store.load(stack), listener)
    outputs = monitor.run(project, deployment, store)
    deployment.finish(outputs)
    return deployment.changes, outputs


def down(stack: str, endpoint_url: str, listener: Listener) -> dict[Change, int]:
    """Delete a stack's resources; return how many.

    Raises:
        DeployError: a resource could not be deleted; the rest stays in the state.
    """
    store = StateStore(endpoint_url)
    state = store.load(stack)
    region = next(
        (r.outputs["region"] for r in state.resources if "region" in r.outputs), DEFAULT_REGION
    )
    deployment = Deployment(aws_at(endpoint_url, region), store, state, listener)
    deployment.destroy()
    return deployment.changes


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
