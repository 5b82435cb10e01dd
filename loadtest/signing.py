"""Signs InvokeEndpoint requests with Signature Version 4, using botocore.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from loadtest.errors import UsageError
from loadtest.payloads import Payload

# A signature is valid for five minutes. Signing takes about 0.2 ms of processor time, which would
# limit the rate that the load generator can reach.
_REUSE_SECONDS = 60.0
# A replay has up to a million different requests, most of which come once.
MOST_KEPT = 2_000


def invocations_path(endpoint: str) -> str:
    """Return the path of an endpoint's invocations."""
    return f"/endpoints/{quote(endpoint, safe='')}/invocations"


def find_credentials() -> Credentials:
    """Return the credentials that boto3's usual chain finds.

    Raises:
        UsageError: there are no credentials.
    """
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise UsageError(
            "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (both 'test' for "
            "a local cloud) or AWS_PROFILE"
        )
    found: Credentials = credentials
    return found


@dataclass(frozen=True, slots=True)
class _Signed:
    request: bytes
    at: float


class Signer:
    """Creates the signed requests of payloads and reuses them for a minute.

    Args:
        credentials: AWS credentials.
        region: the AWS region.
        url: URL of the endpoint's invocations.
    """

    def __init__(self, credentials: Credentials, region: str, url: str) -> None:
        self._credentials = credentials
        self._region = region
        self._url = url
        self._signed: dict[Payload, _Signed] = {}

    def request(self, payload: Payload) -> bytes:
        """Return the whole signed request of a payload: line, headers and body."""
        now = time.monotonic()
        signed = self._signed.get(payload)
        if signed is None or now - signed.at > _REUSE_SECONDS:
            if len(self._signed) >= MOST_KEPT:
                self._signed.clear()
            signed = self._signed[payload] = _Signed(self._whole(payload), now)
        return signed.request

    def _whole(self, payload: Payload) -> bytes:
        parts = urlsplit(self._url)
        headers = {"Host": parts.netloc, **self._sign(payload)}
        headers["Content-Length"] = str(len(payload.body))
        lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload.body

    def _sign(self, payload: Payload) -> Mapping[str, str]:
        request = AWSRequest(
            method="POST",
            url=self._url,
            data=payload.body,
            headers={"Content-Type": payload.content_type, "Accept": payload.accept},
        )
        SigV4Auth(self._credentials, "sagemaker", self._region).add_auth(request)
        return dict(request.headers.items())
