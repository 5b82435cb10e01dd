"""`localcloud image push`: sends a build context to the local cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from localcloud.cli.console import CommandError, client, own_account
from localcloud.core.build_context import pack
from localcloud.core.image_builder import ARCHITECTURES
from localcloud.core.internal_client import post_lines


def push(
    directory: Path,
    repository: str,
    url: str,
    *,
    tag: str = "",
    release: str = "",
    architecture: str = ARCHITECTURES[0],
    account: str = "",
    region: str = "",
    file: str = "Dockerfile",
    target: str = "",
    arguments: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Push a directory; return its digest, its URIs and notes on what was not carried out.

    Args:
        directory: the build context, with a Dockerfile.
        repository: the name of the ECR repository.
        url: the address of the local cloud.
        tag: the image's tag; if empty, it is derived from the content.
        release: SSM parameter to set to the image's URI by digest; empty for none.
        architecture: the processors' architecture that it is for.
        account: the repository's account; by default the environment's.
        region: the repository's region, and the parameter's; by default us-east-1 for the
            repository, and the environment's for the parameter.
        file: the path of the Dockerfile in the directory.
        target: the stage of it that becomes the image; by default the last one.
        arguments: the build arguments, as `NAME=VALUE`.
        say: gets the lines of the build's log.

    Raises:
        CommandError: the directory holds no Dockerfile.
        RequestFailed: the local cloud refused the image.
    """
    if not (directory / file).is_file():
        raise CommandError(f"{directory} holds no {file}; give the directory of a container")
    body = pack(directory, file)
    query = {
        "repository": repository,
        "tag": tag,
        "account": account or own_account(),
        "architecture": architecture,
        "file": file,
        "target": target,
        "arg": list(arguments),
        "stream": "1",
        **({"region": region} if region else {}),
    }
    address = f"{url}/_localcloud/images?{urlencode(query, doseq=True)}"
    result = post_lines(address, body, say)
    if release:
        # On AWS this is the last step of the image build.
        client("ssm", url, account, region).put_parameter(
            Name=release, Value=result["uri"], Type="String", Overwrite=True
        )
    return result
