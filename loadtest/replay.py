"""Captured requests of an endpoint, sent again at their own times.

SageMaker's data capture writes files of JSON lines; each line has the request, its content type and
the time at which it was answered. A replay sends the bodies on this schedule, in the same order,
N times as fast if asked, to whatever endpoint is tested.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.payloads import Payload
from loadtest.shapes import MAX_DURATION_SECONDS

MOST_FILES, MOST_BYTES, MOST_REQUESTS = 5_000, 256 * 1024 * 1024, 1_000_000
# SageMaker's own limit of a request.
_MOST_BODY_BYTES = 6 * 1024 * 1024
# The workers begin a little later than the load; the last request needs its time, too.
_SHORTEST_SECONDS, _REST_SECONDS = 1.0, 0.5
_LONGEST_HEADER = 100


@dataclass(frozen=True, slots=True)
class Timed:
    """A request and its moment, in seconds since the first one."""

    at: float
    payload: Payload


@dataclass(frozen=True, slots=True)
class Replay:
    """The requests of a replay, in order.

    Attributes:
        requests: at least one.
        left_out: the lines that hold no request that could be sent again.
    """

    requests: tuple[Timed, ...]
    left_out: int

    @property
    def seconds(self) -> float:
        """Return the length of the load."""
        return max(_SHORTEST_SECONDS, self.requests[-1].at + _REST_SECONDS)

    @property
    def rate(self) -> float:
        """Return the mean requests/s."""
        return len(self.requests) / self.seconds


def read_captures(lines: Iterable[str], speed: float, where: str) -> Replay:
    """Return the requests of capture lines.

    Args:
        lines: JSON lines of data capture.
        speed: the factor by which they are sent faster than they were captured, above 0.
        where: the place of the lines, for messages.

    Raises:
        UsageError: the speed is not above 0, there is no request, there are too many, or they take
            longer than the longest load.
    """
    if not 0 < speed <= 1000:
        raise UsageError(f"--speed is {speed:g}; it must be above 0 to 1000")
    found: list[tuple[float, Payload]] = []
    left_out = 0
    for line in lines:
        if not line.strip():
            continue
        captured = _captured(line)
        if captured is None:
            left_out += 1
            continue
        found.append(captured)
        if len(found) > MOST_REQUESTS:
            raise UsageError(
                f"{where} has more than {MOST_REQUESTS:,} requests, the limit; give a prefix of "
                "fewer hours"
            )
    if not found:
        more = f"; {left_out} lines are none of data capture" if left_out else ""
        raise UsageError(f"{where} has no captured request{more}")
    found.sort(key=lambda entry: entry[0])
    first = found[0][0]
    requests = tuple(Timed((at - first) / speed, payload) for at, payload in found)
    replay = Replay(requests, left_out)
    if replay.seconds > MAX_DURATION_SECONDS:
        raise UsageError(
            f"{where} spans {replay.seconds:,.0f} s; a load lasts at most "
            f"{MAX_DURATION_SECONDS:,.0f} s: give --speed {_least_speed(replay, speed):g} or more, "
            "or a prefix of fewer hours"
        )
    return replay


def _least_speed(replay: Replay, speed: float) -> float:
    return ceil(10 * replay.seconds * speed / MAX_DURATION_SECONDS) / 10


def lines_of(source: str, region: str) -> Iterator[str]:
    """Yield the lines of a file, or of all objects under an address such as `s3://BUCKET/PREFIX`.

    Raises:
        UsageError: the file or a bucket cannot be read, or there is too much.
    """
    if not source.startswith("s3://"):
        path = Path(source)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise UsageError(f"{source} is larger than {MOST_BYTES} bytes, the limit")
            yield from path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {source}: {error}") from None
        return
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3: Any = boto3.client("s3", region_name=region)
    files = size = 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                files, size = files + 1, size + entry["Size"]
                if files > MOST_FILES or size > MOST_BYTES:
                    raise UsageError(
                        f"{source} has more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes, the "
                        "limit; give a prefix of fewer hours, such as …/2026/12/01/09/"
                    )
                body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield from body.decode("utf-8", "replace").splitlines()
    except (BotoCoreError, ClientError) as error:
        raise UsageError(f"cannot read {source}: {error}") from None


def write(replay: Replay, path: Path) -> None:
    """Write the requests to a file, from which the processes of the generator read them."""
    with path.open("w", encoding="utf-8") as file:
        for one in replay.requests:
            body = base64.b64encode(one.payload.body).decode()
            entry = [one.at, body, one.payload.content_type, one.payload.accept]
            file.write(json.dumps(entry) + "\n")


def read(path: Path) -> list[Timed]:
    """Return the requests that `write` has written."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        at, body, content_type, accept = json.loads(line)
        payload = Payload(base64.b64decode(body), None, None, content_type, accept)
        found.append(Timed(at, payload))
    return found


def _captured(line: str) -> tuple[float, Payload] | None:
    """Return the time and the request of a line, or None if it has none."""
    try:
        document = json.loads(line)
        data, metadata = document["captureData"], document["eventMetadata"]
        given = data["endpointInput"]
        at = datetime.fromisoformat(metadata["inferenceTime"]).timestamp()
        text = given["data"]
        encoded = given.get("encoding") == "BASE64"
        body = base64.b64decode(text, validate=True) if encoded else text.encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    if len(body) > _MOST_BODY_BYTES:
        return None
    content_type = _header(given, "text/csv")
    return at, Payload(body, None, None, content_type, _header(data.get("endpointOutput"), "*/*"))


def _header(part: Any, default: str) -> str:
    """Return a content type that may stand in a header."""
    found = part.get("observedContentType") if isinstance(part, Mapping) else None
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_HEADER:
        return default
    return found if found.isprintable() and found.isascii() else default
