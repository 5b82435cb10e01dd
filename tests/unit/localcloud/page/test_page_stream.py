"""The stream, with sections and a browser that a test holds up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.core.clock import wall_sleep
from localcloud.page.activity import Activity
from localcloud.page.changes import SECTIONS, Changes
from localcloud.page.overview import Encoded
from localcloud.page.stream import Stream

pytestmark = pytest.mark.emulator_only


class Sections:
    """An overview whose sections are numbers, and one of which may be late or fail."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.built: dict[str, int] = dict.fromkeys(SECTIONS, 0)
        self.late = asyncio.Event()
        self.slow = self.failing = ""
        self.activity = Activity(lambda: None, lambda: None)  # type: ignore[arg-type, return-value]

    async def section(self, scope: Scope, name: str) -> Encoded:
        del scope
        number = self.changes.number
        if name == self.slow:
            await self.late.wait()
        if name == self.failing:
            raise AwsError("ServiceUnavailable", "The local cloud is stopping.", 503)
        self.built[name] += 1
        return Encoded(number, b'"%d"' % self.built[name])


class Client:
    """A browser that reads when it is let."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.parts.append(message.get("body", b"").decode())

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def count(self, section: str) -> int:
        return "".join(self.parts).count(f"event: {section}\n")

    async def until(self, probe: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not probe():
                await wall_sleep(0.005)


def streaming(
    work: Callable[[Changes, Sections, Client, Stream], Awaitable[None]], last_id: str = ""
) -> None:
    """Run a stream beside some work, and let the browser leave at the end."""

    async def both() -> None:
        changes = Changes()
        sections, client = Sections(changes), Client()
        stream = Stream(sections, changes)  # type: ignore[arg-type]
        serving: Coroutine[Any, Any, None] = stream.serve(
            Scope(), last_id, client.receive, client.send
        )
        task = asyncio.ensure_future(serving)
        try:
            await work(changes, sections, client, stream)
        finally:
            client.reads.set()
            client.gone.set()
            await asyncio.wait_for(task, 10)
        assert stream.listeners == 0

    asyncio.run(both())


def test_a_browser_that_reads_slowly_skips_what_is_outdated() -> None:
    async def work(changes: Changes, sections: Sections, client: Client, _: Stream) -> None:
        await client.until(lambda: client.count("loadtests") == 1)
        client.reads.clear()
        for _number in range(100):
            changes.note("jobs")
            await wall_sleep(0.001)
        client.reads.set()
        changes.note("stacks")
        await client.until(lambda: client.count("stacks") == 2)
        assert 2 <= client.count("jobs") <= 4

    streaming(work)


def test_a_late_section_does_not_hold_up_the_others() -> None:
    async def work(changes: Changes, sections: Sections, client: Client, _: Stream) -> None:
        sections.slow = "alarms"
        await client.until(lambda: client.count("loadtests") == 1)
        assert client.count("alarms") == 0
        changes.note("jobs")
        await client.until(lambda: client.count("jobs") == 2)
        # A browser that comes back now must get it, so the id is one from before.
        assert "".join(client.parts).rpartition("id: ")[2].split("-")[1] == "0"
        sections.late.set()
        await client.until(lambda: client.count("alarms") == 1)
        assert sections.built["alarms"] == 1

    streaming(work)


def test_a_section_that_changed_while_it_was_built_is_sent_again() -> None:
    async def work(changes: Changes, sections: Sections, client: Client, _: Stream) -> None:
        sections.slow = "drift"
        await client.until(lambda: client.count("loadtests") == 1)
        changes.note("drift")
        sections.late.set()
        await client.until(lambda: client.count("drift") == 2)

    streaming(work)


def test_a_local_cloud_that_stops_ends_the_stream_without_an_error() -> None:
    async def work(changes: Changes, sections: Sections, client: Client, stream: Stream) -> None:
        await client.until(lambda: client.count("loadtests") == 1)
        sections.failing = "alarms"
        changes.note("alarms", "jobs")
        await client.until(lambda: client.count("jobs") == 2)
        stream.close()
        await client.until(lambda: stream.listeners == 0)
        assert client.count("alarms") == 1

    streaming(work)


def test_a_browser_that_is_gone_ends_the_stream() -> None:
    async def work(changes: Changes, sections: Sections, client: Client, stream: Stream) -> None:
        del changes, sections
        await client.until(lambda: client.count("cloud") == 1)
        client.gone.set()
        await client.until(lambda: stream.listeners == 0)

    streaming(work)
