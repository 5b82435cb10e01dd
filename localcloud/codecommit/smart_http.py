"""Git's smart HTTP: the requests of `git clone`, `git fetch` and `git push` to one repository.

This module reads paths and bodies and runs git; it must not know whose repository it is.

Source: https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs

from localcloud.aws.routing import Request, Response
from localcloud.codecommit.git import SERVICES, GitError, GitRepository
from localcloud.core.archives import ArchiveError, Bounds, gunzip

# Git compresses the list of what it has, and sends objects in packs, which are compressed already.
_BODY_BOUNDS = Bounds(most_bytes=128 * 1024 * 1024)

# Full name of a reference → commit.
References = dict[str, str]


async def answer(
    repository: GitRepository,
    request: Request,
    rest: str,
    on_push: Callable[[References, References], None],
) -> Response:
    """Answer one request of Git.

    Args:
        repository: the repository, which is created when it is first used.
        request: the request.
        rest: its path after the repository's URL, such as `info/refs`.
        on_push: called after a push with the references before and after it.
    """
    headers = {"cache-control": "no-cache"}
    try:
        if (request.method, rest) == ("GET", "info/refs"):
            service = parse_qs(request.query).get("service", [""])[0]
            if service not in SERVICES:
                return text(403, "Only Git's smart protocol is supported here.\n")
            headers["content-type"] = f"application/x-{service}-advertisement"
            return Response(200, headers, await repository.advertise(service))
        if request.method == "POST" and rest in SERVICES:
            body = request.body
            if request.headers.get("content-encoding") == "gzip":
                body = await asyncio.to_thread(gunzip, body, _BODY_BOUNDS)
            headers["content-type"] = f"application/x-{rest}-result"
            before = await repository.references()
            found = await repository.exchange(rest, body)
            if rest == "git-receive-pack":
                on_push(before, await repository.references())
            return Response(200, headers, found)
    except (GitError, ArchiveError) as error:
        return text(400, f"{error}\n")
    return text(404, f"There is no {request.method} {rest} of a repository.\n")


def text(status: int, content: str) -> Response:
    """Return a response of plain text, which Git shows."""
    return Response(status, {"content-type": "text/plain"}, content.encode())
