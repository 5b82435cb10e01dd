"""Every operation of the live services against requests that botocore's models allow, and forbid.

A request that fits the model is answered or refused by AWS's code, never by a 500; one that does
not fit is refused as AWS refuses it. `make nightly` tries many more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from localcloud.edge.coverage import implemented
from localcloud.moto_backend.dispatcher import SERVICES
from tests.cloud import configured_url, have_role, local_cloud, push_container
from tests.examples import ODD_OVER_HTTP, OPERATION_OVER_HTTP, examples
from tests.fuzzing import (
    Wire,
    breakable,
    form,
    garbled,
    invalid,
    model_of,
    odd,
    protocol_of,
    valid,
)

pytestmark = [pytest.mark.botocore_modelled, pytest.mark.fuzz]

# Whose wire is not one body to one path.
_ELSEWHERE = {"lambda", "sagemaker-runtime"}
OPERATIONS = [
    (service, name)
    for service, names in implemented().items()
    for name in names
    if service not in _ELSEWHERE
]
_ROLE = "arn:aws:iam::000000000000:role/fuzz"
_OF_THE_MODEL = {"ValidationException", "ValidationError", "SerializationException"}
_QUICK = settings(
    max_examples=examples(OPERATION_OVER_HTTP),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)
_ODD = settings(_QUICK, max_examples=examples(ODD_OVER_HTTP))


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A cloud of its own, in which a few things are there already."""
    if configured_url() is not None:
        pytest.skip("requests at random are for a local cloud of one's own")
    log: Path = tmp_path_factory.mktemp("fuzz") / "localcloud.log"
    with local_cloud(speed=60.0, log=log) as cloud:
        found = Wire(cloud.url)
        have_role(cloud, _ROLE, "codepipeline", "sagemaker")
        push_container(cloud, "fuzz")
        for service, name, parameters in _SEEDS:
            status, _, text = found.send(service, name, parameters)
            assert status == 200, text
        yield found
    text = log.read_text()
    assert "Traceback" not in text, f"the local cloud logged an error:\n{text[-6000:]}"


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
@_QUICK
@given(data=st.data())
def test_a_request_that_fits_the_model_is_never_a_500(
    wire: Wire, service: str, name: str, data: st.DataObject
) -> None:
    parameters = data.draw(valid(model_of(service).operation_model(name)))
    status, code, text = wire.send(service, name, parameters)
    # What an operation cannot do of all that the model allows it refuses by name, with a 501.
    assert status < 500 or (status, code) == (501, "NotImplemented"), text
    assert (status == 200) == (code == "")
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (service, name)
        for service, name in OPERATIONS
        if breakable(model_of(service).operation_model(name).input_shape)
    ],
)
@_QUICK
@given(data=st.data())
def test_a_request_that_does_not_fit_is_refused_as_such(
    wire: Wire, service: str, name: str, data: st.DataObject
) -> None:
    parameters = data.draw(invalid(model_of(service).operation_model(name)))
    status, code, text = wire.send(service, name, parameters)
    assert (status, code in _OF_THE_MODEL) == (400, True), text
    assert "Traceback" not in text


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
@_QUICK
@given(data=st.data())
def test_an_odd_value_is_refused_and_never_a_500(
    wire: Wire, service: str, name: str, data: st.DataObject
) -> None:
    operation = model_of(service).operation_model(name)
    parameters = data.draw(odd(operation))
    body = json.dumps(parameters).encode()
    if protocol_of(service) == "query":
        body = form(operation, parameters)
    if data.draw(st.integers(0, 4)) == 0:
        body = data.draw(garbled(body))
    status, code, text = wire.send_bytes(service, name, body)
    assert status < 500 or (status, code) == (501, "NotImplemented"), text
    assert (status == 200) == (code == "")
    assert "Traceback" not in text


@pytest.mark.parametrize("service", SERVICES)
@_ODD
@given(data=st.data())
def test_only_moto_itself_fails_and_then_its_operation_is_named(
    wire: Wire, service: str, data: st.DataObject
) -> None:
    names = [n for n in model_of(service).operation_names if (service, n) not in OPERATIONS]
    operation = model_of(service).operation_model(data.draw(st.sampled_from(names)))
    parameters = data.draw(odd(operation) | valid(operation))
    assume(isinstance(parameters, dict))
    status, _, text = wire.send_serialized(service, operation, parameters)
    assert status != 500 or f"moto failed on {service}:" in text, text
    assert "Traceback" not in text


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '"text"', "\x00", '{"a":' * 2000])
@pytest.mark.parametrize(("service", "name"), OPERATIONS[::9])
def test_a_body_that_is_no_request_is_refused_as_such(
    wire: Wire, service: str, name: str, body: str
) -> None:
    status, code, text = wire.send_text(service, name, body)
    assert status == 200 or (400 <= status < 500 and code), text


def _pipeline() -> dict[str, Any]:
    kind = {"owner": "AWS", "version": "1"}
    source = {
        "name": "Object",
        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
        "configuration": {
            "S3Bucket": "fuzz",
            "S3ObjectKey": "fuzz",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "fuzz",
        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
    }
    return {
        "name": "fuzz",
        "roleArn": _ROLE,
        "artifactStore": {"type": "S3", "location": "fuzz"},
        "stages": [
            {"name": "other", "actions": [source]},
            {"name": "fuzz", "actions": [approval]},
        ],
    }


_TEMPLATE = {"Resources": {"fuzz": {"Type": "AWS::Logs::LogGroup"}}}
_MODEL = {"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/fuzz:latest"}
_SEEDS: list[tuple[str, str, dict[str, Any]]] = [
    ("codepipeline", "CreatePipeline", {"pipeline": _pipeline()}),
    ("codecommit", "CreateRepository", {"repositoryName": "fuzz"}),
    (
        "cloudformation",
        "CreateStack",
        {"StackName": "fuzz", "TemplateBody": json.dumps(_TEMPLATE)},
    ),
    (
        "sagemaker",
        "CreateModel",
        {
            "ModelName": "fuzz",
            "PrimaryContainer": _MODEL,
            "ExecutionRoleArn": _ROLE,
        },
    ),
    (
        "sagemaker",
        "CreateEndpointConfig",
        {
            "EndpointConfigName": "fuzz",
            "ProductionVariants": [
                {"VariantName": "fuzz", "ModelName": "fuzz", "InitialInstanceCount": 1}
            ],
        },
    ),
    ("sagemaker", "CreateEndpoint", {"EndpointName": "fuzz", "EndpointConfigName": "fuzz"}),
]
