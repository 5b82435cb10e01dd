"""The engine of transform jobs: starts servers of the model, sends every object, writes to S3.

An object with a record that fails has no output. The other objects are still processed, and the job
is Failed. The servers are stopped in any case. After a restart a job starts again from its
beginning.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
Differs: every instance gets records of every object; on AWS each instance has its own objects.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.core.archives import ArchiveError, Bounds, gunzip
from localcloud.core.store import Collection
from localcloud.sagemaker.batches import (
    CSV,
    BadRecord,
    Processing,
    assemble,
    batches,
    filtered,
    joined,
    split,
)
from localcloud.sagemaker.connection import NoAnswer
from localcloud.sagemaker.fleets import Fleet, FleetBuilder, HostingFailed
from localcloud.sagemaker.instance_client import invoke_instance, least_outstanding
from localcloud.sagemaker.jobs import JobStatus, TransformJob
from localcloud.sagemaker.model import Variant
from localcloud.sagemaker.s3_source import Found, SourceError, objects_of
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

_OBJECT_BOUNDS = Bounds(most_bytes=1024**3, most_ratio=1000)

LOG_GROUP = "/aws/sagemaker/TransformJobs"
_PAYLOAD_MB, _TIMEOUT_SECONDS, _RETRIES = 6, 600, 3
_PARAMETERS_SECONDS = 2.0
_SEE_LOG = "See job logs for more information"


class TransformFailed(Exception):
    """The job fails, with this FailureReason."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The way in which one job sends its records."""

    concurrency: int
    payload_mb: int
    many: bool
    by_line: bool
    lines_out: bool
    gzip: bool
    timeout_seconds: float
    retries: int
    headers: dict[str, str]
    processing: Processing

    @staticmethod
    def of(request: dict[str, Any], offered: dict[str, Any]) -> _Plan:
        """Return the plan from the request and the container's own execution parameters."""
        given, output = request["TransformInput"], request["TransformOutput"]
        client = request.get("ModelClientConfig", {})
        filters = request.get("DataProcessing", {})
        headers = {"content-type": given.get("ContentType"), "accept": output.get("Accept")}
        strategy = request.get("BatchStrategy") or offered.get("BatchStrategy") or "MultiRecord"
        return _Plan(
            concurrency=request.get("MaxConcurrentTransforms")
            or int(offered.get("MaxConcurrentTransforms", 1)),
            payload_mb=request.get(
                "MaxPayloadInMB", int(offered.get("MaxPayloadInMB", _PAYLOAD_MB))
            ),
            many=strategy in ("MultiRecord", "MULTI_RECORD"),
            by_line=given.get("SplitType", "None") == "Line",
            lines_out=output.get("AssembleWith", "None") == "Line",
            gzip=given.get("CompressionType", "None") == "Gzip",
            timeout_seconds=client.get("InvocationsTimeoutInSeconds", _TIMEOUT_SECONDS),
            retries=client.get("InvocationsMaxRetries", _RETRIES),
            headers={name: value for name, value in headers.items() if value},
            processing=processing_of(request, filters),
        )


def processing_of(request: dict[str, Any], filters: dict[str, Any]) -> Processing:
    """Return the parsed DataProcessing of a request."""
    kind = request["TransformInput"].get("ContentType", CSV).partition(";")[0]
    return Processing(
        kind=kind,
        accept=request["TransformOutput"].get("Accept", kind).partition(";")[0],
        input_filter=filters.get("InputFilter", "$"),
        output_filter=filters.get("OutputFilter", "$"),
        join=filters.get("JoinSource", "None") == "Input",
    )


class TransformEngine:
    """Runs each job as a task.

    Args:
        builder: starts the servers.
        changed: called with a job after each change.
    """

    def __init__(
        self,
        context: ServiceContext,
        jobs: Collection[TransformJob],
        builder: FleetBuilder,
        changed: Callable[[TransformJob], None],
    ) -> None:
        self._context = context
        self._jobs = jobs
        self._builder = builder
        self._changed = changed
        self._work: dict[str, asyncio.Task[str]] = {}

    def resume(self) -> None:
        """Start the running jobs again, and end the stopping ones, after a restart."""
        for job in self._jobs.values():
            if job.status is JobStatus.IN_PROGRESS:
                self._context.spawn(f"transform {job.name}", self._run(job))
            elif job.stopping:
                self._move(job, JobStatus.STOPPED)

    def start(self, job: TransformJob) -> None:
        """Start a job."""
        self._put(job)
        self._context.spawn(f"transform {job.name}", self._run(job))

    def stop(self, job: TransformJob) -> None:
        """Stop a running job; its written output stays."""
        self._move(job, JobStatus.STOPPING)
        work = self._work.get(job.arn)
        if work is not None:
            work.cancel()

    async def _run(self, job: TransformJob) -> None:
        work = self._work[job.arn] = asyncio.create_task(self._outcome(job))
        try:
            reason = await work
        except asyncio.CancelledError:
            if not job.stopping:  # the local cloud stops
                work.cancel()
                raise
            reason = ""
        finally:
            self._work.pop(job.arn, None)
        await self._context.logs.flush()
        if job.stopping:
            self._move(job, JobStatus.STOPPED)
            return
        job.failure_reason = reason[:1024] or None
        self._move(job, JobStatus.FAILED if reason else JobStatus.COMPLETED)

    async def _outcome(self, job: TransformJob) -> str:
        """Run a job; return its FailureReason, or an empty string."""
        try:
            await self._steps(job)
        except (TransformFailed, HostingFailed) as error:
            return str(error)
        except Exception as error:
            log.exception("transform job %s", job.name)
            return f"InternalServerError: {error}"
        return ""

    def _move(self, job: TransformJob, status: JobStatus) -> None:
        job.move(status, self._context.clock.now())
        self._put(job)

    def _put(self, job: TransformJob) -> None:
        self._jobs.put(job.arn, job)
        self._changed(job)

    async def _steps(self, job: TransformJob) -> None:
        scope = scope_of_arn(job.arn)
        request = job.request
        resources = request["TransformResources"]
        variant = Variant(job.name, resources["InstanceCount"], 1.0)
        fleet = await self._builder.fleet(
            scope, request["ModelName"], variant, resources["InstanceType"]
        )
        fleet.environment |= {**request.get("Environment", {}), "SAGEMAKER_BATCH": "true"}
        try:
            try:
                await self._builder.grow(scope, LOG_GROUP, fleet)
            except HostingFailed as error:
                raise TransformFailed(
                    "AlgorithmError: The primary container did not pass the ping health check. "
                    f"{_SEE_LOG}. ({error.__cause__})"
                ) from None
            job.started = self._context.clock.now()
            self._put(job)
            await self._transform(scope, job, fleet)
        finally:
            await asyncio.gather(*(instance.retire() for instance in fleet.instances))

    async def _transform(self, scope: Scope, job: TransformJob, fleet: Fleet) -> None:
        s3 = self._context.client("s3", scope, fleet.role_arn)
        source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
        try:
            found = await asyncio.to_thread(objects_of, s3, source)
        except (ClientError, BotoCoreError, SourceError) as error:
            raise TransformFailed(
                f"ClientError: could not read {source['S3Uri']}: {error}"
            ) from None
        if not found:
            raise TransformFailed(
                f'ClientError: No S3 objects found under S3 URL "{source["S3Uri"]}" given in input '
                "data source."
            )
        plan = _Plan.of(job.request, await self._offered(fleet))
        slots = asyncio.Semaphore(plan.concurrency * len(fleet.instances))
        opened = asyncio.Semaphore(len(fleet.instances))

        async def one(entry: Found) -> str | None:
            async with opened:
                try:
                    await self._object(s3, job, fleet, plan, entry, slots)
                except (BadRecord, ClientError, BotoCoreError, TransformFailed) as error:
                    where = f"{entry.bucket}/{entry.key}"
                    self._context.logs.write(
                        scope,
                        LOG_GROUP,
                        f"{job.name}/data-log",
                        f"[sagemaker logs]: {where}: {error}",
                        fleet.role_arn,
                    )
                    return str(error)
            return None

        problems = [p for p in await asyncio.gather(*(one(entry) for entry in found)) if p]
        if problems:
            kind = "AlgorithmError" if problems[0].startswith("AlgorithmError") else "ClientError"
            raise TransformFailed(f"{kind}: {_SEE_LOG}")

    async def _offered(self, fleet: Fleet) -> dict[str, Any]:
        """Return the container's response to /execution-parameters, if it has one."""
        connections = fleet.instances[0].connections
        try:
            reply = await connections.request("GET", "/execution-parameters", _PARAMETERS_SECONDS)
            document = json.loads(reply.body) if reply.status == 200 else None
        except (NoAnswer, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    async def _object(
        self,
        s3: Any,
        job: TransformJob,
        fleet: Fleet,
        plan: _Plan,
        entry: Found,
        slots: asyncio.Semaphore,
    ) -> None:
        body = await asyncio.to_thread(_read, s3, entry)
        if plan.gzip:
            try:
                body = await asyncio.to_thread(gunzip, body, _OBJECT_BOUNDS)
            except ArchiveError as error:
                raise BadRecord(str(error)) from None
        requests = batches(split(body, plan.by_line), plan.many, plan.payload_mb)

        async def send(records: list[bytes]) -> bytes:
            payload = b"".join(filtered(record, plan.processing) for record in records)
            async with slots:
                answer = await self._ask(fleet, plan, payload)
            return joined(records, answer, plan.processing)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_caught(send(records))) for records in requests]
        answers = [task.result() for task in tasks]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        output = job.request["TransformOutput"]
        bucket, _, prefix = output["S3OutputPath"].removeprefix("s3://").partition("/")
        key = "/".join(part for part in (prefix.strip("/"), f"{entry.relative}.out") if part)
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": output["KmsKeyId"]}
            if output.get("KmsKeyId")
            else {}
        )
        whole = assemble([a for a in answers if isinstance(a, bytes)], plan.lines_out)
        await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=key, Body=whole, **encryption)

    async def _ask(self, fleet: Fleet, plan: _Plan, payload: bytes) -> bytes:
        """Return the response to one payload, after as many attempts as the job allows."""
        problem = ""
        for _ in range(plan.retries + 1):
            instance = least_outstanding(fleet)
            if instance is None:
                raise TransformFailed("AlgorithmError: every container has exited")
            try:
                answer = await invoke_instance(
                    instance, payload, plan.headers, plan.timeout_seconds
                )
            except NoAnswer as error:
                problem = f"AlgorithmError: the container did not answer: {error}"
                continue
            if answer.status < 400:
                return answer.body
            said = answer.body[:1024].decode("utf-8", "replace")
            if answer.status < 500:
                raise TransformFailed(f"ClientError: {answer.status}: {said}")
            problem = f"AlgorithmError: {answer.status}: {said}"
        raise TransformFailed(problem)


async def _caught(work: Any) -> bytes | Exception:
    """Return an error instead of raising it, so that the other requests finish."""
    try:
        answer: bytes = await work
    except (BadRecord, TransformFailed) as error:
        return error
    return answer


def _read(s3: Any, entry: Found) -> bytes:
    body: bytes = s3.get_object(Bucket=entry.bucket, Key=entry.key)["Body"].read()
    return body
