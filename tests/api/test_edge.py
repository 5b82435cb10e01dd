"""The edge: LocalStack's routes, honest refusals, and who may call."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import REGION, TRUST, TestCloud, local_cloud, make_config, wait_for
from tests.sagemaker import prepare

pytestmark = pytest.mark.emulator_only

NAME = "edge-endpoint"
PATH = f"/endpoints/{NAME}/invocations"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
HEALTH = b"GET /_localstack/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
Answer = tuple[int, dict[str, str], bytes]


def test_health_lists_the_services_as_localstack_does(cloud: TestCloud) -> None:
    status, body = cloud.get("/_localstack/health")
    services = json.loads(body)["services"]
    assert status == 200
    assert {"s3", "lambda"} <= set(services)
    assert set(services.values()) <= {"available", "running", "disabled", "error"}
    assert {"edition", "version"} <= set(json.loads(body))


def test_a_response_has_one_date_and_one_server(cloud: TestCloud) -> None:
    for path in ("/", "/_localstack/health"):
        connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert [len(answer.headers.get_all(name, [])) for name in ("date", "server")] == [1, 1]
        connection.close()


def test_info_says_what_answers(cloud: TestCloud) -> None:
    status, body = cloud.get("/_localstack/info")
    assert status == 200
    assert {"edition", "version"} <= set(json.loads(body))


def test_localstacks_other_routes_answer(cloud: TestCloud) -> None:
    assert cloud.get("/_localstack/plugins") == (200, b"{}\n")
    status, body = cloud.get("/_localstack/config")
    assert status == 200
    assert json.loads(body)["GATEWAY_LISTEN"] == cloud.url.partition("://")[2]
    diagnosis = json.loads(cloud.get("/_localstack/diagnose")[1])
    assert diagnosis["info"]["edition"] == "localcloud"
    assert diagnosis["config"] == json.loads(body)
    request = urllib.request.Request(f"{cloud.url}/_localstack/config", b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(request, timeout=10)


def test_init_says_that_the_cloud_is_ready(cloud: TestCloud) -> None:
    _, body = cloud.get("/_localstack/init")
    document = json.loads(body)
    assert document["completed"]["READY"] is True
    assert set(document["completed"]) == {"BOOT", "START", "READY", "SHUTDOWN"}
    assert document["scripts"] == []


@pytest.mark.parametrize(
    ("key", "account"), [("test", "000000000000"), ("123456789012", "123456789012")]
)
def test_an_access_key_of_twelve_digits_is_the_account(
    cloud: TestCloud, key: str, account: str
) -> None:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=cloud.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key="test",
        )

    assert client("sts").get_caller_identity()["Account"] == account
    topic = client("sns").create_topic(Name="of-an-account")["TopicArn"]
    assert topic == f"arn:aws:sns:us-east-1:{account}:of-an-account"
    group = client("sagemaker").create_model_package_group(ModelPackageGroupName=f"of-{account}")
    assert group["ModelPackageGroupArn"].split(":")[4] == account
    client("sagemaker").delete_model_package_group(ModelPackageGroupName=f"of-{account}")
    client("sns").delete_topic(TopicArn=topic)


def test_an_operation_that_is_not_there_is_a_501_that_names_it(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("the list of operations is the local cloud's own")
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker").create_compilation_job(
            CompilationJobName="x",
            RoleArn="arn:aws:iam::000000000000:role/x-role-of-compilation",
            OutputConfig={"S3OutputLocation": "s3://b/k", "TargetDevice": "ml_m5"},
            StoppingCondition={},
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "sagemaker:CreateCompilationJob" in str(caught.value)


def test_a_service_that_is_not_there_is_a_501_too(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("the list of services is the local cloud's own")
    with pytest.raises(ClientError) as caught:
        cloud.client("athena").list_work_groups()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.com"}, {"Host": "rebound.example.com"}]
)
def test_a_foreign_web_page_is_turned_away(cloud: TestCloud, headers: dict[str, str]) -> None:
    if not cloud.ours:
        pytest.skip("only the local cloud's own edge is judged")
    request = urllib.request.Request(f"{cloud.url}/_localstack/health", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert caught.value.code == 403
    caught.value.close()


def test_a_request_that_breaks_the_model_gets_awss_own_text(cloud: TestCloud) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.client("sagemaker").create_endpoint(
            EndpointName="not_allowed!", EndpointConfigName="c"
        )
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "Value 'not_allowed!' at 'endpointName' failed to satisfy constraint" in error["Message"]


class Line:
    """One connection, on which bytes go as they are given."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((str(parts.hostname), parts.port or 80), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        """Send bytes in parts that are received apart."""
        for number, part in enumerate(parts):
            if number:
                time.sleep(0.02)
            self.socket.sendall(part)

    def read(self, method: str = "POST") -> Answer:
        """Read an answer: status, headers and body."""
        status = int(self._file.readline().split()[1])
        headers = {k.lower(): v for k, v in http.client.parse_headers(self._file).items()}
        length = int(headers.get("content-length", "0")) if method != "HEAD" else 0
        return status, headers, self._file.read(length)

    def has_ended(self) -> bool:
        """Wait for the other side to end the connection; False where it says more."""
        return self._file.read() == b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def line_to(url: str) -> Iterator[Line]:
    line = Line(url)
    try:
        yield line
    finally:
        line.close()


def invocation(body: bytes, *headers: str, head: str = HEAD) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def endpoint(cloud: TestCloud) -> Iterator[TestCloud]:
    """The cloud, with an endpoint that answers `one:` and what it was asked."""
    image = prepare(cloud, "edge-endpoint")
    sagemaker = cloud.client("sagemaker")
    make_config(sagemaker, NAME, image, "s3://edge-endpoint/one/model.tar.gz")
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    wait_for(
        "the endpoint",
        lambda: sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"] == "InService",
    )
    yield cloud
    sagemaker.delete_endpoint(EndpointName=NAME)


def test_one_connection_carries_many_invocations(endpoint: TestCloud) -> None:
    with line_to(endpoint.url) as line:
        for number in range(20):
            line.send(invocation(b"%d" % number))
            status, headers, body = line.read()
            assert (status, body) == (200, b"one:%d" % number)
            assert headers["content-type"] == "text/plain"
            assert headers["x-amzn-invoked-production-variant"] == "AllTraffic"
            assert {"date", "server"} <= set(headers)


PLAIN = invocation(b"1,2")
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\n1,2\r\n0\r\n\r\n".encode()
EXPECTING = invocation(b"1,2", "Expect: 100-continue")


@pytest.mark.parametrize(
    ("parts", "before", "ends"),
    [
        ([PLAIN], 0, False),
        ([PLAIN[:1], PLAIN[1:]], 0, False),
        ([PLAIN[:40], PLAIN[40:60], PLAIN[60:]], 0, False),
        ([PLAIN[:-3], PLAIN[-3:]], 0, False),
        ([PLAIN[:-3], PLAIN[-3:-1], PLAIN[-1:]], 0, False),
        ([CHUNKED], 0, False),
        ([CHUNKED[:-8], CHUNKED[-8:]], 0, False),
        ([EXPECTING[:-3], EXPECTING[-3:]], 1, False),
        ([invocation(b"1,2", "Connection: close")], 0, True),
        ([invocation(b"1,2", head=f"POST {PATH} HTTP/1.0\r\n")], 0, True),
    ],
)
def test_an_invocation_is_answered_however_it_comes(
    endpoint: TestCloud, parts: list[bytes], before: int, ends: bool
) -> None:
    with line_to(endpoint.url) as line:
        line.send(*parts)
        for _ in range(before):
            assert line.read()[0] == 100
        status, headers, body = line.read()
        assert (status, body) == (200, b"one:1,2")
        assert headers["x-amzn-invoked-production-variant"] == "AllTraffic"
        if ends:
            assert line.has_ended()
        else:
            line.send(invocation(b"again"))
            assert line.read()[2] == b"one:again"


def test_invocations_that_are_sent_at_once_are_answered_in_their_order(
    endpoint: TestCloud,
) -> None:
    with line_to(endpoint.url) as line:
        line.send(b"".join(invocation(b"%d" % number) for number in range(5)))
        assert [b"one:%d" % number for number in range(5)] == [line.read()[2] for _ in range(5)]
    with line_to(endpoint.url) as line:  # the second while the first is answered
        for number in range(5):
            line.socket.sendall(invocation(b"%d" % number))
        assert [b"one:%d" % number for number in range(5)] == [line.read()[2] for _ in range(5)]


def test_a_connection_may_change_between_invocations_and_other_requests(
    endpoint: TestCloud,
) -> None:
    with line_to(endpoint.url) as line:
        for _ in range(2):
            line.send(invocation(b"x"))
            assert line.read()[2] == b"one:x"
            line.send(HEALTH)
            assert "services" in json.loads(line.read()[2])
        for method in ("GET", "HEAD"):
            line.send(f"{method} {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert line.read(method)[0] == 404  # of S3, as anything that names no service
        line.send(invocation(b"x"))
        assert line.read()[2] == b"one:x"


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("localhost", "Origin: https://example.com"),
        ("rebound.example.com", "Accept: text/csv"),
        ("localhost", "Sec-Fetch-Site: cross-site"),
    ],
)
def test_a_foreign_web_page_cannot_invoke(endpoint: TestCloud, host: str, header: str) -> None:
    with line_to(endpoint.url) as line:
        line.send(invocation(b"x", header, head=HEAD.replace("localhost", host)))
        status, _, body = line.read()
        assert status == 403
        assert b"local programs only" in body
        line.send(invocation(b"x"))
        assert line.read()[2] == b"one:x"


def test_a_client_that_leaves_before_its_answer_costs_the_next_nothing(
    endpoint: TestCloud,
) -> None:
    for _ in range(10):
        with line_to(endpoint.url) as line:
            # It resets the connection rather than ending it.
            linger = struct.pack("ii", 1, 0)
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            line.send(invocation(b"x"))
    with line_to(endpoint.url) as line:
        line.send(invocation(b"x"))
        assert line.read()[2] == b"one:x"


def test_a_role_invokes_as_its_policies_say(endpoint: TestCloud) -> None:
    arn = "arn:aws:iam::000000000000:role/edge-invoker"
    credentials = endpoint.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")[
        "Credentials"
    ]
    authorization = (
        f"Authorization: AWS4-HMAC-SHA256 Credential={credentials['AccessKeyId']}/20260101/"
        "us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    )
    with line_to(endpoint.url) as line:
        for _ in range(3):
            line.send(invocation(b"x", authorization))
            assert line.read()[2] == b"one:x"
    calls = json.loads(endpoint.get("/_localcloud/iam/calls")[1])
    assert ["sagemaker:InvokeEndpoint"] == [c["action"] for c in calls if c["role"] == arn]


def test_a_response_without_content_has_no_body(cloud: TestCloud) -> None:
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="edge-untagged", AssumeRolePolicyDocument=TRUST)["Role"]
    function = cloud.client("lambda").create_function(
        FunctionName="edge-untagged",
        Role=role["Arn"],
        Runtime="python3.12",
        Handler="a.handler",
        Code={"ZipFile": zip_of({"a.py": ""})},
    )["FunctionArn"]
    authorization = (
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    untag = f"DELETE /2017-03-31/tags/{function}?tagKeys=a HTTP/1.1\r\nHost: localhost\r\n"
    with line_to(cloud.url) as line:
        line.send(f"{untag}{authorization}\r\n\r\n".encode())
        status, headers, _ = line.read()
        assert (status, "content-length" in headers) == (204, False)
        line.send(HEALTH)
        assert line.read()[0] == 200
    cloud.client("lambda").delete_function(FunctionName="edge-untagged")
    iam.delete_role(RoleName="edge-untagged")


def test_a_graceful_end_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with local_cloud(log=log) as own:
        line = Line(own.url)
        line.send(invocation(b"x"))
        assert line.read()[0] == 400  # there is no such endpoint
    assert line.has_ended()
    line.close()
    assert "timeout graceful shutdown exceeded" not in log.read_text()
