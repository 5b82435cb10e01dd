"""What every live service is given: clock, state, children, logs and a way to call AWS's APIs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
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
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud")


@dataclass(slots=True)
class ServiceContext:
    """The parts that services share.

    Attributes:
        endpoint_url: where this local cloud listens; effects call AWS's APIs there by boto3.
        directory: working files of children and images.
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
    _clients: dict[tuple[str, Scope, str], Any] = field(default_factory=dict)
    _session: Any = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def client(self, service: str, scope: Scope, principal: str = "") -> Any:
        """Return a boto3 client of this very cloud; it blocks, so use it in a thread.

        Args:
            service: botocore's name of it.
            scope: account and region; a role calls in its own account.
            principal: ARN of the role that calls; empty for the account itself.
        """
        key = (service, scope, principal)
        if key not in self._clients:
            import boto3
            from botocore.config import Config

            if self._session is None:
                self._session = boto3.session.Session()
            self._clients[key] = self._session.client(
                service,
                endpoint_url=self.endpoint_url,
                region_name=scope.region,
                aws_access_key_id=self.iam.keys.issue(principal) if principal else scope.account,
                aws_secret_access_key="localcloud",  # noqa: S106 - signatures are not checked
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 1},
                    max_pool_connections=32,
                ),
            )
        return self._clients[key]

    async def api(
        self, scope: Scope, service: str, operation: str, *, principal: str = "", **parameters: Any
    ) -> dict[str, Any]:
        """Call an AWS API of this cloud (snake_case operation) without blocking the loop.

        With a principal, a role's ARN, the call is the role's and is held against its policies.
        """

        def call() -> dict[str, Any]:
            method = getattr(self.client(service, scope, principal), operation)
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
        """Send EventBridge an event of a service; its rules decide who hears of it."""
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
        """Run background work, keep it referenced and log what it did not catch."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work %s failed", task.get_name(), exc_info=task.exception())

    async def close(self) -> None:
        """Cancel the background work and end the children."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.children.close()
        self.moto.close()
        self.database.close()
