"""Runs a comparison: the base on a local cloud of its own, then the head on top of it.

    base ─► up ─► snapshot ─► preview of the head ─► up of the head ─► snapshot ─► compared
        with --run: ─► image of the head ─► dataset ─► pipeline, approved ─► production ─► marked

So the preview is of the state that the base leaves, and the second `up` shows that the one can
become the other. With --run, the cloud enforces IAM. The programs run as children without this
process's environment: they may come from a stranger, and find no credentials and no token.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.cli.console import EXIT_FOUND, CommandError, client
from localcloud.cli.images import push
from localcloud.cli.own_cloud import OwnCloud, start_own_cloud
from localcloud.core.child_process import base_environment, free_port
from localcloud.core.internal_client import RequestFailed, delete, get
from localcloud.deploy.project import project_name
from localcloud.review.comparison import Json, Snapshot, compared
from localcloud.review.delivery import NEEDED, deliver, stop_schedules
from localcloud.review.revisions import Revision, check_out, working_tree
from localcloud.review.usage import denied, marked

STACKS = ("prd", "dev")
_COMMAND_SECONDS = 300
_TEMPLATE = "template.json"
_TABLE = "iris"
_CALLS = "_localcloud/iam/calls"
# What is denied on AWS is denied here, and nobody waits for the minutes of a canary.
_FOR_THE_RUN = ("--iam", "enforce", "--speed", "240")

Progress = Callable[[str], None]


def compare(
    project: Path,
    base: str,
    head: str | None,
    progress: Progress,
    stacks: Sequence[str] = STACKS,
    *,
    run_lab: bool = False,
) -> Json:
    """Compare two revisions of a project.

    Args:
        project: the project's directory, in a Git repository.
        base: a revision.
        head: another one; None for the working tree.
        progress: called with each step.
        stacks: the names of the stacks, in the order of their deployment.
        run_lab: deliver a dataset to the head's production, too. The comparison then has `run`,
            with `status` (`Succeeded` or `Failed`), `reason` and the `denied` calls. If the run
            succeeded, each gained grant has `used`, as `usage.marked` says.

    Raises:
        CommandError: a revision is not there, or cannot be deployed.
    """
    with tempfile.TemporaryDirectory(prefix="localcloud-diff-") as name:
        parent = Path(name)
        old = check_out(project, base, parent)
        new = check_out(project, head, parent) if head else working_tree(project)
        environment = {**base_environment(), "HOME": str(parent), "PYTHONDONTWRITEBYTECODE": "1"}
        progress("starting a local cloud")
        cloud = start_own_cloud(
            free_port(),
            parent / "localcloud.log",
            *(_FOR_THE_RUN if run_lab else ()),
            environment=environment,
        )
        try:
            run = _Run(cloud, environment, progress)
            found, after = run.compare(old, new, stacks)
            if run_lab:
                found |= run.lab(new, after, found["permissions"], parent / "dataset.zip")
        finally:
            cloud.stop()
    return {
        "base": {"name": old.name, "commit": old.commit},
        "head": {"name": new.name, "commit": new.commit},
        **found,
    }


class _Run:
    def __init__(self, cloud: OwnCloud, environment: dict[str, str], progress: Progress) -> None:
        self._url = cloud.url
        self._environment = {
            **environment,
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_ACCESS_KEY_ID": DEFAULT_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "localcloud",
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
        }
        self._progress = progress

    def compare(
        self, old: Revision, new: Revision, stacks: Sequence[str]
    ) -> tuple[Json, Sequence[Snapshot]]:
        """Return the comparison, and the head's stacks, which are deployed now."""
        before = [self._deployed(old, stack) for stack in stacks]
        previews, after = [], []
        for stack in stacks:
            self._progress(f"previewing {stack} of {new.name}")
            text = self._localcloud(new, "preview", stack, "--json", allowed=(0, EXIT_FOUND))
            previews.append(json.loads(text))
            after.append(self._deployed(new, stack))
        return compared(before, after, previews), after

    def lab(
        self, new: Revision, stacks: Sequence[Snapshot], permissions: list[Json], dataset: Path
    ) -> Json:
        """Deliver a dataset to production; return the outcome, and the permissions marked by it."""
        from botocore.exceptions import BotoCoreError, ClientError

        calls: list[Json] = []
        reason = ""
        try:
            stack = _stack_of_the_pipeline(new, stacks)
            region = _region(stack)
            self._prepare(new, stack.outputs, region, dataset)
            # What the base did, and a schedule that was at work when it was stopped, do not count.
            delete(f"{self._url}/{_CALLS}")
            self._progress(f"delivering the dataset to production of {new.name}")
            try:
                deliver(self._url, region, stack.outputs, dataset.read_bytes())
            finally:
                calls = json.loads(get(f"{self._url}/{_CALLS}"))
        except (CommandError, RequestFailed, BotoCoreError, ClientError) as error:
            reason = " ".join(str(error).split())
        return {
            "run": {
                "status": "Failed" if reason else "Succeeded",
                "reason": reason,
                "denied": denied(calls),
            },
            # A run that failed does not say what the rest of it would have used.
            "permissions": permissions if reason else marked(permissions, calls),
        }

    def _prepare(
        self, new: Revision, outputs: Mapping[str, Any], region: str, dataset: Path
    ) -> None:
        """Push the image and create the dataset, both with the revision's own code."""
        stop_schedules(self._url, region)
        self._progress(f"pushing the image of {new.name}")
        push(
            new.directory / "model",
            outputs["repositoryName"],
            self._url,
            release=outputs["imageParameter"],
            account=DEFAULT_ACCOUNT,
            region=region,
        )
        self._progress(f"creating a dataset with {new.name}")
        self._child(
            new,
            ("-m", "model.dataset", "--table", _TABLE, "--out", str(dataset)),
            what="model.dataset",
        )
        if not dataset.is_file():
            raise CommandError(f"model.dataset of {new.name} wrote no file")

    def _deployed(self, revision: Revision, stack: str) -> Snapshot:
        self._progress(f"deploying {stack} of {revision.name}")
        self._localcloud(revision, "up", stack)
        project = project_name(revision.directory)
        state = json.loads(get(f"{self._url}/_localcloud/stacks/{project}/{stack}"))
        template = self._template(state["outputs"])
        return Snapshot(
            stack,
            state["resources"],
            state["outputs"],
            template,
            self._violations(revision, state["resources"], template),
        )

    def _template(self, outputs: Json) -> Json:
        """Return the template that the pipeline deploys: the stack's outputs say where it is."""
        bucket, key = outputs.get("templateBucket"), outputs.get("templateKey")
        if not bucket or not key:
            return {}
        body = client("s3", self._url, DEFAULT_ACCOUNT).get_object(Bucket=bucket, Key=key)["Body"]
        with zipfile.ZipFile(io.BytesIO(body.read())) as archive:
            found: Json = json.loads(archive.read(_TEMPLATE))
        return found

    def _violations(
        self, revision: Revision, resources: Sequence[Json], template: Json
    ) -> list[dict[str, str]]:
        """Return the violations of the revision's own rules, if it has any."""
        if not (revision.directory / "policy" / "check.py").is_file():
            return []
        given = [
            {
                "type": resource["type"],
                "name": resource["name"],
                "urn": resource["urn"],
                "properties": _with_template(resource, template),
                "protect": resource["options"]["protect"],
            }
            for resource in resources
        ]
        text = self._child(
            revision, ("-m", "policy.check"), input_text=json.dumps(given), what="policy.check"
        )
        found: list[dict[str, str]] = json.loads(text)
        return found

    def _localcloud(
        self, revision: Revision, *arguments: str, allowed: tuple[int, ...] = (0,)
    ) -> str:
        # -P: the program is the revision's, the local cloud is this one.
        return self._child(
            revision,
            ("-P", "-m", "localcloud", *arguments),
            allowed=allowed,
            what=" ".join(arguments[:2]),
        )

    def _child(
        self,
        revision: Revision,
        arguments: Sequence[str],
        *,
        what: str,
        allowed: tuple[int, ...] = (0,),
        input_text: str = "",
    ) -> str:
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=revision.directory,
                env=self._environment,
                input=input_text,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(
                f"{what} of {revision.name} did not end within {_COMMAND_SECONDS} s"
            ) from None
        if done.returncode not in allowed:
            said = " ".join((done.stderr or done.stdout).split())[-600:]
            raise CommandError(f"{what} of {revision.name} failed: {said}")
        return done.stdout


def _region(stack: Snapshot) -> str:
    found = (resource["outputs"].get("region") for resource in stack.resources)
    return next((str(region) for region in found if region), DEFAULT_REGION)


def _stack_of_the_pipeline(revision: Revision, stacks: Sequence[Snapshot]) -> Snapshot:
    """Return the stack whose outputs say where the pipeline, its image and its dataset are.

    Raises:
        CommandError: no stack has what the run needs.
    """
    best = max(stacks, key=lambda stack: sum(name in stack.outputs for name in NEEDED))
    missing = [name for name in NEEDED if not best.outputs.get(name)]
    if missing:
        raise CommandError(
            f"no stack of {revision.name} exports {', '.join(missing)}, by which the run finds the "
            "pipeline; export it, or leave --run out"
        )
    return best


def _with_template(resource: Json, template: Json) -> dict[str, Any]:
    """Return a resource's inputs, with the template in place of its archive's hash."""
    inputs: dict[str, Any] = resource["inputs"]
    if resource["type"] != "aws:s3/bucketObjectv2:BucketObjectv2" or not template:
        return inputs
    return {**inputs, "source": {"assets": {_TEMPLATE: {"text": json.dumps(template)}}}}
