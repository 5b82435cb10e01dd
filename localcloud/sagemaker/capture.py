"""Data capture: a sample of requests and responses, written to S3 as JSON lines.

    DESTINATION/ENDPOINT/VARIANT/yyyy/mm/dd/hh/mm-ss-mmm-UUID.jsonl

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
Differs: a file is written every ten clock seconds, if there is anything to write.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.capture")

_FLUSH_CLOCK_SECONDS = 10.0
# The number of captures in memory between two flushes; more are dropped, with a line in the log.
_PENDING = 10_000


@dataclass(frozen=True, slots=True)
class Payload:
    """A body with its content type."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Capture:
    """A parsed DataCaptureConfig.

    Attributes:
        percent: percentage of the requests, 0 to 100.
        modes: `Input`, `Output` or both.
        csv, json: content types that are stored as text; others are stored in base64.
    """

    bucket: str
    prefix: str
    percent: int
    modes: frozenset[str]
    csv: frozenset[str]
    json: frozenset[str]
    role_arn: str
    kms_key: str = ""

    @staticmethod
    def of(config: dict[str, Any] | None, role_arn: str) -> Capture | None:
        """Return the parsed configuration, or None if nothing is captured."""
        if not config or not config.get("EnableCapture", True):
            return None
        if not config["InitialSamplingPercentage"]:
            return None
        bucket, _, prefix = config["DestinationS3Uri"].removeprefix("s3://").partition("/")
        types = config.get("CaptureContentTypeHeader") or {}
        return Capture(
            bucket=bucket,
            prefix=prefix.strip("/"),
            percent=config["InitialSamplingPercentage"],
            modes=frozenset(option["CaptureMode"] for option in config["CaptureOptions"]),
            csv=frozenset(types.get("CsvContentTypes", [])),
            json=frozenset(types.get("JsonContentTypes", [])),
            role_arn=role_arn,
            kms_key=config.get("KmsKeyId", ""),
        )


def record(
    capture: Capture,
    given: Payload,
    answered: Payload,
    event_id: str,
    now: datetime,
    inference_id: str = "",
) -> dict[str, Any]:
    """Return one line of a capture file, with the caller's inference id if there is one. Pure."""
    data: dict[str, Any] = {}
    if {"Input", "InputAndOutput"} & capture.modes:
        data["endpointInput"] = _side(capture, given, "INPUT")
    if {"Output", "InputAndOutput"} & capture.modes:
        data["endpointOutput"] = _side(capture, answered, "OUTPUT")
    return {
        "captureData": data,
        "eventMetadata": {
            "eventId": event_id,
            **({"inferenceId": inference_id} if inference_id else {}),
            "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "eventVersion": "0",
    }


def _side(capture: Capture, payload: Payload, mode: str) -> dict[str, str]:
    kind = payload.content_type.partition(";")[0].strip().lower()
    encoding = "CSV" if kind in capture.csv else "JSON" if kind in capture.json else "BASE64"
    text = (
        base64.b64encode(payload.body).decode()
        if encoding == "BASE64"
        else payload.body.decode("utf-8", "replace")
    )
    return {
        "observedContentType": payload.content_type,
        "mode": mode,
        "data": text,
        "encoding": encoding,
    }


# (scope, endpoint, variant) of a line.
_Place = tuple[Scope, str, str]


class Capturer:
    """Captures samples and writes them to S3."""

    def __init__(
        self, context: ServiceContext, chance: Callable[[], float] = random.random
    ) -> None:
        self._context = context
        self._chance = chance
        self._pending: dict[tuple[Capture, _Place], list[str]] = defaultdict(list)

    def take(
        self,
        capture: Capture,
        place: _Place,
        given: Payload,
        answered: Payload,
        inference_id: str = "",
    ) -> None:
        """Capture a request and its response, with the configured probability."""
        if self._chance() * 100 >= capture.percent:
            return
        lines = self._pending[capture, place]
        if len(lines) < _PENDING:
            now = self._context.clock.now()
            line = record(capture, given, answered, str(uuid.uuid4()), now, inference_id)
            lines.append(json.dumps(line, separators=(",", ":")))
            if len(lines) == _PENDING:
                log.warning("%s: over %d captures at once; the rest is dropped", place[1], _PENDING)

    async def run(self) -> None:
        """Write the captures every ten clock seconds, until cancelled."""
        clock = self._context.clock
        while True:
            await clock.pace(_FLUSH_CLOCK_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write the captures."""
        pending, self._pending = self._pending, defaultdict(list)
        for (capture, (scope, endpoint, variant)), lines in pending.items():
            stamp = self._context.clock.now()
            name = f"{stamp:%Y/%m/%d/%H/%M-%S}-{stamp.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            key = "/".join(part for part in (capture.prefix, endpoint, variant, name) if part)
            encryption = (
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": capture.kms_key}
                if capture.kms_key
                else {}
            )
            try:
                await self._context.api(
                    scope,
                    "s3",
                    "put_object",
                    principal=capture.role_arn,
                    Bucket=capture.bucket,
                    Key=key,
                    Body=("\n".join(lines) + "\n").encode(),
                    **encryption,
                )
            except Exception as error:
                log.warning("%s: captured data was lost: %s", endpoint, error)
