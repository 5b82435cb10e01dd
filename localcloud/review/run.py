"""Runs a comparison: the base on a local cloud of its own, then the head on top of it.

    base ─► up ─► snapshot ─► preview of the head ─► up of the head ─► snapshot ─► compared

So the preview is of the state that the base leaves, and the second `up` shows that the one can
become the other. The programs run as children without this process's environment: they may come
from a stranger, and find no credentials and no token.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from localcloud.aws.routing import DEFAULT_ACCOUNT, DEFAULT_REGION
from localcloud.cli.console import CommandError, client
from localcloud.cli.own_cloud import OwnCloud, start_own_cloud
from localcloud.core.child_process import base_environment, free_port
from localcloud.core.internal_client import get
from localcloud.deploy.project import project_name
from localcloud.review.comparison import Json, Snapshot, compared
from localcloud.review.revisions import Revision, check_out, working_tree

STACKS = ("prd", "dev")
_COMMAND_SECONDS = 300
_CHANGES = 2
_TEMPLATE = "template.json"

Progress = Callable[[str], None]


def compare(
    project: Path, base: str, head: str | None, progress: Progress, stacks: Sequence[str] = STACKS
) -> Json:
    """Compare two revisions of a project.

    Args:
        project: the project's directory, in a Git repository.
        base: a revision.
        head: another one; None for the working tree.
        progress: called with each step.
        stacks: the names of the stacks, in the order of their deployment.

    Raises:
        CommandError: a revision is not there, or cannot be deployed.
    """
    with tempfile.TemporaryDirectory(prefix="localcloud-diff-") as name:
        parent = Path(name)
        old = check_out(project, base, parent)
        new = check_out(project, head, parent) if head else working_tree(project)
        environment = {**base_environment(), "HOME": str(parent), "PYTHONDONTWRITEBYTECODE": "1"}
        progress("starting a local cloud")
        cloud = start_own_cloud(free_port(), parent / "localcloud.log", environment=environment)
        try:
            found = _Run(cloud, environment, progress).compare(old, new, stacks)
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

    def compare(self, old: Revision, new: Revision, stacks: Sequence[str]) -> Json:
        before = [self._deployed(old, stack) for stack in stacks]
        previews, after = [], []
        for stack in stacks:
            self._progress(f"previewing {stack} of {new.name}")
            text = self._localcloud(new, "preview", stack, "--json", allowed=(0, _CHANGES))
            previews.append(json.loads(text))
            after.append(self._deployed(new, stack))
        return compared(before, after, previews)

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


def _with_template(resource: Json, template: Json) -> dict[str, Any]:
    """Return a resource's inputs, with the template in place of its archive's hash."""
    inputs: dict[str, Any] = resource["inputs"]
    if resource["type"] != "aws:s3/bucketObjectv2:BucketObjectv2" or not template:
        return inputs
    return {**inputs, "source": {"assets": {_TEMPLATE: {"text": json.dumps(template)}}}}
