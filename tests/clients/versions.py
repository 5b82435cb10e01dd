"""The versions of the clients under test, as they are installed here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
ABSENT = "not there"
# Environment → the distributions in it that are tested, with the name that docs/clients.md uses.
TESTED = {
    "command-line": {
        "awscli": "AWS CLI 1 (PyPI)",
        "awscli-local": "awslocal",
        "pulumi-local": "pulumilocal",
    },
    "sagemaker-2": {"sagemaker": "SageMaker Python SDK 2"},
    "sagemaker-3": {"sagemaker": "SageMaker Python SDK 3"},
    "dataframes": {"awswrangler": "awswrangler", "s3fs": "s3fs", "pandas": "pandas"},
}


def printed(program: str, *arguments: str) -> str:
    """Return the first line that a program prints, or that it is not there."""
    found = shutil.which(program)
    if found is None:
        return ABSENT
    answer = subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return answer.stdout.partition("\n")[0].strip() or ABSENT


def aws_cli_2() -> tuple[str, str] | None:
    """Return path and version of the first AWS CLI 2 on PATH, which no package index has."""
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which("aws", path=directory)
        if path is not None:
            name, _, version = printed(path, "--version").partition(" ")[0].partition("/")
            if name == "aws-cli" and version.startswith("2."):
                return path, version
    return None


def installed(environment: str, distribution: str) -> str:
    """Return the version of a distribution in one of the environments."""
    paths = [str(p) for p in (HERE / ".venv" / environment).glob("lib/*/site-packages")]
    found = [d.version for d in metadata.distributions(name=distribution, path=paths)]
    return found[0] if found else ABSENT


def versions() -> dict[str, str]:
    """Return the version of each client by its name."""
    cli = aws_cli_2()
    modules = HERE / "javascript" / "node_modules" / "@aws-sdk"
    javascript = [json.loads(p.read_text()) for p in sorted(modules.glob("*/package.json"))]
    asked = json.loads((HERE / "javascript" / "package.json").read_text())["dependencies"]
    return {
        **{
            name: installed(environment, distribution)
            for environment, distributions in TESTED.items()
            for distribution, name in distributions.items()
        },
        "AWS CLI 2 (on PATH)": cli[1] if cli else ABSENT,
        "Node.js": printed("node", "--version"),
        **{p["name"]: p["version"] for p in javascript if p["name"] in asked},
        "Pulumi CLI": printed("pulumi", "version"),
    }
