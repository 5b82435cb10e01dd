"""The provider under the settings that pulumilocal writes: an endpoint a service, no account asked.

Source: https://github.com/localstack/pulumi-local (set_localstack_pulumi_config)
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cloud import local_cloud
from tests.provider.terraform import Terraform, missing

pytestmark = [pytest.mark.provider, pytest.mark.emulator_only, pytest.mark.timeout(900)]

# pulumilocal asks the provider's schema for the names; the provider refuses two of one service.
ALIASES = {"appautoscaling"}


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """A directory with the provider installed, and a cloud."""
    why = missing()
    if why:
        pytest.skip(why)
    with local_cloud(speed=60.0) as cloud:
        found = Terraform(cloud, tmp_path_factory.mktemp("pulumilocal"), {})
        found.init()
        yield found


def test_what_it_makes_is_stable_and_goes_again(terraform: Terraform) -> None:
    schema = json.loads((terraform.directory / "schema.json").read_text())
    (provider,) = schema["provider_schemas"].values()
    endpoints = provider["provider"]["block"]["block_types"]["endpoints"]["block"]["attributes"]
    wanted = {
        "s3",
        "iam",
        "sns",
        "logs",
        "codepipeline",
        "applicationautoscaling",
        "cloudformation",
    }
    assert wanted <= set(endpoints) - ALIASES
    document = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "provider": {
            "aws": {
                "region": "us-east-1",
                "access_key": "test",
                "secret_key": "test",
                "s3_use_path_style": True,
                "skip_credentials_validation": True,
                "skip_requesting_account_id": True,
                # One block a service, as pulumilocal sets aws:endpoints[N].SERVICE.
                "endpoints": [{name: terraform.cloud.url} for name in sorted(wanted)],
            }
        },
        "resource": {
            "aws_s3_bucket": {"bucket": {"bucket": "by-pulumilocal"}},
            "aws_sns_topic": {"topic": {"name": "by-pulumilocal"}},
            "aws_cloudwatch_log_group": {"group": {"name": "/by/pulumilocal"}},
            "aws_cloudformation_stack": {
                "stack": {
                    "name": "by-pulumilocal",
                    "template_body": json.dumps(
                        {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}
                    ),
                }
            },
        },
    }
    (terraform.directory / "main.tf.json").write_text(json.dumps(document))
    terraform.done("apply", "-auto-approve")
    assert terraform.plan() == {}
    buckets = terraform.cloud.client("s3").list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["by-pulumilocal"]
    terraform.done("destroy", "-auto-approve")
    assert terraform.cloud.client("s3").list_buckets()["Buckets"] == []
