"""A small HTTP server with the part of AWS's API that a load test needs."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TARGET_VALUE = 500.0
HIGH = "TargetTracking-endpoint/iris/variant/AllTraffic-AlarmHigh-1"
LOW = "TargetTracking-endpoint/iris/variant/AllTraffic-AlarmLow-2"


class _Server(ThreadingHTTPServer):
    # With the default, 5, a busy machine accepts some connections seconds late.
    request_queue_size = 256


@dataclass
class LocalEndpoint:
    """Endpoint `iris` with two instances, five after a second and a half of load.

    Attributes:
        answer: returns the status and the body for a request body and its number.
        scaling: application-autoscaling and CloudWatch are available.
        speed: speed of its clock; None if it has no clock.
        instance_type: instance type in the endpoint's configuration.
        host: the address on which it listens.
        bad_signatures: Authorization headers that were not SigV4 for the service sagemaker.
    """

    answer: Callable[[str, int], tuple[int, str]]
    scaling: bool = True
    speed: float | None = 60.0
    instance_type: str = "ml.m5.large"
    host: str = "127.0.0.1"
    bad_signatures: list[str] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._count = 0
        self._first: float | None = None
        self._lock = threading.Lock()
        self._server = _Server((self.host, 0), self._handler())
        self._server.daemon_threads = True
        self._began = time.time()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self._server.server_address[1]}"

    def __enter__(self) -> LocalEndpoint:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def invocations(self) -> int:
        return self._count

    def now(self) -> float:
        return self._began + (time.time() - self._began) * (self.speed or 1)

    def invoke(self, body: str, authorization: str) -> tuple[int, str]:
        with self._lock:
            self._count += 1
            count = self._count
            self._first = self._first or time.time()
        if (
            "AWS4-HMAC-SHA256" not in authorization
            or "/sagemaker/aws4_request" not in authorization
        ):
            self.bad_signatures.append(authorization)
        return self.answer(body, count)

    def call(self, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.operations[operation] += 1
        if operation == "DescribeEndpoint":
            if body["EndpointName"] != "iris":
                message = f'Could not find endpoint "{body["EndpointName"]}".'
                return 400, {"__type": "ValidationException", "message": message}
            scaled = self._first is not None and time.time() - self._first > 1.5
            return 200, {
                "EndpointName": "iris",
                "EndpointConfigName": "iris-config",
                "EndpointStatus": "InService",
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "CurrentInstanceCount": 5 if scaled else 2,
                        "DesiredInstanceCount": 5,
                    }
                ],
            }
        if operation == "DescribeEndpointConfig":
            variant = {"VariantName": "AllTraffic", "InstanceType": self.instance_type}
            return 200, {"ProductionVariants": [variant]}
        if operation == "ListEndpoints":
            return 200, {"Endpoints": [{"EndpointName": "iris"}]}
        if not self.scaling:
            return 501, {"__type": "NotImplemented", "message": f"{operation} is not here"}
        return 200, self._scaling(operation, body)

    def _scaling(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        first = (self._first or self._began) - self._began
        start = self._began + (first + 1) * (self.speed or 1)
        answers: dict[str, dict[str, Any]] = {
            "DescribeScalableTargets": {"ScalableTargets": [{"MinCapacity": 2, "MaxCapacity": 10}]},
            "DescribeScalingPolicies": {
                "ScalingPolicies": [
                    {
                        "TargetTrackingScalingPolicyConfiguration": {
                            "TargetValue": TARGET_VALUE,
                            "PredefinedMetricSpecification": {
                                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                            },
                        },
                        "Alarms": [{"AlarmName": LOW}, {"AlarmName": HIGH}],
                    }
                ]
            },
            "DescribeScalingActivities": {
                "ScalingActivities": [
                    {
                        "StartTime": start,
                        "EndTime": start + 30,
                        "StatusCode": "Successful",
                        "Description": "Setting desired instance count to 5.",
                        "Cause": "monitor alarm TargetTracking-…-AlarmHigh in state ALARM",
                    },
                    {"StartTime": self._began - 9999, "StatusCode": "Successful"},
                ]
            },
            "GetMetricStatistics": {
                "Label": "InvocationsPerInstance",
                "Datapoints": [
                    {"Timestamp": start + 60 * minute, "Sum": 400.0 + 100 * minute}
                    for minute in (1, 0, 50)
                ],
            },
            "DescribeAlarms": {"MetricAlarms": [_alarm(HIGH, "ALARM"), _alarm(LOW, "OK")]},
            "DescribeAlarmHistory": {
                "AlarmHistoryItems": [
                    {
                        "Timestamp": start,
                        "HistoryData": json.dumps(
                            {
                                "oldState": {"stateValue": "OK"},
                                "newState": {"stateValue": "ALARM", "stateReason": "3 datapoints"},
                            }
                        ),
                    }
                ]
                * (body.get("AlarmName") == HIGH)
            },
        }
        return answers[operation]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Otherwise Nagle's algorithm holds the body back for 40 ms.
            wbufsize = -1

            def log_message(self, *_: object) -> None:
                return None

            def do_GET(self) -> None:
                if self.path == "/_localcloud/clock" and endpoint.speed is not None:
                    document = {"now": endpoint.now(), "speed": endpoint.speed}
                    self._reply(200, json.dumps(document))
                else:
                    self._reply(404, "{}")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/endpoints/iris/invocations":
                    self._reply(*endpoint.invoke(body, self.headers.get("Authorization", "")))
                    return
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                if not operation:  # CloudWatch speaks another protocol
                    self._reply(501, "")
                    return
                status, document = endpoint.call(operation, json.loads(body or "{}"))
                self._reply(status, json.dumps(document))

            def _reply(self, status: int, text: str) -> None:
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

        return Handler


def _alarm(name: str, state: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "StateValue": state,
        "ComparisonOperator": "GreaterThanThreshold" if name == HIGH else "LessThanThreshold",
        "Threshold": TARGET_VALUE,
        "EvaluationPeriods": 3,
        "Period": 60,
    }
