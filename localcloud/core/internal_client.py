"""A client of the local cloud's own routes (`/_localcloud/…`), for commands and build tools."""

from __future__ import annotations

import json
import urllib.error
import urllib.request


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


def delete(url: str) -> bytes:
    """DELETE on one of the local cloud's own routes.

    Raises:
        RequestFailed: no local cloud answers, or the answer is an error.
    """
    return _send(urllib.request.Request(url, method="DELETE"), 60)  # noqa: S310 - http by us


def _send(request: urllib.request.Request, timeout_seconds: float) -> bytes:
    url = request.full_url.partition("/_local")[0]
    try:
        answer = urllib.request.urlopen(request, timeout=timeout_seconds)  # noqa: S310 - as above
        with answer:
            content: bytes = answer.read()
            return content
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
