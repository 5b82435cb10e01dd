"""Each role of the lab may do what it does, and does what it may: on a cloud that enforces IAM.

The roles and their policies are read from the running cloud, not from the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cloud import configured_url, local_cloud, wait_for
from tests.e2e.conftest import Lab, deployed, localcloud_answer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.aws_documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"
    ),
]

DEV, PRD = "iris-model-development", "iris-model-production"
STACKS = ("mlops-deploy-iris-model-dev", "mlops-deploy-iris-model-prd")

# Roles that do not act here, and why.
IDLE = {"image-": "the image is built by CodeBuild, which does not run here"}
# Granted actions that no call here needs, and why AWS needs them.
ONLY_ON_AWS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Proof:
    """What the roles of a lab did from its first stack to its last."""

    lab: Lab
    statuses: tuple[str, ...]
    roles: dict[str, dict[str, Any]]


def roles_of(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return what `localcloud iam` says, by the role's name without the model's."""
    answer = localcloud_answer(lab.cloud.url, "iam", "--json")
    assert answer.returncode in (0, 2), answer.stderr
    found = json.loads(answer.stdout)
    return {role["role"].rpartition("/")[2]: role for role in found}


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, iris: bytes) -> Iterator[Proof]:
    """A lab on an enforcing cloud: made, delivered twice, and its endpoints deleted again."""
    if configured_url() is not None:
        pytest.skip("the lab is deployed to a local cloud of its own")
    log = tmp_path_factory.mktemp("iam") / "localcloud.log"
    with local_cloud(speed=60.0, log=log, iam="enforce") as cloud:
        lab = deployed(cloud)
        statuses: list[str] = []
        for _ in range(2):
            execution = lab.upload(iris)
            lab.answer("Approved")
            statuses.append(lab.ended(execution))
        cloudformation = cloud.client("cloudformation")
        for stack in STACKS:
            cloudformation.delete_stack(StackName=stack)
        wait_for("the stacks to go", lambda: not cloudformation.describe_stacks()["Stacks"])
        yield Proof(lab, tuple(statuses), roles_of(lab))
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


def test_nothing_that_the_lab_does_is_denied(proof: Proof) -> None:
    assert proof.statuses == ("Succeeded", "Succeeded")
    assert {name: r["missing"] for name, r in proof.roles.items() if r["missing"]} == {}


def test_every_permission_of_every_role_is_used(proof: Proof) -> None:
    unused = {
        name: sorted(set(role["unused"]) - ONLY_ON_AWS.keys())
        for name, role in proof.roles.items()
        if not any(part in name for part in IDLE)
    }
    left = {name: actions for name, actions in unused.items() if actions}
    assert not left, json.dumps(left, indent=1)
