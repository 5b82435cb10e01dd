"""A client of the local cloud's own routes (`/_localcloud/…`), for commands and build tools."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any


class RequestFailed(Exception):
    """No local cloud answers, or it refused the request; the text says why and what to do."""


def get(url: str) -> bytes:
    """GET one of the local cloud's own routes.

    Raises:
        RequestFailed: no local cloud answers, or the answer is an error.
    """
    return _send(urllib.request.Request(url), 60)  # noqa: S310 - http by us


def post(url: str, body: bytes, timeout_seconds: float = 60) -> bytes:
    """POST to one of the local cloud's own routes.

    Raises:
        RequestFailed: no local cloud answers, or the answer is an error.
    """
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - http by us
    return _send(request, timeout_seconds)


def post_lines(
    url: str, body: bytes, say: Callable[[str], None], timeout_seconds: float = 3600
) -> dict[str, Any]:
    """POST to a route that answers with the lines of a log and at last with a document.

    Args:
        url: the route, with `stream=1` in its query.
        body: the request's body.
        say: gets each line.
        timeout_seconds: the longest silence.

    Raises:
        RequestFailed: no local cloud answers, it refused the request, or it ended in between.
    """
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - http by us
    with _answer(request, timeout_seconds) as answer:
        try:
            for line in answer:
                entry = json.loads(line)
                if "line" in entry:
                    say(str(entry["line"]))
                elif "message" in entry:
                    raise RequestFailed(str(entry["message"]))
                else:
                    document: dict[str, Any] = entry["image"]
                    return document
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise RequestFailed(f"the local cloud's answer broke off: {error}") from None
    raise RequestFailed("the local cloud ended before the build did; its log may say why")


def delete(url: str) -> bytes:
    """DELETE on one of the local cloud's own routes.

    Raises:
        RequestFailed: no local cloud answers, or the answer is an error.
    """
    return _send(urllib.request.Request(url, method="DELETE"), 60)  # noqa: S310 - http by us


def _send(request: urllib.request.Request, timeout_seconds: float) -> bytes:
    with _answer(request, timeout_seconds) as answer:
        try:
            content: bytes = answer.read()
        except OSError as error:
            raise RequestFailed(f"the local cloud's answer broke off: {error}") from None
        return content


def _answer(request: urllib.request.Request, timeout_seconds: float) -> Any:
    url = request.full_url.partition("/_local")[0]
    try:
        return urllib.request.urlopen(request, timeout=timeout_seconds)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        try:
            message = json.loads(error.read())["message"]
        except (ValueError, KeyError):
            message = str(error)
        raise RequestFailed(message) from None
    except OSError as error:
        raise RequestFailed(
            f"no local cloud answers at {url} ({getattr(error, 'reason', error)}); "
            "start it with: localcloud start"
        ) from None
