"""The delivery of events: from a rule that matched to each of its targets.

moto matches the patterns and makes S3's events; this module does the rest. A target that fails does
not keep the others from getting the event.

An event is stored before the request that caused it is answered, and forgotten when it was
delivered. After a kill in between it is delivered at the next start: at least once, as on AWS. A
target that is throttled or fails gets the event again, seven times in a quarter of an hour.

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

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.actions import permissions
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codepipeline.api import CodePipelineApi
    from localcloud.lambda_.service import LambdaService

log = logging.getLogger("localcloud.eventbridge.delivery")

# The pauses between the attempts to reach a target that fails for the moment.
_DELAYS_CLOCK_SECONDS = (15.0, 30.0, 60.0, 120.0, 240.0, 480.0)


class EventDelivery:
    """Delivers events to pipelines, builds, functions, topics, queues and log groups."""

    def __init__(
        self, context: ServiceContext, pipelines: CodePipelineApi, functions: LambdaService
    ) -> None:
        self._context = context
        self._pipelines = pipelines
        self._functions = functions
        self._loop = asyncio.get_running_loop()

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
        for delay in (*_DELAYS_CLOCK_SECONDS, None):
            try:
                if arn.count(":") < 5:
                    raise LookupError("it is not an ARN")
                service = arn.split(":")[2]
                payload = await self._context.moto.call(_input_of, target, event)
                await self._send(rule_arn, service, target, payload)
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
                    return
            await self._context.clock.sleep(delay)

    async def _send(
        self, rule_arn: str, service: str, target: dict[str, Any], payload: Any
    ) -> None:
        scope, arn = scope_of_arn(rule_arn), target["Arn"]
        text = payload if isinstance(payload, str) else json.dumps(payload)
        match service:
            case "codepipeline":
                name = {"name": arn.rpartition(":")[2]}
                wanted = permissions("codepipeline", "StartPipelineExecution", name, scope)
                await self._context.iam.authorise(target.get("RoleArn", ""), wanted)
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
                document = payload if isinstance(payload, dict) else {"input": payload}
                await self._functions.invoke(scope, arn.split(":function:")[-1], document)
            case "sns":
                await self._context.api(scope, "sns", "publish", TopicArn=arn, Message=text)
            case "sqs":
                await self._context.moto.call(_send_to_queue, scope, arn, text)
            case "logs":
                group = arn.split(":log-group:")[-1].removesuffix(":*")
                self._context.logs.write(scope, group, "events", text)
            case _:
                raise NotImplementedError(f"the local cloud does not deliver to {service}")


def _may_pass(error: Exception) -> bool:
    """Return whether a target that failed may succeed later: it was throttled, or it failed."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.response.get("Error", {}).get("Code", ""))
    return status >= 500 or status == 429 or "Throttl" in code


def _input_of(target: dict[str, Any], event: dict[str, Any]) -> Any:
    """Return the input of a target: the event, a constant, a part of the event or a template."""
    from moto.events.models import EventTemplateParser

    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        value: Any = event
        for part in target["InputPath"].removeprefix("$").strip(".").split("."):
            value = value[part] if part else value
        return value
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        return EventTemplateParser.parse(
            input_template=transformer.get("InputTemplate"),
            input_paths_map=transformer.get("InputPathsMap", {}),
            # For <aws.events.event.ingestion-time>; moto needs it in any case.
            event={**event, "ingestion-time": event["time"]},
        )
    return event


def _send_to_queue(scope: Scope, arn: str, text: str) -> None:
    backend("sqs", scope).send_message(queue_name=arn.split(":")[-1], message_body=text)
