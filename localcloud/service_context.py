"""The context that every service gets: clock, records, child processes, logs, and AWS's APIs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.cloudwatch.log_writer import LogWriter
from localcloud.core.child_process import ChildProcesses
from localcloud.core.clock import Clock
from localcloud.core.image_store import ImageStore
from localcloud.core.store import Database
from localcloud.iam.authoriser import Authoriser
from localcloud.iam.keys import SERVICE_SESSION
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud")

# How the names of operations begin that change nothing, so that they may be made twice.
_READS = ("describe_", "get_", "list_", "head_", "batch_get_")


@dataclass(slots=True)
class ServiceContext:
    """The parts that services share.

    Attributes:
        endpoint_url: the address of this local cloud; services call AWS's APIs there by boto3.
        directory: the state directory, with the working files of child processes and images.
        on_event: called with the scope, source, type and detail of each event of a service.
    """

    clock: Clock
    database: Database
    directory: Path
    endpoint_url: str
    moto: MotoBackend
    children: ChildProcesses
    logs: LogWriter
    images: ImageStore
    iam: Authoriser
    on_event: Callable[[Scope, str, str, dict[str, Any]], None] | None = None
    _clients: dict[tuple[str, Scope, str, bool], Any] = field(default_factory=dict)
    _session: Any = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def client(
        self, service: str, scope: Scope, principal: str = "", *, repeats: bool | None = None
    ) -> Any:
        """Return a boto3 client of this local cloud. Its calls block, so make them in a thread.

        Args:
            service: botocore's name of the service.
            scope: account and region of the calls.
            principal: ARN of the calling role; empty if the account itself calls.
            repeats: whether a call that fails on its way, such as on a connection that was closed
                while it was idle, is made again. The default is what is safe: only with S3, whose
                operations may be repeated.
        """
        repeats = service == "s3" if repeats is None else repeats
        key = (service, scope, principal, repeats)
        if key not in self._clients:
            import boto3
            from botocore.config import Config

            if self._session is None:
                self._session = boto3.session.Session()
                self._session.events.register("creating-client-class", _speak_plainly)
            self._clients[key] = self._session.client(
                service,
                endpoint_url=self.endpoint_url,
                region_name=scope.region,
                aws_access_key_id=self.iam.keys.issue(principal) if principal else scope.account,
                aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"mode": "standard", "total_max_attempts": 3 if repeats else 1},
                    max_pool_connections=32,
                ),
            )
        return self._clients[key]

    def role_environment(
        self, scope: Scope, role_arn: str, home: Path, session: str = SERVICE_SESSION
    ) -> dict[str, str]:
        """Return the variables by which code in a child process calls AWS as its role.

        The child sees this local cloud and nothing else: the address, the keys of its role as
        SageMaker's, Lambda's and CodeBuild's containers get theirs, and a home of its own.

        Args:
            scope: the account and region of the child.
            role_arn: the role; empty for code that has none, which gets no keys.
            home: the directory for HOME.
            session: the name of the role's session.
        """
        variables = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": scope.region,
            "AWS_DEFAULT_REGION": scope.region,
            "HOME": str(home),
        }
        if role_arn:
            variables |= {
                "AWS_ACCESS_KEY_ID": self.iam.keys.issue(role_arn, session),
                "AWS_SECRET_ACCESS_KEY": "localcloud",  # signatures are not checked
                "AWS_SESSION_TOKEN": "localcloud",
            }
        return variables

    async def api(
        self, scope: Scope, service: str, operation: str, *, principal: str = "", **parameters: Any
    ) -> dict[str, Any]:
        """Call an AWS API of this cloud (snake_case operation) without blocking the loop.

        With a principal, the ARN of a role, the role makes the call and its policies must allow it.
        A call that changes nothing is repeated if it fails on its way.
        """
        repeats = operation.startswith(_READS) or None

        def call() -> dict[str, Any]:
            method = getattr(self.client(service, scope, principal, repeats=repeats), operation)
            result: dict[str, Any] = method(**parameters)
            return result

        return await asyncio.to_thread(call)

    def publish(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
    ) -> None:
        """Send an event of a service to EventBridge, whose rules decide where it is delivered."""
        if self.on_event is not None:
            self.on_event(scope, source, detail_type, detail)
        event = {
            "Source": source,
            "DetailType": detail_type,
            "Resources": resources,
            "Detail": json.dumps(detail),
            "Time": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

        def put() -> None:
            backend("events", scope).put_events([event])

        self.spawn(f"event {detail_type}", self.moto.call(put))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run background work, keep a reference to it, and log an exception that escapes it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work %s failed", task.get_name(), exc_info=task.exception())

    async def close(self) -> None:
        """Cancel the background work and end the child processes."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.children.close()
        self.moto.close()
        self.database.close()


def _speak_plainly(base_classes: list[type], **_: Any) -> None:
    """Let the errors of a client say what AWS says, without botocore's words around it.

    They become the reasons of failed jobs and actions: `NoSuchKey: The specified key does not
    exist.`, and not `An error occurred (NoSuchKey) when calling the GetObject operation (reached
    max retries: 0): …`.
    """
    from botocore.exceptions import ClientError

    class Plain:
        def _make_api_call(self, operation: str, parameters: dict[str, Any]) -> Any:
            try:
                return super()._make_api_call(operation, parameters)  # type: ignore[misc]
            except ClientError as error:
                said = error.response.get("Error", {})
                error.args = (f"{said.get('Code', 'Unknown')}: {said.get('Message', '')}",)
                raise

    base_classes.insert(0, Plain)
