"""Signs InvokeEndpoint requests with Signature Version 4, using botocore.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from loadtest.errors import UsageError
from loadtest.payloads import Payload

# A signature is valid for five minutes. Signing takes about 0.2 ms of processor time, which would
# limit the rate that the load generator can reach.
_REUSE_SECONDS = 60.0


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
    headers: Mapping[str, str]
    at: float


class Signer:
    """Creates the signed headers of payloads and reuses them for a minute.

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

    def headers(self, payload: Payload) -> Mapping[str, str]:
        """Return the signed headers of a payload."""
        now = time.monotonic()
        signed = self._signed.get(payload)
        if signed is None or now - signed.at > _REUSE_SECONDS:
            signed = _Signed(self._sign(payload), now)
            self._signed[payload] = signed
        return signed.headers

    def _sign(self, payload: Payload) -> Mapping[str, str]:
        request = AWSRequest(
            method="POST",
            url=self._url,
            data=payload.body,
            headers={"Content-Type": payload.content_type, "Accept": payload.accept},
        )
        SigV4Auth(self._credentials, "sagemaker", self._region).add_auth(request)
        return dict(request.headers.items())
