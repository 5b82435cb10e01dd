"""The engine of processing jobs: downloads the inputs, runs the containers, uploads the outputs.

    each instance: /opt/ml/config   processingjobconfig.json, resourceconfig.json
                   /opt/ml/processing/…   inputs and outputs, at the paths of the request
                   /opt/ml/output/message  what the container says when it ends

An instance is a process with a directory of its own. A job with three instances is three processes;
an input that is sharded by its keys gives each of them every third object. The job is completed
when all of them ended with status 0; when one fails, the others are stopped.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-run-image.html
Differs: MaxRuntimeInSeconds is in wall-clock seconds, because the processes really compute; the
instances cannot reach one another by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.core.child_process import Child
from localcloud.core.clock import wall_sleep
from localcloud.core.image_store import Image
from localcloud.core.opt_ml import base_seen_by_jobs, remove
from localcloud.core.store import Collection
from localcloud.sagemaker.containers import (
    REASON_LIMIT,
    JobFailed,
    algorithm_error,
    check_architecture,
    check_keys,
    container_environment,
    download,
    objects_under,
    resolve_image,
    words_at,
)
from localcloud.sagemaker.jobs import JobStatus, ProcessingJob
from localcloud.sagemaker.processing_outputs import Uploads
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
DEFAULT_SECONDS = 86_400
_STOP_GRACE_SECONDS = 120.0
_UPLOAD_SECONDS = 1.0
_MESSAGE_CHARACTERS = 1024
_LAST_LINES = 20


@dataclass(slots=True)
class _Instance:
    """One process of a job.

    Attributes:
        host: its name, such as `algo-1`.
        base: its directory, which the process sees as /opt/ml.
    """

    host: str
    base: Path
    uploads: Uploads
    child: Child | None = None
    last_lines: list[str] = field(default_factory=list)


class ProcessingEngine:
    """Runs each job as a task.

    Args:
        changed: called with a job after each change.
    """

    def __init__(
        self,
        context: ServiceContext,
        jobs: Collection[ProcessingJob],
        changed: Callable[[ProcessingJob], None],
    ) -> None:
        self._context = context
        self._jobs = jobs
        self._changed = changed
        self._instances: dict[str, list[_Instance]] = {}
        self._stopping: set[str] = set()

    def resume(self) -> None:
        """Begin the running jobs again, and end the stopping ones, after a restart."""
        for job in self._jobs.values():
            if job.status is JobStatus.IN_PROGRESS:
                self._context.spawn(f"processing {job.name}", self._run(job))
            elif job.stopping:
                self._move(job, JobStatus.STOPPED)

    def children(self) -> list[Child]:
        """Return the processes that run now."""
        instances = (i for found in self._instances.values() for i in found)
        return [instance.child for instance in instances if instance.child is not None]

    def start(self, job: ProcessingJob) -> None:
        """Start a job."""
        self._put(job)
        self._context.spawn(f"processing {job.name}", self._run(job))

    def stop(self, job: ProcessingJob) -> None:
        """Stop a running job by SIGTERM, and by SIGKILL 120 wall-clock seconds later."""
        self._move(job, JobStatus.STOPPING)
        self._stopping.add(job.arn)
        for instance in self._instances.get(job.arn, []):
            self._stop(job, instance)

    def _stop(self, job: ProcessingJob, instance: _Instance) -> None:
        if instance.child is not None:
            self._context.spawn(f"stop {job.name}", instance.child.stop(_STOP_GRACE_SECONDS))

    async def _run(self, job: ProcessingJob) -> None:
        scope = scope_of_arn(job.arn)
        count = job.request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        root = self._context.directory / "processing"
        name = f"{scope.account}-{scope.region}-{job.name}"
        instances = self._instances[job.arn] = [
            _Instance(
                host := f"algo-{number}",
                base := root / f"{name}-{host}",
                Uploads(self._context, scope, job.request, base),
            )
            for number in range(1, count + 1)
        ]
        try:
            await self._steps(scope, job, instances)
            status, reason = JobStatus.COMPLETED, ""
        except JobFailed as error:
            status, reason = JobStatus.FAILED, str(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("processing job %s", job.name)
            status, reason = JobStatus.FAILED, f"InternalServerError: {error}"
        finally:
            self._instances.pop(job.arn, None)
            self._stopping.discard(job.arn)
            for instance in instances:
                await asyncio.to_thread(remove, instance.base)
        await self._context.logs.flush()
        if job.stopping and status is not JobStatus.FAILED:
            status = JobStatus.STOPPED
        job.failure_reason = reason[:REASON_LIMIT] or None
        self._move(job, status)

    async def _steps(self, scope: Scope, job: ProcessingJob, instances: list[_Instance]) -> None:
        request = job.request
        role = request["RoleArn"]
        uri, cluster = (
            request["AppSpecification"]["ImageUri"],
            request["ProcessingResources"]["ClusterConfig"],
        )
        image = await resolve_image(self._context, uri, role)
        check_architecture(image, uri, cluster["InstanceType"])
        volume = cluster.get("VolumeKmsKeyId")
        output = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        await check_keys(self._context, scope, role, volume, output)
        await asyncio.to_thread(self._prepare, scope, job, instances)
        if job.stopping:
            return
        job.started = self._context.clock.now()
        self._put(job)
        limit = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_SECONDS)
        uploads = asyncio.create_task(self._upload_continuously(instances))
        try:
            await self._processes(scope, job, instances, image, limit)
        finally:
            uploads.cancel()
            job.exit_message = _message_of(instances) or None
        for instance in instances:
            await asyncio.to_thread(instance.uploads.finish)

    async def _processes(
        self,
        scope: Scope,
        job: ProcessingJob,
        instances: list[_Instance],
        image: Image,
        limit: float,
    ) -> None:
        """Run a process for each instance until all have ended, or one has failed."""
        ends: list[asyncio.Task[None]] = []
        try:
            for instance in instances:
                await self._launch(scope, job, instance, image)
                ends.append(asyncio.create_task(self._ended(job, instance)))
            done, waiting = await asyncio.wait(
                ends, timeout=limit, return_when=asyncio.FIRST_EXCEPTION
            )
            failures = [error for end in done if (error := end.exception()) is not None]
            if failures:
                raise failures[0]
            if waiting and not job.stopping:  # the time is over
                self._move(job, JobStatus.STOPPING)
            elif waiting:  # a stop has its own grace period
                await asyncio.wait(waiting)
        finally:
            await self._stop_all(instances)
            await asyncio.gather(*ends, return_exceptions=True)

    async def _stop_all(self, instances: Iterable[_Instance]) -> None:
        running = [i.child for i in instances if i.child is not None and i.child.returncode is None]
        await asyncio.gather(*(child.stop(_STOP_GRACE_SECONDS) for child in running))

    async def _ended(self, job: ProcessingJob, instance: _Instance) -> None:
        """Wait for the end of a process.

        Raises:
            JobFailed: it failed by itself.
        """
        child = instance.child
        assert child is not None  # noqa: S101 - it was launched
        await child.exited.wait()
        if child.returncode != 0 and not job.stopping:
            said = _message_of([instance]) or "\n".join(instance.last_lines)
            raise JobFailed(algorithm_error(said, child.returncode))

    async def _launch(
        self, scope: Scope, job: ProcessingJob, instance: _Instance, image: Image
    ) -> None:
        request = job.request
        stream = f"{job.name}/{instance.host}-{int(job.created.timestamp())}"

        def sink(line: str) -> None:
            self._context.logs.write(scope, LOG_GROUP, stream, line, request["RoleArn"])
            instance.last_lines.append(line)
            del instance.last_lines[:-_LAST_LINES]

        seen = await asyncio.to_thread(base_seen_by_jobs, instance.base)
        application = request["AppSpecification"]
        entrypoint = application.get("ContainerEntrypoint") or image.config.entrypoint
        arguments = application.get("ContainerArguments", [])
        words = words_at(image.words([*entrypoint, *arguments]), seen)
        isolated = request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        environment = {
            **image.environment(),
            **request.get("Environment", {}),
            **container_environment(
                self._context, scope, request["RoleArn"], instance.base, isolated=isolated
            ),
            "SAGEMAKER_BASE_DIR": str(seen),
        }
        try:
            instance.child = await self._context.children.spawn(
                *(words, environment, image.directory, sink, instance.base),
                network=not isolated,
                python=image.python,
            )
        except OSError as error:
            raise JobFailed(f"AlgorithmError: the container did not start: {error}") from None
        if job.stopping:  # it was stopped during its start
            self._stop(job, instance)

    def _prepare(self, scope: Scope, job: ProcessingJob, instances: list[_Instance]) -> None:
        """Make the directories of the instances, with configuration and inputs; it blocks."""
        request, hosts = job.request, [instance.host for instance in instances]
        for instance in instances:
            remove(instance.base)
            for name in ("config", "output", "processing"):
                (instance.base / name).mkdir(parents=True)
            configuration = {
                "processingjobconfig": {
                    "ProcessingJobArn": job.arn,
                    **{key: value for key, value in request.items() if key != "Tags"},
                },
                "resourceconfig": {"current_host": instance.host, "hosts": hosts},
            }
            for name, document in configuration.items():
                (instance.base / "config" / f"{name}.json").write_text(json.dumps(document))
            instance.uploads.make_directories()
        for given in request.get("ProcessingInputs", []):
            source = given["S3Input"]
            s3 = self._context.client("s3", scope, request["RoleArn"])
            found = objects_under(s3, source)
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            for number, instance in enumerate(instances):
                part = found[number :: len(instances)] if sharded else found
                target = instance.base / Path(source["LocalPath"]).relative_to("/opt/ml")
                download(s3, part, target, unzip=source.get("S3CompressionType") == "Gzip")

    async def _upload_continuously(self, instances: list[_Instance]) -> None:
        while True:
            await wall_sleep(_UPLOAD_SECONDS)
            for instance in instances:
                try:
                    await asyncio.to_thread(instance.uploads.continue_)
                except Exception as error:
                    log.warning("%s: %s", instance.base.name, error)

    def _move(self, job: ProcessingJob, status: JobStatus) -> None:
        job.move(status, self._context.clock.now())
        self._put(job)

    def _put(self, job: ProcessingJob) -> None:
        self._jobs.put(job.arn, job)
        self._changed(job)


def _message_of(instances: Iterable[_Instance]) -> str:
    """Return what the containers wrote to /opt/ml/output/message; the first one counts."""
    for instance in instances:
        file = instance.base / "output" / "message"
        if file.is_file():
            with file.open("rb") as content:
                text = content.read(4 * _MESSAGE_CHARACTERS).decode("utf-8", "replace").strip()
            if text:
                return text[:_MESSAGE_CHARACTERS]
    return ""
