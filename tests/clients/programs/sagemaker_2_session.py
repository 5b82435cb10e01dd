"""The default bucket and the role of the caller, for which the SageMaker Python SDK 2 asks STS.

Reads AWS_ENDPOINT_URL from the environment; prints one line of JSON. With the argument `by-event`
the requests to STS are sent to that address, whatever address the SDK made the client for.
"""

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import boto3
import sagemaker


def to_local_cloud(params: dict[str, Any], **_: object) -> None:
    """Send a request to the path of its own, at the address of AWS_ENDPOINT_URL."""
    params["url"] = os.environ["AWS_ENDPOINT_URL"] + urlsplit(params["url"]).path


boto_session = boto3.session.Session()
if "by-event" in sys.argv:
    boto_session.events.register("before-call.sts", to_local_cloud)
session = sagemaker.Session(boto_session)
found = {}
for name, ask in {
    "bucket": session.default_bucket,
    "role": lambda: sagemaker.get_execution_role(session),
}.items():
    try:
        found[name] = ask()
    except Exception as error:
        found[name] = type(error).__name__
print()
print(json.dumps(found))
