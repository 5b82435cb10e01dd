"""The real AWS provider deploys the program's resources to a local cloud: it finds what mocks hide.

Terraform and a mirror of hashicorp/aws are needed: `TF_PLUGIN_MIRROR` names a directory that holds
`registry.terraform.io/hashicorp/aws/VERSION/PLATFORM`. Without them every test is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import local_cloud
from tests.listing import resources
from tests.provider.terraform import VARIANTS, Terraform, missing

pytestmark = [pytest.mark.provider, pytest.mark.emulator_only, pytest.mark.timeout(900)]

CHANGED = {
    "trainingMaxRuntimeSeconds": "1800",
    "latencyP99Milliseconds": "700",
    "approvalTimeoutMinutes": "600",
}
# What these settings are in, and nothing else.
TOUCHED = {
    "aws_cloudwatch_dashboard.dev_dev_dashboard",
    "aws_cloudwatch_dashboard.prd_prd_dashboard",
    "aws_cloudwatch_metric_alarm.dev_dev_latency_p99",
    "aws_cloudwatch_metric_alarm.prd_prd_latency_p99",
    "aws_codepipeline.dev_delivery",
}


@pytest.fixture(scope="module", params=VARIANTS)
def terraform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terraform]:
    """Both stacks, applied; the tests of a variant go on from each other."""
    why = missing()
    if why:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("terraform")
    log = directory / "localcloud.log"
    with local_cloud(speed=60.0, log=log) as cloud:
        made = Terraform(cloud, directory, VARIANTS[request.param])
        made.init()
        made.render()
        made.done("apply", "-auto-approve")
        yield made
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-4000:]}"


def test_what_was_applied_needs_no_change(terraform: Terraform) -> None:
    assert terraform.count() > 80
    assert terraform.plan() == {}


def test_a_changed_setting_updates_in_place_what_it_touches(terraform: Terraform) -> None:
    terraform.render(**CHANGED)
    assert terraform.plan() == {address: ["update"] for address in TOUCHED}
    terraform.done("apply", "plan")
    assert terraform.plan() == {}


def test_a_changed_tag_reaches_each_resource_in_place(terraform: Terraform) -> None:
    terraform.render(**CHANGED, owner="somebody-else")
    planned = terraform.plan()
    assert {tuple(actions) for actions in planned.values()} == {("update",)}
    assert len(planned) >= 40
    terraform.done("apply", "plan")
    assert terraform.plan() == {}


def test_what_is_destroyed_leaves_nothing(terraform: Terraform) -> None:
    terraform.done("destroy", "-auto-approve")
    assert resources(terraform.cloud) == {}
