"""The image's source behind a connection: a push releases an image, under enforced IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud import TestCloud
from tests.e2e.conftest import (
    Lab,
    build_image,
    cloud_of_its_own,
    localcloud,
    localcloud_answer,
    needs_git,
)

pytestmark = [
    needs_git,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.aws_documented(
        "https://docs.aws.amazon.com/codepipeline/latest/userguide/"
        "action-reference-CodestarConnectionSource.html"
    ),
]

REPOSITORY = "acme/iris"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    with cloud_of_its_own(tmp_path_factory.mktemp("connected"), speed=60.0, iam="enforce") as own:
        yield own


@pytest.fixture(scope="module")
def connection(cloud: TestCloud) -> str:
    """Return the ARN of a connection that a person has authorised."""
    made = cloud.client("codeconnections").create_connection(
        ProviderType="GitHub", ConnectionName="lab"
    )
    return str(made["ConnectionArn"])


def test_a_push_behind_a_connection_releases_an_image(
    cloud: TestCloud, connection: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = localcloud(cloud.url, "connection", "authorize", connection, "--repository", REPOSITORY)
    url = said.split()[-1]
    settings = {
        "productionStack": "",
        "sourceRepository": REPOSITORY,
        "sourceConnectionArn": connection,
    }
    options = [word for item in settings.items() for word in ("--config", "=".join(item))]
    localcloud(cloud.url, "up", "dev", *options)
    body = cloud.get("/_localcloud/stacks/mlops-lab/dev")[1]
    lab = Lab(cloud, {**json.loads(body)["outputs"], "sourceCloneUrl": url})
    assert cloud.client("codecommit").list_repositories()["repositories"] == []
    before = released(lab)
    directory = tmp_path_factory.mktemp("source")
    assert build_image(lab, directory, trigger="WebhookV2") == "Succeeded"
    assert released(lab) != before
    assert "@sha256:" in released(lab)
    role = pipeline_role(cloud.url)
    assert role["missing"] == []
    assert "codeconnections:UseConnection" in role["used"]


def pipeline_role(url: str) -> dict[str, Any]:
    """Return what the role of the image's pipeline may do, did and was denied."""
    roles = json.loads(localcloud_answer(url, "iam", "--json").stdout)
    return next(dict(r) for r in roles if "-image-pipeline-" in r["role"])


def released(lab: Lab) -> str:
    name = lab.outputs["imageParameter"]
    return str(lab.cloud.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
