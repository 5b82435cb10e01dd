"""The invocation path: chooses a variant and an instance, passes the bytes, and counts.

An invocation outlives an instance that ends. If a connection ends before an answer, the request is
sent once more, to another instance: a model that a request crashes must not take all instances
down. If no instance runs, or none accepts a connection, nothing was sent, and the request waits for
a replacement, within the time of an invocation.

An example in time. Two instances serve; both are killed while 20 requests are in flight. Each
request gets NoAnswer, finds no live instance, and looks again every 50 ms. A replacement answers
/ping after two seconds, and the 20 requests are sent to it. An endpoint that starts again after a
restart of the local cloud lets its requests wait in the same way.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.protocol import serialise_error
from localcloud.aws.routing import Request, Response
from localcloud.cloudwatch.invocation_metrics import InvocationMeter
from localcloud.core.clock import monotonic
from localcloud.core.store import Collection
from localcloud.sagemaker.capture import Capturer, Payload
from localcloud.sagemaker.connection import NoAnswer, NotHttp, Outcome, Reply, TimedOut
from localcloud.sagemaker.fleets import Fleet
from localcloud.sagemaker.hosting import HostingEngine
from localcloud.sagemaker.instance_client import (
    INVOCATION_SECONDS,
    Mirror,
    least_outstanding,
    send_invocation,
)
from localcloud.sagemaker.model import Endpoint, EndpointStatus

log = logging.getLogger("localcloud.sagemaker")

# The limit of botocore's BodyBlob; newer pages of AWS state 25 MB.
DEFAULT_LIMIT_BYTES = 6 * 1024 * 1024
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_CUSTOM = "x-amzn-sagemaker-custom-attributes"
# The caller's own id of a request, which the captured data has.
# Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"
_INFERENCE_ID_CHARACTERS = 64
# How often a request that waits for an instance looks for one, and how many may wait; more would
# hold too many bodies in memory.
_LOOK_SECONDS = 0.05
_MOST_WAITING = 1000
_PASSED_HEADERS = ("content-type", "accept", _CUSTOM)


class ModelError(AwsError):
    """The container returned an error, or (status 0) nothing in time; the client gets 424."""

    status = 424

    def __init__(self, status: int, message: str, log_stream_arn: str) -> None:
        side = "client" if 400 <= status < 500 else "server"
        super().__init__(
            "ModelError",
            f"Received {side} error ({status}) from primary "
            f'with message "{message}". See {log_stream_arn} for more information.',
        )
        self.original_status = status
        self.original_message = message
        self.log_stream_arn = log_stream_arn


@dataclass(slots=True)
class _Asked:
    """An invocation that was sent to an instance, or is about to be; the times are monotonic.

    Attributes:
        fleet: the fleet of the chosen variant; None as long as the endpoint is started again.
        repeated: whether it was sent a second time.
    """

    request: Request
    name: str
    endpoint: Endpoint
    fleet: Fleet | None
    headers: dict[str, str]
    done: Callable[[Response], None]
    received: float
    sent: float
    repeated: bool = False

    @property
    def log_arn(self) -> str:
        """Return the ARN of the endpoint's log group."""
        return self.request.scope.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{self.name}")


class Runtime:
    """Answers InvokeEndpoint.

    Args:
        limit_bytes: largest body of a request.
    """

    def __init__(
        self,
        hosting: HostingEngine,
        endpoints: Collection[Endpoint],
        meter: InvocationMeter,
        capturer: Capturer,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        self._hosting = hosting
        self._endpoints = endpoints
        self._meter = meter
        self._capturer = capturer
        self._limit_bytes = limit_bytes
        self._mirror = Mirror()
        self._waiting = 0

    async def handle(self, request: Request) -> Response | None:
        """Answer `POST /endpoints/{name}/invocations`; return None for any other request."""
        parts = request.path.split("/")
        if request.method != "POST" or len(parts) != 4 or parts[1] != "endpoints":
            return None
        if parts[3] != "invocations":
            return None
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def done(response: Response) -> None:
            if not answered.done():
                answered.set_result(response)

        self.begin(request, done)
        return await answered

    def begin(self, request: Request, done: Callable[[Response], None]) -> None:
        """Answer an invocation without a task or a future; `done` gets the response, once.

        On the hot path, a task and a future would cost more than all of this function.
        """
        received = monotonic()
        name = request.path.split("/")[2]
        if "%" in name:
            name = unquote(name)
        try:
            arn = request.scope.arn("sagemaker", f"endpoint/{name}".lower())
            endpoint = self._endpoints.get(arn)
            if endpoint is None:
                raise ValidationError(
                    f"Endpoint {name} of account {request.scope.account} not found.",
                    "ValidationError",
                )
            if len(request.body) > self._limit_bytes:
                raise ValidationError(
                    "1 validation error detected: Value at 'body' failed to satisfy constraint: "
                    f"Member must have length less than or equal to {self._limit_bytes}",
                    "ValidationError",
                )
            if len(request.headers.get(_INFERENCE_ID, "")) > _INFERENCE_ID_CHARACTERS:
                raise ValidationError(
                    "1 validation error detected: Value at 'inferenceId' failed to satisfy "
                    "constraint: Member must have length less than or equal to "
                    f"{_INFERENCE_ID_CHARACTERS}",
                    "ValidationError",
                )
            fleets = self._hosting.fleets(arn)
            target = request.headers.get("x-amzn-sagemaker-target-variant")
            if not fleets.production and self._hosting.is_resuming(arn):
                passed = _passed(request)
                self._wait(_Asked(request, name, endpoint, None, passed, done, received, received))
                return
            fleet = _choose(endpoint, fleets.production, target)
        except AwsError as error:
            done(serialise_error("sagemaker-runtime", error))
            return
        headers = _passed(request)
        for shadow in fleets.shadows.values():
            self._mirror.copy(
                fleet,
                shadow,
                request.body,
                headers,
                partial(self._shadowed, request, endpoint, shadow),
            )
        asked = _Asked(request, name, endpoint, fleet, headers, done, received, monotonic())
        instance = least_outstanding(fleet)
        if instance is None:
            self._wait(asked)
            return
        send_invocation(instance, request.body, headers, partial(self._answered, asked))

    def _wait(self, asked: _Asked) -> None:
        """Send a request to an instance as soon as there is one."""
        left = asked.received + INVOCATION_SECONDS - monotonic()
        none_wanted = asked.fleet is not None and not asked.fleet.variant.desired
        if left <= 0 or self._waiting >= _MOST_WAITING or none_wanted:
            reason = f"Endpoint {asked.name} has no healthy instance."
            error = AwsError("ServiceUnavailable", reason, 503)
            asked.done(serialise_error("sagemaker-runtime", error))
            return
        self._waiting += 1
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look, asked)

    def _look(self, asked: _Asked) -> None:
        self._waiting -= 1
        endpoint = asked.endpoint
        # An update may have replaced the fleet meanwhile.
        fleets = self._hosting.fleets(endpoint.arn).production
        name = asked.fleet.variant.name if asked.fleet is not None else ""
        try:
            if fleets or not self._hosting.is_resuming(endpoint.arn):
                target = asked.request.headers.get("x-amzn-sagemaker-target-variant")
                asked.fleet = fleets.get(name) or _choose(endpoint, fleets, target)
        except AwsError as error:
            asked.done(serialise_error("sagemaker-runtime", error))
            return
        self._send_again(asked)

    def _send_again(self, asked: _Asked) -> None:
        instance = least_outstanding(asked.fleet) if asked.fleet is not None else None
        if instance is None:
            self._wait(asked)
            return
        asked.sent = monotonic()
        left = asked.received + INVOCATION_SECONDS - asked.sent
        done = partial(self._answered, asked)
        send_invocation(instance, asked.request.body, asked.headers, done, left)

    def _repeat(self, asked: _Asked, outcome: Outcome) -> bool:
        """Send a request again that got no answer; return False if it is not repeated."""
        if not isinstance(outcome, NoAnswer) or isinstance(outcome, (TimedOut, NotHttp)):
            return False
        if outcome.sent:
            if asked.repeated:
                return False
            asked.repeated = True
        # Not at once: what ended this instance may be ending the others now.
        self._wait(asked)
        return True

    def _answered(self, asked: _Asked, outcome: Outcome) -> None:
        """Answer first, then count, because the client does not wait for that."""
        if type(outcome) is not Reply and self._repeat(asked, outcome):
            return
        fleet = asked.fleet
        assert fleet is not None  # noqa: S101 - an instance of it has answered
        model_seconds = monotonic() - asked.sent
        try:
            response = _response(asked, fleet, outcome)
        except ModelError as error:
            answer = serialise_error("sagemaker-runtime", error)
            document = {
                "message": error.message,
                "OriginalStatusCode": error.original_status,
                "OriginalMessage": error.original_message,
                "LogStreamArn": error.log_stream_arn,
            }
            response = Response(error.status, answer.headers, json.dumps(document).encode())
        asked.done(response)
        status = 500 if isinstance(outcome, NoAnswer) else outcome.status
        try:
            overhead_seconds = asked.sent - asked.received
            self._record(asked.endpoint, fleet, status, model_seconds, overhead_seconds)
            if isinstance(outcome, Reply) and status < 400:
                self._capture(asked.request, asked.endpoint, fleet, outcome)
        except Exception:  # a callback; nobody else would log it
            log.exception("%s: an invocation was not counted", asked.name)

    def _shadowed(
        self, request: Request, endpoint: Endpoint, fleet: Fleet, answer: Reply, seconds: float
    ) -> None:
        self._record(endpoint, fleet, answer.status, seconds, 0.0)
        if answer.status < 400:
            self._capture(request, endpoint, fleet, answer)

    def _capture(self, request: Request, endpoint: Endpoint, fleet: Fleet, answer: Reply) -> None:
        capture = self._hosting.capture(endpoint.arn)
        if capture is not None:
            self._capturer.take(
                capture,
                (request.scope, endpoint.name, fleet.variant.name),
                Payload(request.body, request.headers.get("content-type", "")),
                Payload(answer.body, answer.content_type.partition(";")[0].strip()),
                request.headers.get(_INFERENCE_ID, ""),
            )

    def _record(
        self,
        endpoint: Endpoint,
        fleet: Fleet,
        status: int,
        model_seconds: float,
        overhead_seconds: float,
    ) -> None:
        self._meter.record(
            endpoint.arn,
            endpoint.name,
            fleet.variant.name,
            instances=max(len(fleet.instances), 1),
            status=status,
            model_seconds=model_seconds,
            overhead_seconds=overhead_seconds,
        )


def _response(asked: _Asked, fleet: Fleet, outcome: Outcome) -> Response:
    """Return the response of an invocation from its outcome.

    Raises:
        ModelError: the container failed.
    """
    if isinstance(outcome, TimedOut):
        raise ModelError(0, _TIMED_OUT, asked.log_arn)
    if isinstance(outcome, NoAnswer):
        raise ModelError(500, f"the container did not answer: {outcome}", asked.log_arn)
    if outcome.status >= 400:
        message = outcome.body[:1024].decode("utf-8", "replace")
        raise ModelError(outcome.status, message, asked.log_arn)
    headers = {
        "content-type": outcome.content_type,
        "x-amzn-invoked-production-variant": fleet.variant.name,
    }
    if _CUSTOM in outcome.headers:
        headers[_CUSTOM] = outcome.headers[_CUSTOM]
    return Response(200, headers, outcome.body)


def _passed(request: Request) -> dict[str, str]:
    """Return the headers that a container gets."""
    return {k: request.headers[k] for k in _PASSED_HEADERS if k in request.headers}


def _choose(endpoint: Endpoint, fleets: dict[str, Fleet], target: str | None) -> Fleet:
    if target is not None:
        if target not in fleets:
            raise ValidationError(
                f"Variant {target} not found on endpoint {endpoint.name}; "
                f"its variants are: {', '.join(fleets) or 'none yet'}.",
                "ValidationError",
            )
        return fleets[target]
    if not fleets or endpoint.status is EndpointStatus.DELETING:
        raise ValidationError(
            f"Endpoint {endpoint.name} is not in service (its status is {endpoint.status}).",
            "ValidationError",
        )
    if len(fleets) == 1:
        return next(iter(fleets.values()))
    choices = list(fleets.values())
    weights = [fleet.variant.weight for fleet in choices]
    return random.choices(choices, weights=weights if any(weights) else None)[0]  # noqa: S311
