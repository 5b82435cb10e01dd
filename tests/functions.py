"""Lambda functions of the tests, which are deleted afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, TestCloud, have_role

ROLE = f"arn:aws:iam::{ACCOUNT}:role/functions"


class Functions:
    """A maker of functions with one handler, `main.handler`."""

    def __init__(self, cloud: TestCloud) -> None:
        self.client: Any = cloud.client("lambda")
        self.names: list[str] = []
        have_role(cloud, ROLE, "lambda")

    def make(self, name: str, code: str, **settings: Any) -> dict[str, Any]:
        """Create a function; return the answer."""
        answer: dict[str, Any] = self.client.create_function(
            **{
                "FunctionName": name,
                "Role": ROLE,
                "Runtime": "python3.12",
                "Handler": "main.handler",
                "Code": {"ZipFile": archive(code)},
                **settings,
            }
        )
        self.names.append(name)
        return answer

    def change(self, name: str, code: str, **settings: Any) -> dict[str, Any]:
        """Update the code of a function; return the answer."""
        answer: dict[str, Any] = self.client.update_function_code(
            FunctionName=name, ZipFile=archive(code), **settings
        )
        return answer

    def invoke(self, name: str, payload: bytes = b"{}", **settings: Any) -> tuple[Any, Any]:
        """Invoke a function; return the answer and its payload."""
        answer = self.client.invoke(FunctionName=name, Payload=payload, **settings)
        return answer, json.loads(answer["Payload"].read() or b"null")

    def refused(self, operation: str, **parameters: Any) -> tuple[str, str]:
        """Call an operation that fails; return its error's code and message."""
        with pytest.raises(ClientError) as caught:
            getattr(self.client, operation)(**parameters)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]


def archive(code: str) -> bytes:
    """Return a zip archive with a module `main`."""
    return zip_of({"main.py": code})


def saying(word: str) -> str:
    """Return code whose handler returns a word."""
    return f"def handler(event, context):\n    return {word!r}\n"


@contextmanager
def functions_of(cloud: TestCloud) -> Iterator[Functions]:
    """Give a maker of functions, and delete what it made."""
    made = Functions(cloud)
    yield made
    for name in made.names:
        with suppress(made.client.exceptions.ResourceNotFoundException):
            made.client.delete_function(FunctionName=name)
