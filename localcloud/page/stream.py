"""The stream of changes to browsers, by Server-Sent Events.

    a record changes ─► Changes ─► each listener: wait for the rest of the burst, send the sections

A listener gets whole sections and not a list of changes. One that reads slowly therefore skips what
is outdated, and one that was away gets what changed since the number that it last saw. A section
that is not there in time, because moto is at work on something long, does not hold up the others.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.core.clock import wall_sleep
from localcloud.page.changes import SECTIONS, Changes
from localcloud.page.overview import Encoded, Overview

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_LISTENERS = 16
# How long a burst of changes is gathered, and the shortest time between two updates: wall-clock.
_GATHER_SECONDS = 0.01
_PAUSE_SECONDS = 0.04
# How long an update waits for a section that moto has a part in.
_PATIENCE_SECONDS = 0.3
# A comment keeps proxies from closing the stream, and finds a browser that is gone.
_SILENCE_SECONDS = 15.0
_RETRY_MILLISECONDS = 500
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Stream:
    """The listeners, up to a number of them.

    Args:
        overview: makes the sections.
        changes: says which of them changed.
    """

    def __init__(self, overview: Overview, changes: Changes) -> None:
        self._overview = overview
        self._changes = changes
        self._closed = asyncio.Event()
        self.listeners = 0

    @property
    def is_full(self) -> bool:
        """Return whether no further listener is taken."""
        return self.listeners >= MOST_LISTENERS

    def close(self) -> None:
        """End every stream, because the local cloud stops or is reset."""
        self._closed.set()

    async def serve(self, scope: Scope, last_id: str, receive: Receive, send: Send) -> None:
        """Send the sections that a listener lacks, and then each one that changes.

        Args:
            scope: the account and region that are shown.
            last_id: the id of the last update that the browser saw; empty for none.
            receive: returns the message that the browser is gone.
            send: sends a part of the response.
        """
        self.listeners += 1
        changed = self._changes.listen()
        gone = asyncio.ensure_future(_gone(receive))
        closed = asyncio.ensure_future(self._closed.wait())
        late: dict[str, asyncio.Future[Any]] = {}
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await _write(send, f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
            sent, events = self._known(last_id)
            while not gone.done() and not closed.done():
                changed.clear()
                number = self._changes.number
                sections = {
                    name: await self._in_time(scope, name, late)
                    for name in SECTIONS
                    if self._changes.latest[name] > sent[name]
                }
                for name, found in sections.items():
                    if found is not None:
                        is_newest = found.number >= self._changes.latest[name]
                        sent[name] = number if is_newest else found.number
                        if not is_newest:
                            changed.set()
                # After a break a late section is sent, too.
                number = min([number, *(sent[name] for name in late)])
                events = await self._update(sections, number, events, send)
                await _first(changed, gone, closed, send)
                await wall_sleep(_GATHER_SECONDS)
            if not gone.done():
                await _write(send, b"", more=False)
        except OSError:  # the connection broke while something was sent
            pass
        finally:
            self.listeners -= 1
            self._changes.ignore(changed)
            for task in (gone, closed, *late.values()):
                task.cancel()

    def _known(self, last_id: str) -> tuple[dict[str, int], int]:
        """Return the number up to which the browser knows each section, and the last event."""
        instance, _, rest = last_id.partition("-")
        number, _, event = rest.partition("-")
        if instance != self._changes.instance or not number.isdecimal() or not event.isdecimal():
            return dict.fromkeys(SECTIONS, -1), 0
        return dict.fromkeys(SECTIONS, int(number)), int(event)

    async def _in_time(
        self, scope: Scope, name: str, late: dict[str, asyncio.Future[Any]]
    ) -> Encoded | None:
        """Return a section, or None if it is late; a change is noted when it is there.

        Args:
            scope: the account and region that are shown.
            name: the section.
            late: the sections that are still being built, by name.
        """
        building = late.get(name)
        if building is None:
            building = asyncio.ensure_future(self._overview.section(scope, name))
            await asyncio.wait({building}, timeout=_PATIENCE_SECONDS)
            if not building.done():
                late[name] = building
                # The header says what takes so long, now and when it is over.
                building.add_done_callback(lambda _: self._changes.note("cloud"))
                self._changes.note("cloud")
        if not building.done():
            return None
        late.pop(name, None)
        try:
            found: Encoded = building.result()
        except AwsError:  # the local cloud is stopping
            return None
        return found

    async def _update(
        self,
        sections: Mapping[str, Encoded | None],
        number: int,
        events: int,
        send: Send,
    ) -> int:
        """Send what changed as one block with one id; return the number of the last event."""
        block: list[bytes] = []
        for name, found in sections.items():
            if found is None:
                continue
            body = found.body
            if name == "events":  # only those that the browser does not have
                body = msgspec.json.encode(self._overview.activity.since(events))
                events = self._overview.activity.number
            block.append(b"event: %b\ndata: %b\n\n" % (name.encode(), body))
        if block:
            # The last event has the id: a browser that got a part of the block lacks the rest.
            mark = f"{self._changes.instance}-{max(number, 0)}-{events}"
            block[-1] = b"id: %b\n" % mark.encode() + block[-1]
            await _write(send, b"".join(block))
            await wall_sleep(_PAUSE_SECONDS)
        return events


async def _first(
    changed: asyncio.Event, gone: asyncio.Future[Any], closed: asyncio.Future[Any], send: Send
) -> None:
    """Wait until something changes or the stream is over, and send a comment now and then."""
    waiting = asyncio.ensure_future(changed.wait())
    try:
        while True:
            done, _ = await asyncio.wait(
                {waiting, gone, closed},
                timeout=_SILENCE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done:
                return
            await _write(send, b": still here\n\n")
    finally:
        waiting.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
