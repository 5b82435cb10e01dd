"""Every property of every resource type: it reaches a service, or it is refused by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.aws.protocol import input_shape
from localcloud.aws.routing import Scope
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import CreatedResource, Handler, coerced

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-template-resource-type-ref.html"
)
_DEEPEST = 9
# What the API names differently, or takes only together with something else.
_SAMPLES: dict[tuple[str, str], Callable[[str], Any]] = {
    ("AWS::ApplicationAutoScaling::ScalingPolicy", "ScalingTargetId"): lambda text: (
        f"{text}|dimension|namespace"
    ),
}
# Properties of which only some may be given.
_INSTEAD = {"AWS::ApplicationAutoScaling::ScalingPolicy": {"ScalingTargetId"}}


class RecordingCall:
    """The means of a handler, which records what it calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.scope = Scope()
        self.stack_name, self.logical_id, self.role_arn = "s", "R", ""
        self.begun, self.resumed = None, False
        self.clock = SimpleNamespace(sleep=self._sleep)
        self.services = SimpleNamespace(api=self._of_the_account)

    async def _sleep(self, seconds: float) -> None:
        del seconds

    async def _of_the_account(
        self, scope: Scope, service: str, operation: str, **parameters: Any
    ) -> dict[str, Any]:
        del scope, service, operation, parameters
        return {"TemplateBody": "{}"}

    async def api(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        shape = input_shape(service, operation)
        parameters = coerced(shape, parameters)
        self.calls.append((service, operation, parameters))
        name = parameters.get("EndpointConfigName", self._configuration())
        return {
            "EndpointStatus": "InService",
            "EndpointConfigName": name,
            "StackId": "id",
            "Stacks": [{"StackStatus": "CREATE_COMPLETE"}],
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "ModelPackageGroupStatus": "Completed",
            "Subscriptions": [],
            **{
                f"{kind}Arn": "arn"
                for kind in ("Model", "EndpointConfig", "Endpoint", "ModelPackageGroup", "Topic")
            },
            "ScalableTargetARN": "arn",
            "PolicyARN": "arn",
        }

    def _configuration(self) -> str:
        for _, _, parameters in reversed(self.calls):
            if "EndpointConfigName" in parameters:
                return str(parameters["EndpointConfigName"])
        return ""

    async def create_once(
        self, create: Awaitable[dict[str, Any]], find: Callable[[], Any]
    ) -> dict[str, Any]:
        del find
        return await create

    def generated_name(self, limit: int = 63) -> str:
        return "generated"[:limit]

    def check_time(self) -> None:
        pass

    def initiated(self, physical_id: str) -> None:
        del physical_id


class Samples:
    """Makes values of a schema in which every scalar is another one."""

    def __init__(self, handler: Handler, first: int) -> None:
        self._type, self._document = handler.type, handler.schema.document
        self._numbers = count(first)
        self.scalars: dict[str, str] = {}

    def of(self, name: str) -> Any:
        special = _SAMPLES.get((self._type, name))
        if special is not None:
            text = self._scalar(name)
            return special(text)
        return self._value(self._document["properties"][name], name, 0)

    def _scalar(self, path: str) -> str:
        text = f"7{next(self._numbers):06}7"
        self.scalars[path] = text
        return text

    def _value(self, schema: dict[str, Any], path: str, depth: int) -> Any:
        while "$ref" in schema:
            schema = self._document["definitions"][schema["$ref"].rpartition("/")[2]]
        kinds = schema.get("type", "object")
        kind = kinds if isinstance(kinds, str) else kinds[0]
        if kind == "array":
            return [self._value(schema.get("items", {}), f"{path}/0", depth + 1)]
        if kind == "object":
            known = schema.get("properties", {})
            if not known:
                return {"Key": self._scalar(f"{path}/Key")}
            return {
                name: self._value(known[name], f"{path}/{name}", depth + 1)
                for name in known
                if depth < _DEEPEST
            }
        return True if kind == "boolean" else self._scalar(path)


def run(work: Awaitable[CreatedResource]) -> CreatedResource:
    async def wait() -> CreatedResource:
        return await work

    return asyncio.run(wait())


def alone(handler: Handler) -> list[set[str]]:
    """Return sets of the properties that may be given together."""
    instead = _INSTEAD.get(handler.type, set())
    keys = {"ServiceNamespace", "ResourceId", "ScalableDimension"} if instead else set()
    return [set(handler.carried_out) - instead, set(handler.carried_out) - keys]


def lost(samples: Samples, call: RecordingCall) -> list[str]:
    told = json.dumps([parameters for _, _, parameters in call.calls], default=str)
    return [path for path, text in samples.scalars.items() if text not in told]


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
def test_a_property_that_is_carried_out_reaches_a_service_at_the_creation(
    handler: Handler,
) -> None:
    for names in alone(handler):
        samples, call = Samples(handler, 1), RecordingCall()
        at_updates = {"RetainAllVariantProperties", "RetainDeploymentConfig"} | {
            "ExcludeRetainedVariantProperties"
        }
        properties = {name: samples.of(name) for name in sorted(names - at_updates)}
        run(handler.create(call, properties))  # type: ignore[arg-type]
        assert lost(samples, call) == []
        for service, operation, parameters in call.calls:
            assert _unknown(input_shape(service, operation), parameters) == []


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
def test_a_property_that_changes_in_place_reaches_a_service(handler: Handler) -> None:
    if handler.type == "AWS::CloudFormation::Stack":
        in_place = handler.carried_out - {"TimeoutInMinutes"}  # of a creation only
    else:
        in_place = handler.carried_out - handler.schema.create_only
    before, after, call = Samples(handler, 1), Samples(handler, 500_000), RecordingCall()
    fixed = sorted((handler.carried_out & handler.schema.create_only) - {"ScalingTargetId"})
    same = {name: before.of(name) for name in fixed}
    old = {name: before.of(name) for name in sorted(in_place)}
    new = {name: after.of(name) for name in sorted(in_place)}
    attributes = dict.fromkeys(("Arn", "EndpointName", "TopicArn"), "a")
    made = CreatedResource("id", attributes)
    run(handler.update(call, made, {**same, **old}, {**same, **new}))  # type: ignore[arg-type]
    assert lost(after, call) == []
    for service, operation, parameters in call.calls:
        assert _unknown(input_shape(service, operation), parameters) == []


def test_a_wait_between_steps_that_a_template_leaves_out_is_none() -> None:
    """CloudFormation makes optional what the API requires."""
    call, handler = RecordingCall(), HANDLERS["AWS::SageMaker::Endpoint"]
    routing = {"Type": "ALL_AT_ONCE"}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    properties = {"EndpointConfigName": "c", "DeploymentConfig": policy}
    run(handler.create(call, properties))  # type: ignore[arg-type]
    ((_, _, made), *_) = call.calls
    found = made["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert found == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def _unknown(shape: Any, value: Any, path: str = "") -> list[str]:
    """Return the members of a request that botocore does not know."""
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            return [
                name
                for key, item in value.items()
                for name in (
                    _unknown(shape.members[key], item, f"{path}/{key}")
                    if key in shape.members
                    else [f"{path}/{key}"]
                )
            ]
        case "list" if isinstance(value, list):
            return [name for item in value for name in _unknown(shape.member, item, f"{path}/*")]
        case "map" if isinstance(value, dict):
            return [name for item in value.values() for name in _unknown(shape.value, item, path)]
    return []
