"""Pure: the requests in the lines of SageMaker's data capture, as the endpoint got them.

`captures` reads the same lines as rows and predictions of one model. Here two models read the same
bodies, each by its own columns, so that a body stays a body.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from model.captures import Note
from model.media import CSV, JSON

# The version of the capture's format.
EVENT_VERSION = "0"
_OF_ENCODING = {"CSV": CSV, "JSON": JSON}


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the endpoint got.

    Attributes:
        body: the request's body.
        content_type: its Content-Type header.
        accept: the Content-Type of the answer, which the client asked for; empty if the answer was
            not captured.
        minute: minutes since 1970 in UTC at which it came.
    """

    body: bytes
    content_type: str
    accept: str
    minute: int


def read_request(line: bytes) -> RecordedRequest | Note:
    """Return the request of a line of a capture file, or why there is none.

    Args:
        line: the line, with or without its newline.
    """
    try:
        document = orjson.loads(line)
        data, time = document["captureData"], document["eventMetadata"]["inferenceTime"]
        if document.get("eventVersion") != EVENT_VERSION:
            return Note.NOT_A_CAPTURE
        came = datetime.fromisoformat(time)
        minute = int((came if came.tzinfo else came.replace(tzinfo=UTC)).timestamp() // 60)
        given, answered = data.get("endpointInput"), data.get("endpointOutput")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        return Note.NOT_A_CAPTURE
    if given is None:
        return Note.NO_INPUT
    try:
        body, content_type = _payload(given)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Note.UNREADABLE_INPUT
    accept = answered.get("observedContentType") if isinstance(answered, dict) else None
    return RecordedRequest(body, content_type, accept if isinstance(accept, str) else "", minute)


def _payload(given: dict[str, Any]) -> tuple[bytes, str]:
    """Return the body and its Content-Type."""
    encoding, data = given["encoding"], given["data"]
    kind = given.get("observedContentType") or _OF_ENCODING[encoding]
    if not isinstance(kind, str):
        raise TypeError(kind)
    if encoding == "BASE64":
        return base64.b64decode(data, validate=True), kind
    if encoding not in _OF_ENCODING:
        raise ValueError(encoding)
    return data.encode(), kind
