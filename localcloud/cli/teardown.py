"""`localcloud teardown`: takes the lab's stacks down in the only order that works.

    1  the endpoints' CloudFormation stacks, which the pipeline deployed: their deploy roles, with
       which CloudFormation deletes, belong to the Pulumi stacks
    2  the dev stack, which refers to production
    3  the prd stack

This module shows the plan, asks, carries it out and says what stays. `LocalTarget` reads and
destroys the stacks of `localcloud up`, `PulumiTarget` those of `pulumi up`. Nothing here decides
what a stack has.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
(RoleARN)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localcloud.cli.console import CommandError, client, out
from localcloud.cli.views import delete_deployed

# US dollars per month of what may stay, as in `components/prices.py`; a test compares them.
STORAGE_GB_MONTH, KEY_MONTH = 0.023, 1.0
# The list price of the storage of CloudWatch Logs. Source: https://aws.amazon.com/cloudwatch/pricing/
LOGS_GB_MONTH = 0.03
_BUCKET, _KEY = "aws:s3/bucket:Bucket", "aws:kms/key:Key"
_COSTS = {
    _BUCKET: f"{STORAGE_GB_MONTH} USD per GB and month",
    _KEY: f"{KEY_MONTH:.2f} USD per month",
}
_LOCAL_POLL_SECONDS, _AWS_POLL_SECONDS = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Owned:
    """A resource of a Pulumi stack, as its state has it."""

    type: str
    name: str
    id: str
    protected: bool
    retained: bool


@dataclass(frozen=True, slots=True)
class Deployed:
    """A Pulumi stack that is there: its resources and outputs."""

    name: str
    resources: tuple[Owned, ...]
    outputs: Mapping[str, Any]


class Target(Protocol):
    """The place where the stacks are."""

    poll_seconds: float

    def stack(self, name: str) -> Deployed | None:
        """Return a stack; None if there is none of this name."""
        ...

    def client(self, service: str, stack: str) -> Any:
        """Return a client of boto3 for the account and region of a stack."""
        ...

    def destroy(self, stack: str) -> None:
        """Delete a stack with its protected resources."""
        ...


class LocalTarget:
    """A local cloud, and the stacks of `localcloud up`.

    Args:
        url: the address of the local cloud.
    """

    poll_seconds = _LOCAL_POLL_SECONDS

    def __init__(self, url: str) -> None:
        self._url = url

    def stack(self, name: str) -> Deployed | None:
        """Return a stack; None if it is not deployed."""
        from localcloud.deploy.stacks import saved

        state = saved(name, self._url)
        if not state.resources:
            return None
        owned = (
            Owned(r.type, r.name, r.id, r.options.protect, r.options.retain_on_delete)
            for r in state.resources
        )
        return Deployed(name, tuple(owned), state.outputs)

    def client(self, service: str, stack: str) -> Any:
        """Return a client of the local cloud."""
        del stack
        return client(service, self._url)

    def destroy(self, stack: str) -> None:
        """Delete a stack with its protected resources."""
        from localcloud.deploy import stacks

        stacks.unprotect(stack, self._url)
        stacks.down(stack, self._url, lambda step: None)


class PulumiTarget:
    """AWS, and the stacks of `pulumi up`, by the `pulumi` on the PATH.

    Args:
        directory: the project's directory.
        profiles: the AWS profile of each stack; that of the empty name is for all others.
    """

    poll_seconds = _AWS_POLL_SECONDS

    def __init__(self, directory: Path, profiles: Mapping[str, str]) -> None:
        program = shutil.which("pulumi")
        if program is None:
            raise CommandError(
                "there is no `pulumi` on the PATH; install it from "
                "https://www.pulumi.com/docs/install"
            )
        self._program, self._directory, self._profiles = program, directory, profiles
        self._names: set[str] | None = None

    def stack(self, name: str) -> Deployed | None:
        """Return a stack; None if it does not exist or has no resources."""
        if self._names is None:
            listed = json.loads(self._run("", "stack", "ls", "--json"))
            self._names = {one["name"].rpartition("/")[2] for one in listed}
        if name not in self._names:
            return None
        exported = json.loads(self._run(name, "stack", "export", "--stack", name))
        found = exported["deployment"].get("resources") or []
        owned = tuple(
            Owned(
                r["type"],
                r["urn"].rpartition("::")[2],
                r.get("id", ""),
                bool(r.get("protect")),
                bool(r.get("retainOnDelete")),
            )
            for r in found
            if r.get("custom") and not r["type"].startswith("pulumi:")
        )
        root: dict[str, Any] = next((r for r in found if r["type"] == "pulumi:pulumi:Stack"), {})
        return Deployed(name, owned, root.get("outputs") or {}) if owned else None

    def client(self, service: str, stack: str) -> Any:
        """Return a client with the stack's profile, in the region of its setting aws:region."""
        import boto3

        region = self._run(stack, "config", "get", "aws:region", "--stack", stack).strip()
        return boto3.Session(profile_name=self._profile(stack), region_name=region).client(service)

    def destroy(self, stack: str) -> None:
        """Delete a stack with its protected resources; Pulumi prints its progress."""
        self._run(stack, "state", "unprotect", "--all", "--yes", "--stack", stack)
        self._run(stack, "destroy", "--yes", "--non-interactive", "--stack", stack, shown=True)

    def _profile(self, stack: str) -> str:
        found = self._profiles.get(stack) or self._profiles.get("")
        if not found:
            raise CommandError(f"no profile is given for the stack {stack}: add --profile")
        return found

    def _run(self, stack: str, *arguments: str, shown: bool = False) -> str:
        profile = {"AWS_PROFILE": self._profile(stack)} if stack else {}
        ended = subprocess.run(
            [self._program, *arguments],
            cwd=self._directory,
            env={**os.environ, **profile},
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            said = (ended.stderr or "").strip().splitlines()
            raise CommandError(
                f"`pulumi {' '.join(arguments)}` failed{f': {said[-1]}' if said else ''}"
            )
        return ended.stdout or ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a teardown.

    Attributes:
        endpoints: Pulumi's stack and the name of the CloudFormation stack of its endpoint.
        stacks: the Pulumi stacks, in the order of deletion.
    """

    endpoints: tuple[tuple[str, str], ...]
    stacks: tuple[Deployed, ...]

    @property
    def retained(self) -> list[Owned]:
        """The buckets and keys that stay, because the program says so."""
        return [
            owned
            for stack in self.stacks
            for owned in stack.resources
            if owned.retained and owned.type in _COSTS
        ]


def plan(target: Target, names: Sequence[str]) -> Plan:
    """Return the steps for stacks, the one that refers to others first.

    Raises:
        CommandError: a pipeline of one of the stacks is running, and might deploy an endpoint
            while it is taken down.
    """
    stacks = [found for found in map(target.stack, names) if found is not None]
    endpoints = []
    for stack in stacks:
        _refuse_running(target, stack)
        name = stack.outputs.get("stackName")
        if name and _exists(target.client("cloudformation", stack.name), name):
            endpoints.append((stack.name, name))
    return Plan(tuple(endpoints), tuple(stacks))


def _refuse_running(target: Target, stack: Deployed) -> None:
    name = stack.outputs.get("pipelineName")
    if not name:
        return
    codepipeline = target.client("codepipeline", stack.name)
    try:
        answer = codepipeline.list_pipeline_executions(pipelineName=name)
    except codepipeline.exceptions.PipelineNotFoundException:
        return  # a teardown that broke off deleted it
    running = [
        execution["pipelineExecutionId"]
        for execution in answer["pipelineExecutionSummaries"]
        if execution["status"] in ("InProgress", "Stopping")
    ]
    if running:
        raise CommandError(
            f"the pipeline {name} is running ({', '.join(running)}) and could deploy an endpoint "
            "again: wait for its end, reject its approval, or stop it by "
            "`aws codepipeline stop-pipeline-execution`"
        )


def _exists(cloudformation: Any, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        cloudformation.describe_stacks(StackName=name)
    except ClientError as error:
        if "does not exist" in str(error):
            return False
        raise
    return True


def show(steps: Plan) -> None:
    """Print the steps, and what they leave."""
    out.print("To delete, in this order:")
    for stack, name in steps.endpoints:
        out.print(f"  - CloudFormation stack {name}, with the endpoint of {stack}", markup=False)
    for found in steps.stacks:
        deleted = [owned for owned in found.resources if not owned.retained]
        protected = [owned.name for owned in deleted if owned.protected]
        note = f", of which protected: {', '.join(protected)}" if protected else ""
        out.print(f"  - Pulumi stack {found.name}: {len(deleted)} resources{note}", markup=False)
    for owned in steps.retained:
        out.print(f"  stays: {owned.type.rpartition(':')[2]} {owned.id}", markup=False)


def carry_out(target: Target, steps: Plan) -> None:
    """Delete what a plan says, one step after the other.

    Raises:
        CommandError: a step failed; those after it were not begun.
    """
    for stack, name in steps.endpoints:
        delete_deployed(target.client("cloudformation", stack), name, target.poll_seconds)
    # While a stack is there, so is the setting of its region.
    log_clients = [(found, target.client("logs", found.name)) for found in steps.stacks]
    registries = [(found, target.client("sagemaker", found.name)) for found in steps.stacks]
    for found in steps.stacks:
        target.destroy(found.name)
        out.print(f"  deleted Pulumi stack {found.name}", markup=False)
    left = [
        f"{owned.type.rpartition(':')[2]} {owned.id}: {_COSTS[owned.type]}"
        for owned in steps.retained
    ]
    for line in dict.fromkeys([*left, *_log_groups(log_clients), *_model_groups(registries)]):
        out.print(f"  left: {line}", markup=False)
    for found in steps.stacks:
        for owned in found.resources:
            if owned.type == _KEY and not owned.retained:
                out.print(
                    f"  the key {owned.id} waits for its deletion, and costs nothing", markup=False
                )


def _log_groups(log_clients: Sequence[tuple[Deployed, Any]]) -> list[str]:
    """Return the log groups that SageMaker made for the stacks, and which no stack deletes."""
    found = []
    for stack, logs in log_clients:
        endpoint = stack.outputs.get("endpointName")
        wanted = (
            "/aws/sagemaker/TrainingJobs",
            "/aws/sagemaker/ProcessingJobs",
            f"/aws/sagemaker/Endpoints/{endpoint}",
        )
        pages = logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix="/aws/sagemaker/"
        )
        for group in (group for page in pages for group in page["logGroups"]):
            if group["logGroupName"] in wanted:
                gigabytes = group.get("storedBytes", 0) / 1024**3
                found.append(
                    f"log group {group['logGroupName']}: {LOGS_GB_MONTH} USD per GB and month, "
                    f"{gigabytes:.2f} GB now"
                )
    return found


def _model_groups(registries: Sequence[tuple[Deployed, Any]]) -> list[str]:
    """Return the groups of the model registry that the pipelines of the stacks have filled."""
    found = []
    for stack, sagemaker in registries:
        name = stack.outputs.get("modelName")
        groups = sagemaker.get_paginator("list_model_package_groups").paginate()
        for group in (one for page in groups for one in page["ModelPackageGroupSummaryList"]):
            if group["ModelPackageGroupName"] == name:
                found.append(f"model package group {name}, which costs nothing")
    return found
