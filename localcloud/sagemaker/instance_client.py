"""The client of instances: one request to one instance, and copies of requests to a shadow.

An example in time. `Runtime.begin` calls `send_invocation` with the least busy instance.
`in_flight` of that instance becomes 1 now, so the next request prefers another instance. The call
returns immediately; when the connection has the response, `ended` decreases `in_flight` and passes
the outcome on. No task and no future is created in between. A copy for a shadow variant is a task
of its own, because its response must not delay the request.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from localcloud.sagemaker.connection import NoAnswer, Outcome, Reply
from localcloud.sagemaker.fleets import Fleet
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.model import Variant

log = logging.getLogger("localcloud.sagemaker")

# A container must answer within it.
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
INVOCATION_SECONDS = 60.0
# The number of concurrent copies; a shadow that is slower than the production variant loses some.
_COPIES = 100


def send_invocation(
    instance: Instance,
    body: bytes,
    headers: dict[str, str],
    done: Callable[[Outcome], None],
    timeout_seconds: float = INVOCATION_SECONDS,
) -> None:
    """POST to an instance's /invocations; `done` gets the outcome, once.

    The limit is in wall-clock seconds.
    """

    def ended(outcome: Outcome) -> None:
        instance.in_flight -= 1
        done(outcome)

    instance.in_flight += 1
    if instance.in_flight > instance.peak:
        instance.peak = instance.in_flight
    instance.connections.begin("POST", "/invocations", timeout_seconds, ended, body, headers)


async def invoke_instance(
    instance: Instance,
    body: bytes,
    headers: dict[str, str],
    timeout_seconds: float = INVOCATION_SECONDS,
) -> Reply:
    """POST to an instance's /invocations.

    Raises:
        NoAnswer: no response arrived within the limit, in wall-clock seconds.
    """
    instance.in_flight += 1
    if instance.in_flight > instance.peak:
        instance.peak = instance.in_flight
    try:
        return await instance.connections.request(
            "POST", "/invocations", timeout_seconds, body, headers
        )
    finally:
        instance.in_flight -= 1


def least_outstanding(fleet: Fleet) -> Instance | None:
    """Return the live instance with the fewest requests in flight, or None."""
    least = None
    for instance in fleet.instances:
        if instance.alive and (least is None or instance.in_flight < least.in_flight):
            least = instance
    return least


def share_of(production: Variant, shadow: Variant) -> float:
    """Return the share of requests, 0 to 1, that are copied to a shadow.

    Inferred: the shadow's weight divided by that of the production variant.
    """
    if not production.weight:
        return 1.0 if shadow.weight else 0.0
    return min(shadow.weight / production.weight, 1.0)


class Mirror:
    """Copies a share of the requests to a shadow variant.

    Args:
        chance: returns a random number from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    def copy(
        self,
        production: Fleet,
        shadow: Fleet,
        body: bytes,
        headers: dict[str, str],
        done: Callable[[Reply, float], None],
    ) -> None:
        """Copy a request with the shadow's share; `done` gets the response and its duration."""
        share = share_of(production.variant, shadow.variant)
        if self._chance() >= share or len(self._tasks) >= _COPIES:
            return
        instance = least_outstanding(shadow)
        if instance is not None:
            task = asyncio.create_task(_copy(instance, body, headers, done))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _copy(
    instance: Instance,
    body: bytes,
    headers: dict[str, str],
    done: Callable[[Reply, float], None],
) -> None:
    sent = asyncio.get_running_loop().time()
    try:
        answer = await invoke_instance(instance, body, headers)
    except NoAnswer as error:
        answer = Reply(500, {"content-type": "text/plain"}, repr(error).encode())
    done(answer, asyncio.get_running_loop().time() - sent)
