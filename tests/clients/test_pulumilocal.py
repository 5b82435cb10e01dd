"""pulumilocal, unchanged: the settings that it writes for Pulumi lead to the local cloud.

The Pulumi CLI is needed, and is not on a package index. pulumilocal asks it for the schema of the
plug-in `aws`; a stand-in answers that one question, so that the plug-in itself is not needed. The
program deploys by boto3 with exactly the settings that the plug-in would get.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from components.provider import SERVICES
from tests.clients.conftest import HERE, Client
from tests.cloud import TestCloud

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

_PROGRAM = """
import boto3, pulumi
settings = pulumi.Config("aws")
endpoints = {k: v for each in settings.require_object("endpoints") for k, v in each.items()}
def client(service):
    return boto3.client(
        service,
        endpoint_url=endpoints[service],
        region_name=settings.require("region"),
        aws_access_key_id=settings.require("accessKey"),
        aws_secret_access_key=settings.require("secretKey"),
    )
pulumi.export("account", client("sts").get_caller_identity()["Account"])
if not pulumi.runtime.is_dry_run():
    client("s3").create_bucket(Bucket="by-pulumilocal")
pulumi.export("endpoints", sorted(set(endpoints.values())))
pulumi.export("path style", settings.require_bool("s3UsePathStyle"))
"""
# `pulumi`, but for the schema of the plug-in, of which pulumilocal reads the services.
_STAND_IN = """#!{python}
import json, os, sys
if sys.argv[1:3] == ["package", "get-schema"]:
    services = dict.fromkeys({services!r}, {{"type": "string"}})
    print(json.dumps({{"types": {{"aws:config/endpoints:endpoints": {{"properties": services}}}}}}))
else:
    os.execv({pulumi!r}, [{pulumi!r}, *sys.argv[1:]])
"""


@pytest.fixture
def project(commands: Client, tmp_path: Path) -> Path:
    """A project of one program, and a stand-in of `pulumi` that its user names by PULUMI_CMD."""
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        pytest.skip("pulumi is not on PATH: https://www.pulumi.com/docs/iac/download-install/")
    if shutil.which("pulumilocal", path=commands.variables["PATH"]) is None:
        pytest.skip("pulumilocal is not set up: run `make test-clients`")
    project = tmp_path / "project"
    project.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    about = {"name": "by-pulumilocal", "runtime": runtime}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(about))
    (project / "__main__.py").write_text(_PROGRAM)
    services = [service.rstrip("_") for service in SERVICES]
    stand_in = tmp_path / "pulumi-without-plugin"
    text = _STAND_IN.format(python=sys.executable, services=services, pulumi=pulumi)
    stand_in.write_text(text)
    stand_in.chmod(0o755)
    return project


def test_pulumilocal_deploys_to_the_local_cloud(
    commands: Client, project: Path, tmp_path: Path
) -> None:
    program = HERE / ".venv" / "command-line" / "bin" / "pulumilocal"
    variables = {
        # Pulumi's host of Python programs runs in the first Python on PATH.
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_CMD": str(tmp_path / "pulumi-without-plugin"),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "CONFIG_STRATEGY": "overwrite",
    }

    def pulumilocal(*arguments: str) -> str:
        return commands.run(str(program), *arguments, "-C", str(project), **variables)

    pulumilocal("stack", "init", "there", "--non-interactive")
    pulumilocal("preview", "--stack", "there", "--non-interactive")
    buckets = _buckets(commands.cloud)
    assert "by-pulumilocal" not in buckets
    pulumilocal("up", "--stack", "there", "--yes", "--non-interactive")
    assert "by-pulumilocal" in _buckets(commands.cloud)
    outputs = json.loads(pulumilocal("stack", "output", "--stack", "there", "--json"))
    assert outputs == {
        "account": "000000000000",
        "endpoints": [commands.cloud.url],
        "path style": True,
    }
    written = yaml.safe_load((project / "Pulumi.there.yaml").read_text())["config"]
    named = [name for each in written["aws:endpoints"] for name in each]
    assert sorted(service.rstrip("_") for service in SERVICES) == sorted(named)
    pulumilocal("destroy", "--stack", "there", "--yes", "--non-interactive")


def _buckets(cloud: TestCloud) -> list[str]:
    return [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
