"""The refusal of an operation names it, whatever the service and its protocol."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any
from urllib.parse import unquote, urlencode

import botocore.loaders
import botocore.parsers
import botocore.session
import pytest
from botocore.model import ServiceModel, Shape
from botocore.serialize import create_serializer

from localcloud.aws.routing import Request, route
from localcloud.aws.signing_names import SIGNED_AS
from localcloud.aws.unimplemented import named, refusal

pytestmark = pytest.mark.botocore_modelled
# Every twelfth operation of each service is tried.
_STEP = 12
# Deprecated operations that have the path of another one.
_SAME = {f"{verb}Bucket{what}" for verb in ("Get", "Put") for what in ("Lifecycle", "Notification")}


def _smallest(shape: Shape | None) -> Any:
    """Return a value with the required members only."""
    kind = shape.type_name if shape is not None else "structure"
    if shape is not None and kind == "structure":
        return {name: _smallest(shape.members[name]) for name in shape.required_members}
    values = {"list": [], "map": {}, "blob": b"x", "boolean": True, "timestamp": 0}
    return values.get(kind, 1 if kind in ("integer", "long", "float", "double") else "x" * 12)


def _request(model: ServiceModel, operation: str) -> Request:
    """Return the request as a client that signs it sends it."""
    protocol = model.resolved_protocol
    serializer = create_serializer(protocol, False)
    sent = serializer.serialize_to_request(
        _smallest(model.operation_model(operation).input_shape),
        model.operation_model(operation),
    )
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{model.signing_name}/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    body = sent["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    path, _, query = sent["url_path"].partition("?")
    query = "&".join(filter(None, (query, urlencode(sent["query_string"]))))
    content = body if isinstance(body, bytes) else str(body).encode()
    request = Request(sent["method"], unquote(path), path, query, headers, content)
    route(request)
    return request


@pytest.fixture(scope="module")
def models() -> dict[str, ServiceModel]:
    loader = botocore.loaders.Loader(include_default_search_paths=True)
    return {
        name: ServiceModel(loader.load_service_model(name, "service-2"), name)
        for name in loader.list_available_services("service-2")
    }


def test_the_signing_names_are_botocores(models: dict[str, ServiceModel]) -> None:
    found = defaultdict(list)
    for name, model in sorted(models.items()):
        if model.signing_name != name:
            found[model.signing_name].append(name)
    assert {name: tuple(services) for name, services in found.items()} == SIGNED_AS


@pytest.mark.slow
def test_the_operations_of_every_service_are_named(models: dict[str, ServiceModel]) -> None:
    missed = []
    for model in models.values():
        for operation in model.operation_names[::_STEP]:
            request = _request(model, operation)
            if named(request)[1] != operation and operation not in _SAME:
                missed.append((model.service_name, operation, named(request)))
    assert [] == missed


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("ec2", "DescribeInstances", "<Response><Errors><Error><Code>NotImplemented</Code>"),
        ("rds", "DescribeDBInstances", "<ErrorResponse><Error>"),
        ("route53", "ListHostedZones", "<ErrorResponse><Error>"),
        ("dynamodb", "ListTables", '"__type"'),
        ("glue", "GetDatabases", '"__type"'),
    ],
)
def test_a_refusal_is_in_the_services_protocol(
    models: dict[str, ServiceModel], service: str, operation: str, code: str
) -> None:
    response = refusal(_request(models[service], operation))
    text = response.body.decode()
    assert (501, True, True) == (response.status, operation in text, code in text), text


def test_a_refusal_in_cbor_can_be_read() -> None:
    path = "/service/GraniteServiceVersion20100801/operation/GetInsightRuleReport"
    headers = {"smithy-protocol": "rpc-v2-cbor"}
    response = refusal(Request("POST", path, path, "", headers, b"", "cloudwatch"))
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
    parsed = parser.parse(
        {"status_code": response.status, "headers": response.headers, "body": response.body}, None
    )
    assert "NotImplemented" == parsed["Error"]["Code"]
    assert "GetInsightRuleReport" in parsed["Error"]["Message"]


def test_a_request_that_no_model_has_is_named_by_its_method_and_path() -> None:
    request = Request("PATCH", "/no/such", "/no/such", "", {}, b"", "apigateway")
    response = refusal(request)
    assert 501 == response.status
    assert "PATCH /no/such" in json.loads(response.body)["message"]
