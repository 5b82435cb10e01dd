"""The passive services: moto in process, one thread, with the mends that real clients need.

moto keeps what it is told and answers from it; nothing happens by itself. Life (event delivery,
alarm evaluation, Lambda invocation) is added by the services of this package. Every change to
moto's behaviour is in `_mend`, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from xml.etree import ElementTree

from localcloud.errors import AwsError, NotImplementedByCloud
from localcloud.protocol import IMPORT_OF_MOTO, serialise_error
from localcloud.routing import Request, Response, Scope

# Before moto is imported: AWS-managed policies exist, as a provider expects.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
# moto is a server here: it must never reach for the network or for Docker.
os.environ.setdefault("MOTO_EVENTS_INVOKE_HTTP", "false")

T = TypeVar("T")
log = logging.getLogger("localcloud.passive")

# The services that moto serves here; any other answers 501.
SERVICES = (
    "cloudwatch",
    "ecr",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
_HOST_OF_SERVICE = {"cloudwatch": "monitoring", "ecr": "api.ecr"}

# (rule ARN, targets of the rule, event): an EventBridge rule has matched.
EventListener = Callable[[str, list[dict[str, Any]], dict[str, Any]], None]


class Passive:
    """moto behind one thread: calls are in order and its dictionaries need no lock."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passive")
        self._stubber: Any = None
        self._on_event: EventListener = lambda rule_arn, targets, event: None

    async def start(self, on_event: EventListener) -> None:
        """Import moto in its thread; `on_event` is called there for every rule that matches."""
        self._on_event = on_event
        await self.call(self._load)

    def _load(self) -> None:
        with IMPORT_OF_MOTO:
            from moto.core.botocore_stubber import BotocoreStubber

            self._stubber = BotocoreStubber()
            _mend(self._on_event)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in moto's thread, where its backends may be touched."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*arguments)
        )

    async def handle(self, request: Request) -> Response:
        """Answer a request by moto."""
        if request.service not in SERVICES:
            return serialise_error(
                request.service, NotImplementedByCloud(request.service, "(every operation)")
            )
        return await self.call(self._dispatch, request)

    def _dispatch(self, request: Request) -> Response:
        from botocore.awsrequest import AWSPreparedRequest
        from moto.core.exceptions import ServiceException

        host = f"{_HOST_OF_SERVICE.get(request.service, request.service)}"
        region = request.scope.region
        url = f"https://{host}.{region}.amazonaws.com{request.raw_path}"
        if request.query:
            url += f"?{request.query}"
        headers = {k: v for k, v in request.headers.items() if k != "host"}
        headers["host"] = f"{host}.{region}.amazonaws.com"
        headers["x-moto-account-id"] = request.scope.account
        prepared = AWSPreparedRequest(request.method, url, headers, request.body, False)
        try:
            answer = self._stubber.process_request(prepared)
        except NotImplementedError as error:
            name = str(error) or request.headers.get("x-amz-target", request.path)
            return serialise_error(request.service, NotImplementedByCloud(request.service, name))
        except ServiceException as error:
            code = getattr(error, "code", "") or type(error).__name__
            return serialise_error(request.service, AwsError(str(code), str(error)))
        except Exception:
            log.exception("moto failed on %s %s %s", request.service, request.method, request.path)
            return serialise_error(
                request.service,
                AwsError(
                    "InternalFailure",
                    f"The passive service {request.service} failed on this request; "
                    "the reason is in the local cloud's log.",
                    500,
                ),
            )
        if answer is None:
            return serialise_error(
                request.service, NotImplementedByCloud(request.service, request.path)
            )
        status, answer_headers, body = answer
        return Response(
            int(status),
            {str(k).lower(): str(v) for k, v in answer_headers.items()},
            body.encode() if isinstance(body, str) else bytes(body),
        )

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def backend(service: str, scope: Scope) -> Any:
    """Return moto's backend of a service (call it in moto's thread only)."""
    from moto.backends import get_backend

    by_account: Any = get_backend(service)  # type: ignore[call-overload, unused-ignore]
    by_region = by_account[scope.account]
    return (
        by_region["aws"]
        if "aws" in by_region and service in ("s3", "iam")
        else (by_region[scope.region])
    )


def _mend(emit: EventListener) -> None:
    """Change moto where a real client or our own services need more than it does."""
    _mend_event_delivery(emit)
    _mend_bucket_policies()
    _mend_bucket_notifications()
    _mend_alarms()


def _mend_event_delivery(emit: EventListener) -> None:
    """EventBridge: delivery is ours (events.py), only the matching stays moto's.

    moto delivers to four kinds of target, and one that it does not know hides the ones after it.
    """
    from moto.events.models import Rule

    def send_to_targets(
        self: Any, original_event: dict[str, Any], transform_input: bool = True
    ) -> None:
        del transform_input
        if self.state == "ENABLED" and self.event_pattern.matches_event(original_event):
            emit(self.arn, list(self.targets), original_event)

    Rule.send_to_targets = send_to_targets


def _mend_bucket_policies() -> None:
    """S3: a policy statement whose Condition does not hold is neutral (moto: a deny).

    aws:SecureTransport holds, since the requests never leave this machine: else a TLS-only bucket
    policy would lock its owner out.
    """
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult

    original = IAMPolicyStatement.is_action_permitted

    def is_action_permitted(
        self: Any,
        action: str,
        resource: str = "*",
        principal: str | None = None,
        incoming_condition_values: dict[str, str] | None = None,
    ) -> Any:
        values = {"aws:SecureTransport": "true", **(incoming_condition_values or {})}
        condition = self._statement.get("Condition")
        if condition and not _condition_holds(condition, values):
            return PermissionResult.NEUTRAL
        return original(self, action, resource, principal, values)

    IAMPolicyStatement.is_action_permitted = is_action_permitted
    IAMPolicyStatement._check_conditions = lambda self, values=None: _condition_holds(
        self._statement.get("Condition", {}), values or {}
    )


def _mend_bucket_notifications() -> None:
    """S3: GetBucketNotification returns EventBridgeConfiguration, which moto keeps but omits."""
    from moto.s3.responses import S3Response

    original = S3Response.get_bucket_notification

    def get_bucket_notification(self: Any) -> Any:
        answer = original(self)
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if not kept or kept.event_bridge is None:
            return answer
        status, headers, body = answer
        root = ElementTree.fromstring(body)  # noqa: S314 - moto's own answer
        namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        ElementTree.SubElement(root, f"{namespace}EventBridgeConfiguration")
        return status, headers, ElementTree.tostring(root, encoding="unicode")

    S3Response.get_bucket_notification = get_bucket_notification


def _mend_alarms() -> None:
    """CloudWatch: a new alarm is INSUFFICIENT_DATA, and a changed one keeps its state."""
    from moto.cloudwatch.models import CloudWatchBackend

    original = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(self: Any, **settings: Any) -> Any:
        before = self.alarms.get(settings["name"])
        alarm = original(self, **settings)
        alarm.state_value = before.state_value if before is not None else "INSUFFICIENT_DATA"
        return alarm

    CloudWatchBackend.put_metric_alarm = put_metric_alarm


def _condition_holds(condition: dict[str, dict[str, Any]], values: dict[str, str]) -> bool:
    """Evaluate Bool and String conditions; a key that the request does not carry fails."""
    for operator, keys in condition.items():
        negated = "Not" in operator
        for key, allowed in keys.items():
            wanted = [str(v).lower() for v in (allowed if isinstance(allowed, list) else [allowed])]
            actual = values.get(key)
            matches = actual is not None and actual.lower() in wanted
            if matches == negated:
                return False
    return True
