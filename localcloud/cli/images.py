"""`localcloud image push`: a build context as a tar archive, to the local cloud."""

from __future__ import annotations

import json
from pathlib import Path

from localcloud.cli.console import CommandError, client
from localcloud.core.build_context import pack
from localcloud.core.internal_client import post


def push(
    directory: Path, repository: str, url: str, *, tag: str = "", release: str = ""
) -> dict[str, str]:
    """Push a directory; return its digest and URIs.

    Args:
        directory: the build context, with a Dockerfile.
        repository: of ECR.
        url: of the local cloud.
        tag: empty for one that follows from the content.
        release: SSM parameter that is to hold the image, by digest; empty for none.

    Raises:
        CommandError: no such directory, no Dockerfile, or the cloud refused it.
    """
    if not (directory / "Dockerfile").is_file():
        raise CommandError(f"{directory} holds no Dockerfile; give the directory of a container")
    body = pack(directory)
    answer = post(f"{url}/_localcloud/images?repository={repository}&tag={tag}", body)
    result: dict[str, str] = json.loads(answer)
    if release:
        # What the image build does on AWS as its last step.
        client("ssm", url).put_parameter(
            Name=release, Value=result["uri"], Type="String", Overwrite=True
        )
    return result
