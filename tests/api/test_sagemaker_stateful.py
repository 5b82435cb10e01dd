"""Endpoints against a small model of them: whatever the order of calls, both say the same.

create ─► InService | Failed      update ─► InService on the new or, when it fails, the old
scale  ─► InService               delete ─► gone, with all its processes, at any moment
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.cloud import TestCloud, wait_for
from tests.examples import ENDPOINTS_OVER_HTTP, examples, steps
from tests.sagemaker import ROLE, prepare

BUCKET = "stateful-tests"
# In each model's name, and so in the environment of each of its processes.
MARK = "stateful-model"
ENDPOINTS = ("red", "blue")
ANSWERS = ("one", "two")
BROKEN = "broken"
UPDATE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html"

names = st.sampled_from(ENDPOINTS)
picks = st.integers(0, 10_000)
counts = st.integers(1, 2)
weights = st.integers(1, 3)
_numbers = count(1)


@dataclass
class Config:
    answer: str
    count: int
    weight: int
    exists: bool = True


@dataclass
class Endpoint:
    config: str
    count: int
    weight: int
    answer: str
    failed: bool = False


@dataclass
class Model:
    configs: dict[str, Config] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


class Machine(RuleBasedStateMachine):
    """Does to a cloud what it does to the model."""

    def __init__(self, cloud: TestCloud, models: dict[str, str]) -> None:
        super().__init__()
        self.cloud = cloud
        self.models = models
        self.client = cloud.client("sagemaker")
        self.runtime = cloud.client("sagemaker-runtime")
        self.model = Model()

    @initialize()
    def first_configs(self) -> None:
        for answer in ANSWERS:
            self.create_config(answer, 1, 1)

    @rule(answer=st.sampled_from((*ANSWERS, BROKEN)), count=counts, weight=weights)
    def create_config(self, answer: str, count: int, weight: int) -> None:
        name = f"stateful-{next(_numbers)}"
        variant = {
            "VariantName": "V",
            "ModelName": self.models[answer],
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            "InitialVariantWeight": weight,
        }
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self.model.configs[name] = Config(answer, count, weight)

    @rule(pick=picks)
    def delete_config(self, pick: int) -> None:
        name = self.config(pick)
        if self.model.configs[name].exists:
            self.client.delete_endpoint_config(EndpointConfigName=name)
            self.model.configs[name].exists = False
        else:
            self.refused(self.client.delete_endpoint_config, EndpointConfigName=name)

    @rule(name=names, pick=picks)
    def create_endpoint(self, name: str, pick: int) -> None:
        config_name = self.config(pick)
        config = self.model.configs[config_name]
        call = {"EndpointName": name, "EndpointConfigName": config_name}
        if name in self.model.endpoints or not config.exists:
            self.refused(self.client.create_endpoint, **call)
            return
        self.client.create_endpoint(**call)
        broken = config.answer == BROKEN
        self.model.endpoints[name] = Endpoint(
            config_name, config.count, config.weight, config.answer, broken
        )
        self.settle(name)

    @rule(name=names, pick=picks, retain=st.booleans())
    def update_endpoint(self, name: str, pick: int, retain: bool) -> None:
        config_name = self.config(pick)
        config, endpoint = self.model.configs[config_name], self.model.endpoints.get(name)
        call = {
            "EndpointName": name,
            "EndpointConfigName": config_name,
            "RetainAllVariantProperties": retain,
        }
        if endpoint is None or endpoint.failed or not config.exists:
            self.refused(self.client.update_endpoint, **call)
            return
        self.client.update_endpoint(**call)
        described = self.settle(name)
        if config.answer == BROKEN:
            assert "did not pass the ping health check" in described["FailureReason"]
            return
        assert "FailureReason" not in described
        endpoint.config, endpoint.answer = config_name, config.answer
        if not retain:
            endpoint.count, endpoint.weight = config.count, config.weight

    @rule(name=names, count=counts, weight=weights)
    def scale(self, name: str, count: int, weight: int) -> None:
        endpoint = self.model.endpoints.get(name)
        change = {"VariantName": "V", "DesiredInstanceCount": count, "DesiredWeight": weight}
        call = {"EndpointName": name, "DesiredWeightsAndCapacities": [change]}
        if endpoint is None or endpoint.failed:
            self.refused(self.client.update_endpoint_weights_and_capacities, **call)
            return
        self.client.update_endpoint_weights_and_capacities(**call)
        self.settle(name)
        endpoint.count, endpoint.weight = count, weight

    @precondition(lambda self: any(not e.failed for e in self.model.endpoints.values()))
    @rule(pick=picks, count=counts)
    def delete_while_it_changes(self, pick: int, count: int) -> None:
        serving = [name for name, e in self.model.endpoints.items() if not e.failed]
        name = serving[pick % len(serving)]
        usable = [c for c, config in self.model.configs.items() if config.exists]
        if usable and pick % 2:
            self.client.update_endpoint(
                EndpointName=name, EndpointConfigName=usable[pick % len(usable)]
            )
        else:
            change = {"VariantName": "V", "DesiredInstanceCount": count}
            self.client.update_endpoint_weights_and_capacities(
                EndpointName=name, DesiredWeightsAndCapacities=[change]
            )
        self.delete_endpoint(name)

    @rule(name=names)
    def delete_endpoint(self, name: str) -> None:
        if name not in self.model.endpoints:
            self.refused(self.client.delete_endpoint, EndpointName=name)
            return
        self.client.delete_endpoint(EndpointName=name)
        del self.model.endpoints[name]
        wait_for(f"{name} to go", lambda: name not in self.listed(), 30)

    @rule(name=names)
    def invoke(self, name: str) -> None:
        endpoint = self.model.endpoints.get(name)
        call = {"EndpointName": name, "Body": b"x", "ContentType": "text/csv"}
        if endpoint is None or endpoint.failed:
            with pytest.raises(ClientError) as caught:
                self.runtime.invoke_endpoint(**call)
            assert code_of(caught.value) == "ValidationError"
            return
        answer = self.runtime.invoke_endpoint(**call)["Body"].read().decode()
        assert answer == f"{endpoint.answer}:x"

    @invariant()
    def the_cloud_says_what_the_model_says(self) -> None:
        expected = {
            name: "Failed" if endpoint.failed else "InService"
            for name, endpoint in self.model.endpoints.items()
        }
        assert self.listed() == expected
        for name, endpoint in self.model.endpoints.items():
            described = self.client.describe_endpoint(EndpointName=name)
            assert described["EndpointConfigName"] == endpoint.config
            if endpoint.failed:
                assert "ProductionVariants" not in described
                continue
            (shown,) = described["ProductionVariants"]
            assert (shown["CurrentInstanceCount"], shown["CurrentWeight"]) == (
                endpoint.count,
                endpoint.weight,
            )

    def teardown(self) -> None:
        for name in list(self.model.endpoints):
            self.delete_endpoint(name)
        wait_for("no process to be left", lambda: not processes(self.cloud), 30)

    def config(self, pick: int) -> str:
        """Return one of the configurations there are or have been."""
        known = list(self.model.configs)
        return known[pick % len(known)]

    def listed(self) -> dict[str, str]:
        answer = self.client.list_endpoints(MaxResults=100)["Endpoints"]
        return {
            e["EndpointName"]: e["EndpointStatus"] for e in answer if e["EndpointName"] in ENDPOINTS
        }

    def settle(self, name: str) -> Any:
        def probe() -> Any:
            described = self.client.describe_endpoint(EndpointName=name)
            return described if described["EndpointStatus"] in ("InService", "Failed") else None

        return wait_for(f"{name} to settle", probe, 30)

    def refused(self, call: Any, **parameters: Any) -> None:
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        assert code_of(caught.value) == "ValidationException"


def processes(cloud: TestCloud) -> list[str]:
    """Return the model servers of this test that run, where the system can tell."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:  # it is gone, or not ours
            continue
        if f"-{MARK}-".encode() in environment:
            found.append(path.parent.name)
    return found if cloud.pid is not None else []


@pytest.mark.fuzz
@pytest.mark.aws_documented(UPDATE)
@pytest.mark.timeout(1800)
def test_endpoints_do_what_a_small_model_of_them_does(cloud: TestCloud) -> None:
    image = prepare(cloud, BUCKET)
    client = cloud.client("sagemaker")
    models = {answer: f"{MARK}-{answer}" for answer in (*ANSWERS, BROKEN)}
    for answer, name in models.items():
        broken = answer == BROKEN
        client.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": image,
                "ModelDataUrl": f"s3://{BUCKET}/{ANSWERS[0] if broken else answer}/model.tar.gz",
                "Environment": {"BROKEN": "1"} if broken else {},
            },
        )

    class Bound(Machine):
        def __init__(self) -> None:
            super().__init__(cloud, models)

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=examples(ENDPOINTS_OVER_HTTP),
            stateful_step_count=steps(15),
            suppress_health_check=list(HealthCheck),
        ),
    )
