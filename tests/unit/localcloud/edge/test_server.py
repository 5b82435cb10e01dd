"""The edge's protection from web pages."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from localcloud.core.clock import Clock
from localcloud.core.snapshot_files import SnapshotError
from localcloud.core.snapshots import Snapshots
from localcloud.core.state_directory import StateDirectory
from localcloud.edge import web_pages
from localcloud.edge.server import Edge
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


class _Gateway:
    async def start(self) -> None:
        """Start nothing."""


@pytest.mark.parametrize(
    ("place", "method", "said"),
    [("scratch", "save", "nothing was saved"), ("next_state", "load", "nothing was changed")],
)
def test_a_state_directory_without_room_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, method: str, said: str
) -> None:
    def full() -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    directory = StateDirectory(tmp_path / "state")
    monkeypatch.setattr(directory, place, full)
    gateway: Any = _Gateway()

    async def act() -> None:
        edge = Edge(lambda: gateway, directory, Clock(), Snapshots(tmp_path / "saved"))
        await edge.start()
        await getattr(edge, method)("a")

    with pytest.raises(SnapshotError, match=said):
        asyncio.run(act())
    directory.close()
