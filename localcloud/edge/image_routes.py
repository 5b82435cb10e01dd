"""The routes by which images are built and registered in ECR.

    POST /_localcloud/images/build      a build context as a tar archive; also architecture=, file=,
                                        target= and arg=NAME=VALUE
    POST /_localcloud/images?repository=&tag=   the same, and registers the image; also account=,
                                        region= and access_key=. With digest= an image that was
                                        built, and no body

With `stream=1` the answer has a line of JSON for each line of the build's log, `{"line": …}`, and
at last `{"image": …}` or `{"message": …}`; its status is 200 in either case.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from localcloud.aws.errors import AccessDenied
from localcloud.aws.routing import (
    DEFAULT_REGION,
    Request,
    Response,
    Scope,
    StreamedResponse,
    account_of_access_key,
)
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_builder import ARCHITECTURES, BuildOptions, ImageBuilder
from localcloud.core.image_store import StoredImage
from localcloud.iam.actions import push_of_image
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud")

ROUTE = "/_localcloud/images"
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._/-]{1,255}")
_TAG = re.compile(r"[\w][\w.-]{0,127}")
_MOST_ARGUMENTS = 100


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ImageRoutes:
    """A handler of the chain.

    Args:
        context: what services share.
        builder: builds the images.
    """

    def __init__(self, context: ServiceContext, builder: ImageBuilder) -> None:
        self._context, self._builder = context, builder

    async def handle(self, request: Request) -> Response | None:
        """Build or register an image; return None for any other path."""
        if request.method != "POST" or request.path not in (ROUTE, f"{ROUTE}/build"):
            return None
        query = parse_qs(request.query, keep_blank_values=True)

        async def work(say: Callable[[str], None]) -> dict[str, Any]:
            if request.path == ROUTE:
                return await self._push(request, query, say)
            image = await self._build(request, query, say)
            return {"digest": image.digest, "notes": image.notes}

        if query.get("stream") == ["1"]:
            return StreamedResponse(200, {"content-type": "application/jsonl"}, _lines(work))
        try:
            document, status = await work(lambda line: None), 200
        except _Refused as error:
            document, status = {"message": str(error)}, error.status
        return Response(status, {"content-type": "application/json"}, _json(document))

    async def _build(
        self, request: Request, query: dict[str, list[str]], say: Callable[[str], None]
    ) -> StoredImage:
        given = query.get("arg", [])
        if len(given) > _MOST_ARGUMENTS:
            raise _Refused(400, f"there are {len(given)} build arguments; at most 100 are allowed")
        options = BuildOptions(
            _one(query, "architecture", ARCHITECTURES[0]),
            _one(query, "file", "Dockerfile"),
            _one(query, "target"),
            dict(argument.partition("=")[::2] for argument in given),
        )
        try:
            return await self._builder.build(request.body, options, say)
        except ImageError as error:
            raise _Refused(400, str(error)) from None

    async def _push(
        self, request: Request, query: dict[str, list[str]], say: Callable[[str], None]
    ) -> dict[str, Any]:
        repository, tag = _one(query, "repository"), _one(query, "tag")
        account = account_of_access_key(_one(query, "account"))
        scope = Scope(account, _one(query, "region", DEFAULT_REGION))
        if not _REPOSITORY.fullmatch(repository) or not (not tag or _TAG.fullmatch(tag)):
            raise _Refused(400, f"bad repository '{repository}' or tag '{tag}'")
        session = self._context.iam.keys.get(_one(query, "access_key"))
        if session is not None:  # a build pushes as its role, like Docker
            wanted = push_of_image(scope, repository)
            try:
                await self._context.iam.authorise(session.role_arn, wanted)
            except AccessDenied as error:
                raise _Refused(403, error.message) from None
        # Looked up before the build, which may take minutes.
        await self._check_repository(scope, repository)
        if "digest" in query:
            try:
                image = await asyncio.to_thread(self._context.images.stored, _one(query, "digest"))
            except ImageError as error:
                raise _Refused(404, str(error)) from None
        else:
            image = await self._build(request, query, say)
        # The tag follows from the content, so that the same image gets the same tag and another
        # image another one.
        tag = tag or image.digest.removeprefix("sha256:")[:12]
        try:
            await self._context.api(
                scope,
                "ecr",
                "put_image",
                repositoryName=repository,
                imageManifest=json.dumps(image.manifest),
                imageTag=tag,
                imageDigest=image.digest,
            )
        except Exception as error:
            if "ImageAlreadyExistsException" not in str(error):
                raise _Refused(400, f"repository '{repository}': {error}") from None
        uri = f"{scope.account}.dkr.ecr.{scope.region}.amazonaws.com/{repository}"
        return {
            "digest": image.digest,
            "uri": f"{uri}@{image.digest}",
            "tag": f"{uri}:{tag}",
            "notes": image.notes,
        }

    async def _check_repository(self, scope: Scope, repository: str) -> None:
        try:
            await self._context.api(
                scope, "ecr", "describe_repositories", repositoryNames=[repository]
            )
        except Exception as error:
            raise _Refused(404, f"repository '{repository}': {error}") from None


async def _lines(
    work: Callable[[Callable[[str], None]], Awaitable[dict[str, Any]]],
) -> AsyncGenerator[bytes]:
    """Yield a line of JSON for each line of the log, and one for the end."""
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run() -> None:
        document: dict[str, Any]
        try:
            document = {"image": await work(lambda line: queue.put_nowait({"line": line}))}
        except _Refused as error:
            document = {"message": str(error)}
        except Exception:
            log.exception("a build")
            document = {"message": "the build failed in the local cloud, whose log says why"}
        queue.put_nowait(document)
        queue.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        while (entry := await queue.get()) is not None:
            yield _json(entry)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _one(query: dict[str, list[str]], name: str, default: str = "") -> str:
    return query.get(name, [default])[0]


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
