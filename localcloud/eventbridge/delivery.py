"""The delivery of events: from a rule that matched to each of its targets.

moto matches the patterns and makes S3's events; this module does the rest. A target that fails does
not keep the others from getting the event.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
Differs: a target of another kind gets nothing, and the log names it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.actions import permissions
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codepipeline.api import CodePipelineApi
    from localcloud.lambda_.service import LambdaService

log = logging.getLogger("localcloud.eventbridge.delivery")


class EventDelivery:
    """Delivers events to pipelines, builds, functions, topics, queues and log groups."""

    def __init__(
        self, context: ServiceContext, pipelines: CodePipelineApi, functions: LambdaService
    ) -> None:
        self._context = context
        self._pipelines = pipelines
        self._functions = functions
        self._loop = asyncio.get_running_loop()

    def on_match(self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any]) -> None:
        """Pass a match from moto's thread to the event loop."""
        self._loop.call_soon_threadsafe(self.deliver, rule_arn, targets, event)

    def deliver(self, rule_arn: str, targets: list[dict[str, Any]], event: dict[str, Any]) -> None:
        """Begin to deliver an event to each target."""
        for target in targets:
            name = f"event to {target.get('Arn', 'a target without an ARN')}"
            self._context.spawn(name, self._deliver(rule_arn, target, event))

    async def _deliver(self, rule_arn: str, target: dict[str, Any], event: dict[str, Any]) -> None:
        arn = str(target.get("Arn", ""))
        try:
            if arn.count(":") < 5:
                raise LookupError("it is not an ARN")
            service = arn.split(":")[2]
            payload = await self._context.moto.call(_input_of, target, event)
            await self._send(rule_arn, service, target, payload)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("the event %s did not reach %s: %s", event.get("detail-type"), arn, error)

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
            event=event,
        )
    return event


def _send_to_queue(scope: Scope, arn: str, text: str) -> None:
    backend("sqs", scope).send_message(queue_name=arn.split(":")[-1], message_body=text)
