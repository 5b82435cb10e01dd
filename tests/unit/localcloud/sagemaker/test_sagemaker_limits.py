"""Time limits of a container and size limits of a request, on an advanced clock."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.aws.routing import Request, Response, Scope
from localcloud.sagemaker.connection import Reply, TimedOut
from localcloud.sagemaker.fleets import Fleet, FleetBuilder, FleetSet
from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.instance_client import invoke_instance
from localcloud.sagemaker.model import Endpoint, EndpointStatus, TrainingJob, Variant
from localcloud.sagemaker.runtime import DEFAULT_LIMIT_BYTES, Runtime
from localcloud.sagemaker.training import TrainingEngine

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"
hosting = pytest.mark.aws_documented(f"{GUIDE}/your-algorithms-inference-code.html")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Child:
    """A process that notes the grace it was given to end."""

    def __init__(self, returncode: int | None = None) -> None:
        self.returncode = returncode
        self.graces: list[float] = []

    async def stop(self, grace_seconds: float) -> None:
        self.graces.append(grace_seconds)


class Answering:
    """Connections that are answered at once."""

    def begin(
        self, method: str, path: str, timeout_seconds: float, done: Callable[[Any], None], *_: Any
    ) -> None:
        del method, path, timeout_seconds
        done(Reply(200, {}, b'{"a": 1}'))


class Silent:
    """Connections that nobody answers: they note for how long they would have waited."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    async def request(self, method: str, path: str, timeout_seconds: float, *_: Any) -> Any:
        del method, path
        self.timeouts.append(timeout_seconds)
        raise TimedOut("it took too long")

    def begin(
        self, method: str, path: str, timeout_seconds: float, done: Callable[[Any], None], *_: Any
    ) -> None:
        del method, path
        self.timeouts.append(timeout_seconds)
        done(TimedOut("it took too long"))

    def close(self) -> None:
        pass


def instance(child: Child, silent: Silent | Answering | None = None) -> Instance:
    made: Any = child
    found = Instance(made, 1, deque())
    connections: Any = silent or found.connections
    found.connections = connections
    return found


@hosting
def test_a_ping_is_answered_within_two_seconds() -> None:
    silent = Silent()
    assert asyncio.run(instance(Child(), silent).ping()) is False
    assert silent.timeouts == [2.0]


@hosting
def test_a_server_that_is_stopped_has_thirty_seconds() -> None:
    child = Child()
    asyncio.run(instance(child).retire())
    assert child.graces == [30.0]


@hosting
def test_a_model_answers_within_sixty_seconds() -> None:
    silent = Silent()
    server = instance(Child(), silent)
    with pytest.raises(TimedOut):
        asyncio.run(invoke_instance(server, b"x", {}))
    assert silent.timeouts == [60.0]
    assert server.in_flight == 0


class Waiting(FleetBuilder):
    """A builder that starts nothing, and notes how long it would wait for each fleet's health."""

    def __init__(self, variants: list[dict[str, Any]]) -> None:
        config = SimpleNamespace(request={"ProductionVariants": variants})
        self._configs: Any = SimpleNamespace(get=lambda arn: config)
        self.limits: dict[str, float] = {}

    async def fleet(
        self, scope: Scope, model_name: str, variant: Variant, instance_type: str
    ) -> Fleet:
        del scope, model_name, instance_type
        made: Any = SimpleNamespace(variant=variant, role_arn="")
        return made  # type: ignore[no-any-return]

    async def grow(
        self, scope: Scope, group: str, fleet: Fleet, limit_seconds: float = 0.0
    ) -> None:
        del scope, group
        self.limits[fleet.variant.name] = limit_seconds


@pytest.mark.aws_documented(f"{API}/API_ProductionVariant.html")
def test_a_container_is_healthy_within_eight_minutes_unless_it_is_given_others() -> None:
    variants: list[dict[str, Any]] = [
        {"VariantName": "A", "ModelName": "m"},
        {"VariantName": "B", "ModelName": "m", "ContainerStartupHealthCheckTimeoutInSeconds": 60},
    ]
    builder = Waiting(variants)
    endpoint = Endpoint("arn:aws:sagemaker:us-east-1:1:endpoint/e", "e", "c", NOW, NOW)
    known = [Variant(v["VariantName"], 1, 1.0) for v in variants]
    asyncio.run(builder.build(endpoint, "c", known, FleetSet()))
    assert builder.limits == {"A": 480, "B": 60}


@pytest.mark.aws_documented(f"{API}/API_StopTrainingJob.html")
def test_a_training_job_that_is_stopped_has_two_minutes() -> None:
    child, begun = Child(), list[Coroutine[Any, Any, None]]()
    cloud: Any = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: NOW), spawn=lambda name, work: begun.append(work)
    )
    jobs: Any = SimpleNamespace(put=lambda arn, job: None)
    engine = TrainingEngine(cloud, jobs, lambda job: None)
    job = TrainingJob("arn", "job", {}, NOW, NOW)
    running: Any = child
    engine._children["arn"] = running
    engine.stop(job)
    for work in begun:
        asyncio.run(work)
    assert child.graces == [120.0]


def answer(
    body: bytes,
    silent: Silent | Answering | None = None,
    limit_bytes: int = DEFAULT_LIMIT_BYTES,
    alive: bool = True,
) -> tuple[int, dict[str, Any]]:
    """Send a request to an endpoint of one instance; return status and document."""
    variant = Variant("AllTraffic", 1, 1.0)
    child = Child(None if alive else 1)
    fleet: Any = SimpleNamespace(variant=variant, instances=[instance(child, silent)])
    fleets = FleetSet({"AllTraffic": fleet})
    endpoint = Endpoint("arn", "e", "c", NOW, NOW, EndpointStatus.IN_SERVICE, [variant])
    # What is captured is asked for when an instance has answered, and here that fails.
    engine: Any = SimpleNamespace(fleets=lambda arn: fleets, capture={}.__getitem__)
    endpoints: Any = SimpleNamespace(get=lambda arn: endpoint)
    meter: Any = SimpleNamespace(record=lambda *_, **__: None)
    capturer: Any = None
    runtime = Runtime(engine, endpoints, meter, capturer, limit_bytes)
    path = "/endpoints/e/invocations"
    request = Request("POST", path, path, "", {}, body)
    response: Response | None = asyncio.run(runtime.handle(request))
    assert response is not None
    return response.status, json.loads(response.body)


@pytest.mark.emulator_only
def test_a_model_that_does_not_answer_in_time_is_a_model_error_of_status_zero() -> None:
    status, document = answer(b"x", Silent())
    assert (status, document["OriginalStatusCode"]) == (424, 0)
    assert document["OriginalMessage"].startswith("Your invocation timed out while waiting")
    assert document["message"].startswith("Received server error (0) from primary")


@pytest.mark.botocore_modelled
def test_an_endpoint_that_gets_no_living_instance_in_time_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("localcloud.sagemaker.runtime.INVOCATION_SECONDS", 0.2)
    status, document = answer(b"x", alive=False)
    assert status == 503
    assert "no healthy instance" in document["message"]


@pytest.mark.emulator_only
def test_the_limit_of_a_request_is_a_setting() -> None:
    status, document = answer(b"x" * 11, limit_bytes=10)
    assert status == 400
    assert document["message"].endswith("less than or equal to 10")
    assert answer(b"x" * 10, Silent(), limit_bytes=10)[0] == 424


@pytest.mark.emulator_only
def test_what_fails_after_the_answer_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert answer(b"x", Answering()) == (200, {"a": 1})
    assert "KeyError" in caplog.text
