"""The client to instances: kept connections, whole answers, honest failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from localcloud.sagemaker.connection import Connections, NoAnswer, Reply, TimedOut, _Connection

pytestmark = pytest.mark.emulator_only

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok"


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read one request; nothing when the connection has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _run(serve: Serve, ask: Callable[[Connections], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connections = Connections(server.sockets[0].getsockname()[1])
        try:
            await ask(connections)
        finally:
            connections.close()
            server.close()
            await asyncio.sleep(0.02)  # the server notices the end

    asyncio.run(main())


def _answers(*parts: bytes, opened: list[int] | None = None) -> Serve:
    """Return a server that answers every request by the same parts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if opened is not None:
            opened.append(1)
        while await _read(reader):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    return serve


def test_one_connection_serves_one_request_after_another() -> None:
    opened: list[int] = []

    async def ask(connections: Connections) -> None:
        for _ in range(5):
            reply = await connections.request("POST", "/invocations", 5, b"x")
            assert reply == Reply(200, {"content-length": "2", "x-a": "b"}, b"ok")

    _run(_answers(OK, opened=opened), ask)
    assert len(opened) == 1


def test_requests_at_once_have_connections_of_their_own() -> None:
    opened: list[int] = []

    async def ask(connections: Connections) -> None:
        replies = await asyncio.gather(*(connections.request("GET", "/ping", 5) for _ in range(7)))
        assert {reply.body for reply in replies} == {b"ok"}

    _run(_answers(OK, opened=opened), ask)
    assert len(opened) == 7


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([bytes([byte]) for byte in OK], b"ok"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"0\r\n\r\n"],
            b"ab",
        ),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], b"ok"),
        ([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"], b""),
    ],
)
def test_an_answer_is_whole_however_it_comes(parts: list[bytes], body: bytes) -> None:
    async def ask(connections: Connections) -> None:
        for _ in range(2):
            assert (await connections.request("POST", "/", 5)).body == body

    _run(_answers(*parts), ask)


def test_what_is_sent_is_one_request_with_its_headers() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _read(reader))
        writer.write(OK)
        writer.close()

    async def ask(connections: Connections) -> None:
        headers = {"content-type": "text/csv", "accept": "a\r\nInjected: yes"}
        await connections.request("POST", "/invocations", 5, b"1,2", headers)

    _run(serve, ask)
    (request,) = seen
    assert request.startswith(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Length: 3\r\n" in request
    assert b"accept: a  Injected: yes\r\n" in request
    assert request.endswith(b"\r\n\r\n1,2")


def test_a_connection_that_ended_while_nobody_looked_costs_nothing() -> None:
    opened: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(1)
        await _read(reader)
        writer.write(OK)  # it says that it stays, and goes
        await writer.drain()
        writer.close()

    async def ask(connections: Connections) -> None:
        for _ in range(3):
            assert (await connections.request("POST", "/", 5, b"x")).status == 200
            await asyncio.sleep(0.01)

    _run(serve, ask)
    assert len(opened) == 3


@pytest.mark.parametrize(
    "parts",
    [
        [b"not http at all\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"CLOSE"],
        [b"CLOSE"],
        [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
    ],
)
def test_a_broken_answer_is_none(parts: list[bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)
        for part in parts:
            if part == b"CLOSE":
                writer.close()
                return
            writer.write(part)
            await writer.drain()
        await reader.read()
        writer.close()

    async def ask(connections: Connections) -> None:
        with pytest.raises(NoAnswer):
            await connections.request("POST", "/", 5, b"x")

    _run(serve, ask)


def test_an_answer_that_does_not_come_in_time_is_none() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def ask(connections: Connections) -> None:
        with pytest.raises(NoAnswer, match=r"more than 0\.05 s"):
            await connections.request("POST", "/", 0.05, b"x")

    _run(serve, ask)


def test_nobody_there_is_no_answer() -> None:
    async def main() -> None:
        server = await asyncio.start_server(_answers(OK), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(NoAnswer, match="takes no connection"):
            await Connections(port).request("GET", "/ping", 1)

    asyncio.run(main())


def test_a_server_that_goes_while_it_is_asked_is_asked_once_more() -> None:
    async def main() -> None:
        server: asyncio.Server

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _read(reader)
            writer.write(OK)
            await _read(reader)
            server.close()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connections = Connections(server.sockets[0].getsockname()[1])
        assert (await connections.request("POST", "/", 5, b"x")).status == 200
        with pytest.raises(NoAnswer, match="takes no connection"):
            await asyncio.wait_for(connections.request("POST", "/", 60, b"x"), 10)
        await asyncio.sleep(0.02)

    asyncio.run(main())


class Ending(asyncio.Transport):
    """A connection that has ended, of which its protocol has not heard yet, as uvloop has it."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        raise RuntimeError("the handle is closed")

    def abort(self) -> None:
        pass


def test_a_connection_that_is_ending_is_not_written_to() -> None:
    async def ask(connections: Connections) -> None:
        connection = _Connection()
        connection.connection_made(Ending())
        connections.idle.append(connection)
        assert (await connections.request("POST", "/", 5, b"x")).body == b"ok"

    _run(_answers(OK), ask)


def test_what_follows_an_answer_is_nobodys() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _read(reader):
            writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nunas")
        writer.close()

    async def ask(connections: Connections) -> None:
        for _ in range(3):
            assert (await connections.request("POST", "/", 5, b"x")).body == b"ok"

    _run(serve, ask)


def _by_body(seen: list[bytes]) -> Serve:
    """Return a server that answers `quick`, `late` after a while, and nothing else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while body := (await _read(reader)).rpartition(b"\r\n\r\n")[2]:
            seen.append(body)
            if body == b"late":
                await asyncio.sleep(0.1)
            if body != b"never":
                writer.write(OK)
        writer.close()

    return serve


def test_a_request_has_a_shorter_limit_than_the_one_before_it() -> None:
    async def ask(connections: Connections) -> None:
        await connections.request("POST", "/", 60, b"quick")
        with pytest.raises(TimedOut, match=r"more than 0\.05 s"):
            await asyncio.wait_for(connections.request("POST", "/", 0.05, b"never"), 10)

    _run(_by_body([]), ask)


def test_a_request_has_a_longer_limit_than_the_one_before_it() -> None:
    seen: list[bytes] = []

    async def ask(connections: Connections) -> None:
        await connections.request("POST", "/", 0.05, b"quick")
        assert (await connections.request("POST", "/", 60, b"late")).body == b"ok"

    _run(_by_body(seen), ask)
    assert seen == [b"quick", b"late"]


def test_a_request_that_nobody_waits_for_ends_its_connection() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)
        asked.set()
        assert await reader.read() == b""
        ended.set()
        writer.close()

    async def ask(connections: Connections) -> None:
        waiting = asyncio.create_task(connections.request("POST", "/", 5, b"x"))
        await asyncio.wait_for(asked.wait(), 5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(ended.wait(), 5)
        assert connections.idle == []

    _run(serve, ask)


def test_a_request_that_nobody_waits_for_when_it_could_be_sent_is_not_sent() -> None:
    seen: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _read(reader))
        ended.set()
        writer.close()

    async def ask(connections: Connections) -> None:
        waiting = asyncio.create_task(connections.request("POST", "/", 5, b"x"))
        await asyncio.sleep(0)  # it connects
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(ended.wait(), 5)

    _run(serve, ask)
    assert seen == [b""]


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n0.97"],
        [b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"0.9", b"7"],
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n0.", b"97"],
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n0.", b"97"],
    ],
)
def test_a_response_without_a_length_ends_with_its_connection(parts: list[bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def ask(connections: Connections) -> None:
        for _ in range(3):
            reply = await connections.request("GET", "/ping", 5)
            assert (reply.status, reply.content_type, reply.body) == (200, "text/plain", b"0.97")
            assert connections.idle == []

    _run(serve, ask)


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n0.97",
        b"HTTP/1.0 200 OK\r\nContent-Type: text",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n0.97",
    ],
)
def test_a_response_that_ends_before_its_length_is_none(cut: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)
        writer.write(cut)
        writer.close()

    async def ask(connections: Connections) -> None:
        with pytest.raises(NoAnswer, match="it closed the connection"):
            await connections.request("GET", "/ping", 5)

    _run(serve, ask)
