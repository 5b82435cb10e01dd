"""The delivery of events: from a rule that matched to each of its targets.

moto keeps the rules and makes S3's events; this module does the rest. A target that fails does
not keep the others from getting the event.

An event is stored before the request that caused it is answered, and forgotten when it was
delivered. After a kill in between it is delivered at the next start: at least once, as on AWS. A
target that is throttled or fails gets the event again, seven times in a quarter of an hour or as
often as its retry policy says. Then its dead-letter queue gets it.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
Differs: AWS tries for 24 hours. A target of another kind gets nothing, and the log names it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.eventbridge.target_input import input_of
from localcloud.iam.actions import permissions
from localcloud.iam.permission import Permission
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codepipeline.api import CodePipelineApi
    from localcloud.lambda_.service import LambdaService

log = logging.getLogger("localcloud.eventbridge.delivery")

# The pauses between the attempts to reach a target that fails for the moment.
_DELAYS_CLOCK_SECONDS = (15.0, 30.0, 60.0, 120.0, 240.0, 480.0)
# The most event buses that an event is sent to, and of how many events that is remembered.
_MOST_HOPS = 10
_MOST_REMEMBERED = 10_000


class EventDelivery:
    """Delivers events to pipelines, builds, functions, topics, queues, log groups and buses."""

    def __init__(
        self, context: ServiceContext, pipelines: CodePipelineApi, functions: LambdaService
    ) -> None:
        self._context = context
        self._pipelines = pipelines
        self._functions = functions
        self._loop = asyncio.get_running_loop()
        # How often an event was sent to another bus, by its id.
        self._hops: dict[str, int] = {}

    def on_match(
        self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int
    ) -> None:
        """Pass a match from moto's thread to the event loop."""
        self._loop.call_soon_threadsafe(self.deliver, rule_arn, targets, event, number)

    def deliver(
        self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int = 0
    ) -> None:
        """Begin to deliver an event to each target.

        Args:
            rule_arn: the rule that it matched.
            targets: the rule's targets.
            event: the event.
            number: that of the stored event; 0 if it is not stored.
        """
        name = f"event {event.get('detail-type')}"
        self._context.spawn(name, self._to_all(rule_arn, targets, event, number))

    async def _to_all(
        self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any], number: int
    ) -> None:
        await asyncio.gather(*(self._deliver(rule_arn, target, event) for target in targets))
        await self._context.moto.delivered(number)

    async def _deliver(self, rule_arn: str, target: dict[str, Any], event: dict[str, Any]) -> None:
        arn = str(target.get("Arn", ""))
        delays = _delays_of(target)
        for attempt, delay in enumerate([*delays, None]):
            try:
                if arn.count(":") < 5:
                    raise LookupError("it is not an ARN")
                await self._send(rule_arn, arn.split(":")[2], target, event)
                return
            except asyncio.CancelledError:
                raise
            except Exception as error:
                again = delay is not None and _may_pass(error)
                log.warning(
                    "the event %s did not reach %s%s: %s",
                    event.get("detail-type"),
                    arn,
                    "; it is sent again" if again else "",
                    error,
                )
                if delay is None or not again:
                    await self._give_up(rule_arn, target, event, error, attempt)
                    return
            await self._context.clock.sleep(delay)

    async def _give_up(
        self,
        rule_arn: str,
        target: dict[str, Any],
        event: dict[str, Any],
        error: Exception,
        attempts: int,
    ) -> None:
        """Send an event that did not reach its target to the target's dead-letter queue.

        Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        """
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        code = type(error).__name__
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", code))
        attributes = {
            "RULE_ARN": rule_arn,
            "TARGET_ARN": str(target.get("Arn", "")),
            "ERROR_CODE": error.code if isinstance(error, AwsError) else code,
            "ERROR_MESSAGE": str(error) or code,
            "RETRY_ATTEMPTS": str(attempts),
        }
        try:
            await self._context.api(
                scope_of_arn(queue),
                "sqs",
                "send_message",
                QueueUrl=_url_of_queue(queue),
                MessageBody=json.dumps(event),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                },
            )
        except Exception as failure:
            log.warning("the event did not reach the dead-letter queue %s: %s", queue, failure)

    def _count_hop(self, event: dict[str, Any]) -> None:
        """Refuse an event that buses send round in a circle."""
        hops = self._hops.pop(event["id"], 0) + 1
        self._hops[event["id"]] = hops
        while len(self._hops) > _MOST_REMEMBERED:
            del self._hops[next(iter(self._hops))]
        if hops > _MOST_HOPS:
            raise LookupError(f"the event was sent to over {_MOST_HOPS} event buses")

    async def _send(
        self, rule_arn: str, service: str, target: dict[str, Any], event: dict[str, Any]
    ) -> None:
        scope, arn = scope_of_arn(rule_arn), target["Arn"]
        text = input_of(target, event, rule_arn)
        match service:
            case "codepipeline":
                name = {"name": arn.rpartition(":")[2]}
                wanted = permissions("codepipeline", "StartPipelineExecution", name, scope)
                await self._context.iam.authorise(target.get("RoleArn", ""), wanted)
                payload = _json_of(text)
                revisions = payload.get("sourceRevisions", []) if isinstance(payload, dict) else []
                if not self._pipelines.start_by_event(arn, rule_arn, revisions):
                    raise LookupError("there is no such pipeline")
            case "codebuild":
                await self._context.api(
                    scope,
                    "codebuild",
                    "start_build",
                    principal=target.get("RoleArn", ""),
                    projectName=arn.rpartition("/")[2],
                )
            case "lambda":
                await self._functions.invoke_asynchronously(scope, arn, _json_of(text))
            case "sns":
                await self._context.api(scope, "sns", "publish", TopicArn=arn, Message=text)
            case "sqs":
                group = (target.get("SqsParameters") or {}).get("MessageGroupId")
                await self._context.moto.call(_send_to_queue, scope, arn, text, group)
            case "logs":
                group = arn.split(":log-group:")[-1].removesuffix(":*")
                self._context.logs.write(scope, group, "events", text)
            case "events" if ":event-bus/" in arn:
                bus = Permission("events:PutEvents", arn)
                await self._context.iam.authorise(target.get("RoleArn", ""), [bus])
                self._count_hop(event)
                await self._context.moto.call(_forward, arn, event)
            case _:
                raise NotImplementedError(f"the local cloud does not deliver to {service}")


def _forward(arn: str, event: dict[str, Any]) -> None:
    """Let the rules of another event bus match an event; call it in moto's thread."""
    name = arn.rpartition("event-bus/")[2]
    bus = backend("events", scope_of_arn(arn)).event_buses.get(name)
    if bus is None:
        raise LookupError("there is no such event bus")
    for rule in list(bus.rules.values()):
        rule.send_to_targets(dict(event))


def _may_pass(error: Exception) -> bool:
    """Return whether a target that failed may succeed later: it was throttled, or it failed."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.response.get("Error", {}).get("Code", ""))
    return status >= 500 or status == 429 or "Throttl" in code


def _delays_of(target: dict[str, Any]) -> list[float]:
    """Return the pauses between the attempts to reach a target, as its retry policy allows them.

    Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
    """
    policy = target.get("RetryPolicy") or {}
    most = policy.get("MaximumRetryAttempts", len(_DELAYS_CLOCK_SECONDS))
    oldest = policy.get("MaximumEventAgeInSeconds", sum(_DELAYS_CLOCK_SECONDS))
    delays = _DELAYS_CLOCK_SECONDS[:most]
    return [delay for n, delay in enumerate(delays) if sum(delays[: n + 1]) <= oldest]


def _json_of(text: str) -> Any:
    """Return the value of an input, which a template may make no JSON; then it is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _url_of_queue(arn: str) -> str:
    scope = scope_of_arn(arn)
    return f"https://sqs.{scope.region}.amazonaws.com/{scope.account}/{arn.rpartition(':')[2]}"


def _send_to_queue(scope: Scope, arn: str, text: str, group: str | None) -> None:
    name = arn.rpartition(":")[2]
    backend("sqs", scope).send_message(queue_name=name, message_body=text, group_id=group)
