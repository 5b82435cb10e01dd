"""The edge's protection from web pages."""

from __future__ import annotations

import pytest

from localcloud.edge import web_pages
from localcloud.edge.web_pages import answer_as, refusal, unproven

pytestmark = pytest.mark.emulator_only

LOCALSTACK = "localhost.localstack.cloud:4566"
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"host": "127.0.0.1:4566"}, False),
        ({"host": LOCALSTACK}, False),
        ({"host": "bucket.s3." + LOCALSTACK}, False),
        ({"host": LOCALSTACK, "referer": "http://evil.example/page"}, True),
        ({"host": LOCALSTACK, "referer": "http://localhost.localstack.cloud.evil.example/"}, True),
        ({"host": LOCALSTACK, "referer": "http://[broken"}, True),
        ({"host": LOCALSTACK, "referer": "data:text/html,x"}, True),
        ({"host": LOCALSTACK, "referer": "http://localhost:8888/notebook"}, False),
        ({"host": LOCALSTACK, "referer": ""}, False),
        ({"host": "127.0.0.1:4566", "sec-fetch-site": "cross-site"}, True),
        ({"host": "127.0.0.1:4566", "origin": "null"}, True),
        ({"host": "127.0.0.1:4566", "origin": "http://evil.example"}, True),
        ({"host": "evil.example"}, True),
    ],
)
def test_a_foreign_page_is_refused(headers: dict[str, str], refused: bool) -> None:
    assert (refusal(headers) is not None) == refused


CREATE = "Action=CreateUser&UserName=csrf&Version=2010-05-08&X-Amz-Credential=0/0/us-east-1/iam/a"


@pytest.mark.parametrize(
    ("method", "query", "headers", "refused"),
    [
        ("GET", CREATE, {}, True),
        ("HEAD", CREATE, {}, True),
        ("GET", "%41ction=CreateUser", {}, True),
        ("GET", "x=y&Action=CreateTopic", {}, True),
        ("GET", "Action=GetUser&Action=CreateUser", {}, True),
        ("GET", CREATE, SIGNED, False),
        ("POST", CREATE, {}, False),  # a browser sends an Origin with it
        ("GET", "Action=GetCallerIdentity&X-Amz-Signature=x", {}, False),
        ("GET", "list-type=2", {}, False),
        ("GET", "", {}, False),
    ],
)
def test_a_get_that_would_change_something_needs_a_header_that_no_link_can_send(
    method: str, query: str, headers: dict[str, str], refused: bool
) -> None:
    assert (unproven(method, query, headers) is not None) == refused


def test_a_container_answers_to_the_names_of_its_service_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_pages, "_own_names", set())
    named = {"host": "localcloud:4566"}
    try:
        assert refusal(named) is not None
        answer_as(["localcloud"])
        assert refusal(named) is None
        assert refusal({**named, "origin": "http://example.com"}) is not None
        assert refusal({"host": "localcloud.example.com:4566"}) is not None
    finally:
        web_pages.is_local.cache_clear()
