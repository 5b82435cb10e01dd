"""The engine of training jobs: downloads the channels, runs the container, uploads the output.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
Differs: MaxRuntimeInSeconds is in wall-clock seconds, because the process really computes.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.core.child_process import Child
from localcloud.core.image_store import Image
from localcloud.core.opt_ml import base_seen_by_jobs, remove
from localcloud.core.store import Collection
from localcloud.core.user_pattern import UserPattern
from localcloud.iam.encryption import AWS_MANAGED_KEY
from localcloud.sagemaker.containers import (
    REASON_LIMIT,
    JobFailed,
    algorithm_error,
    check_architecture,
    check_keys,
    container_environment,
    download,
    objects_under,
    publish_metrics,
    resolve_image,
    words_at,
)
from localcloud.sagemaker.model import Metric, TrainingJob, TrainingJobStatus
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_STOP_GRACE_SECONDS = 120.0


def command_of(algorithm: dict[str, Any], image: Image, base: Path) -> list[str]:
    """Return the command of a job's container.

    ContainerEntrypoint takes the place of the image's ENTRYPOINT, and ContainerArguments that of
    the argument `train`, which only the image's own entrypoint gets.

    Args:
        algorithm: the request's AlgorithmSpecification.
        image: the image that runs.
        base: where the process finds its directory; `/opt/ml` in these words stands for it.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
    """
    entrypoint = algorithm.get("ContainerEntrypoint")
    arguments = algorithm.get("ContainerArguments") or ([] if entrypoint else ["train"])
    return words_at(image.words([*(entrypoint or image.config.entrypoint), *arguments]), base)


class TrainingEngine:
    """Runs each job as a task.

    Args:
        changed: called with a job after each change.
    """

    def __init__(
        self,
        context: ServiceContext,
        jobs: Collection[TrainingJob],
        changed: Callable[[TrainingJob], None],
    ) -> None:
        self._context = context
        self._jobs = jobs
        self._changed = changed
        self._children: dict[str, Child] = {}
        self._stopping: set[str] = set()

    def resume(self) -> None:
        """Begin the jobs again that a restart interrupted, and end those that were stopping.

        SageMaker does the same when an instance fails; the job shows the status Restarting.
        Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetryStrategy.html
        """
        for job in self._jobs.values():
            now = self._context.clock.now()
            if job.status is TrainingJobStatus.IN_PROGRESS:
                job.secondary("Restarting", "The local cloud was restarted", now)
                job.metrics.clear()
                self._put(job)
                self._context.spawn(f"training {job.name}", self._run(job))
            elif job.status is TrainingJobStatus.STOPPING:
                job.training_end = now
                job.secondary("Stopped", "Training job stopped", now)
                job.move(TrainingJobStatus.STOPPED, now)
                self._put(job)

    def children(self) -> list[Child]:
        """Return the processes that run now."""
        return list(self._children.values())

    def start(self, job: TrainingJob) -> None:
        """Start a job."""
        job.secondary("Starting", "Preparing the instances for training", self._context.clock.now())
        self._put(job)
        self._context.spawn(f"training {job.name}", self._run(job))

    def stop(self, job: TrainingJob) -> None:
        """Stop a running job by SIGTERM, and by SIGKILL 120 wall-clock seconds later."""
        now = self._context.clock.now()
        job.move(TrainingJobStatus.STOPPING, now)
        job.secondary("Stopping", "Stopping the training job", now)
        self._put(job)
        self._stopping.add(job.arn)
        child = self._children.get(job.arn)
        if child is not None:
            self._context.spawn(f"stop {job.name}", child.stop(_STOP_GRACE_SECONDS))

    async def _run(self, job: TrainingJob) -> None:
        scope = scope_of_arn(job.arn)
        name = f"{scope.account}-{scope.region}-{job.name}"
        base = self._context.directory / "training" / name
        try:
            await self._steps(job, base)
        except JobFailed as error:
            self._fail(job, str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("training job %s", job.name)
            self._fail(job, f"InternalServerError: {error}")
        finally:
            self._children.pop(job.arn, None)
            self._stopping.discard(job.arn)
            remove(base)

    async def _steps(self, job: TrainingJob, base: Path) -> None:
        scope = scope_of_arn(job.arn)
        shutil.rmtree(base, ignore_errors=True)
        role, uri = job.request["RoleArn"], job.request["AlgorithmSpecification"]["TrainingImage"]
        image = await resolve_image(self._context, uri, role)
        check_architecture(image, uri, job.request["ResourceConfig"].get("InstanceType", ""))
        request = job.request
        volume = request["ResourceConfig"].get("VolumeKmsKeyId")
        await check_keys(
            self._context, scope, role, volume, request["OutputDataConfig"].get("KmsKeyId")
        )
        self._secondary(job, "Downloading", "Downloading input data")
        await asyncio.to_thread(self._prepare, scope, job, base)
        if not self._is_stopping(job):
            self._secondary(
                job, "Training", "Training image download completed. Training in progress."
            )
            await self._train(scope, job, base, image)
        if self._is_stopping(job):
            await self._save(scope, job, base)
            now = self._context.clock.now()
            job.move(TrainingJobStatus.STOPPED, now)
            job.training_end = now
            if job.transitions[-1].status != "MaxRuntimeExceeded":
                job.secondary("Stopped", "Training job stopped", now)
            self._put(job)
            return
        if job.metrics:
            await publish_metrics(self._context, role, LOG_GROUP)
        self._secondary(job, "Uploading", "Uploading generated training model")
        artifacts = await asyncio.to_thread(self._upload, scope, job, base)
        await self._context.logs.flush()
        now = self._context.clock.now()
        job.model_artifacts = artifacts
        job.training_end = now
        job.secondary("Completed", "Training job completed", now)
        job.move(TrainingJobStatus.COMPLETED, now)
        self._put(job)

    async def _save(self, scope: Scope, job: TrainingJob, base: Path) -> None:
        """Upload the model that a stopped container has saved, if there is one."""
        if not any((base / "model").iterdir()):
            return
        try:
            job.model_artifacts = await asyncio.to_thread(self._upload, scope, job, base)
        except JobFailed as error:
            log.warning("%s: could not save the model of the stopped job: %s", job.name, error)

    def _put(self, job: TrainingJob) -> None:
        self._jobs.put(job.arn, job)
        self._changed(job)

    def _is_stopping(self, job: TrainingJob) -> bool:
        return job.arn in self._stopping

    def _secondary(self, job: TrainingJob, status: str, message: str) -> None:
        if not self._is_stopping(job):
            job.secondary(status, message, self._context.clock.now())
            self._put(job)

    def _fail(self, job: TrainingJob, reason: str) -> None:
        now = self._context.clock.now()
        job.failure_reason = reason[:REASON_LIMIT]
        job.training_end = now
        job.secondary("Failed", reason[:REASON_LIMIT], now)
        job.move(TrainingJobStatus.FAILED, now)
        self._put(job)

    def _prepare(self, scope: Scope, job: TrainingJob, base: Path) -> None:
        """Create /opt/ml with configuration and channels; it blocks."""
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (base / name).mkdir(parents=True, exist_ok=True)
        request = job.request
        channels = request.get("InputDataConfig", [])
        configuration = {
            "hyperparameters": request.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": "None",
                    **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
                }
                for channel in channels
            },
            "resourceconfig": {
                "current_host": "algo-1",
                "current_instance_type": request["ResourceConfig"].get("InstanceType", ""),
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            },
        }
        for name, document in configuration.items():
            (base / "input/config" / f"{name}.json").write_text(json.dumps(document))
        for channel in channels:
            s3 = self._context.client("s3", scope, request["RoleArn"])
            found = objects_under(s3, channel["DataSource"]["S3DataSource"])
            download(s3, found, base / "input/data" / channel["ChannelName"])

    async def _train(self, scope: Scope, job: TrainingJob, base: Path, image: Image) -> None:
        stream = f"{job.name}/algo-1-{int(job.created.timestamp())}"
        patterns = [
            (definition["Name"], UserPattern(definition["Regex"]))
            for definition in job.request["AlgorithmSpecification"].get("MetricDefinitions", [])
        ]
        last_lines: list[str] = []

        def sink(line: str) -> None:
            self._context.logs.write(scope, LOG_GROUP, stream, line, job.request["RoleArn"])
            last_lines.append(line)
            del last_lines[:-20]
            for name, pattern in patterns:
                match = pattern.search(line)
                value = _number(match.group(1)) if match is not None else None
                if value is not None:
                    job.metrics[name] = Metric(name, value, self._context.clock.now())

        seen = await asyncio.to_thread(base_seen_by_jobs, base)
        isolated = job.request.get("EnableNetworkIsolation", False)
        environment = {
            **image.environment(),
            **job.request.get("Environment", {}),
            **container_environment(
                self._context,
                scope,
                job.request["RoleArn"],
                base,
                isolated=isolated,
            ),
            "SAGEMAKER_BASE_DIR": str(seen),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
        }
        job.training_start = self._context.clock.now()
        try:
            child = await self._context.children.spawn(
                command_of(job.request["AlgorithmSpecification"], image, seen),
                *(environment, image.directory, sink, base),
                network=not isolated,
                python=image.python,
            )
        except OSError as error:
            raise JobFailed(f"AlgorithmError: the container did not start: {error}") from None
        self._children[job.arn] = child
        if self._is_stopping(job):  # it was stopped during its start
            self._context.spawn(f"stop {job.name}", child.stop(_STOP_GRACE_SECONDS))
        limit = job.request["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        try:
            await asyncio.wait_for(child.exited.wait(), limit)
        except TimeoutError:
            if self._is_stopping(job):  # the stop has its own grace period
                await child.exited.wait()
                return
            await child.stop(_STOP_GRACE_SECONDS)
            now = self._context.clock.now()
            job.move(TrainingJobStatus.STOPPING, now)
            job.secondary("MaxRuntimeExceeded", "Training job exceeded MaxRuntimeInSeconds", now)
            self._stopping.add(job.arn)
            return
        if child.returncode != 0 and not self._is_stopping(job):
            failure = base / "output" / "failure"
            reason = failure.read_text("utf-8", "replace").strip() if failure.exists() else ""
            raise JobFailed(algorithm_error(reason or "\n".join(last_lines), child.returncode))

    def _upload(self, scope: Scope, job: TrainingJob, base: Path) -> str:
        """Upload model.tar.gz, and output.tar.gz if there is any output; return the model's URI."""
        output = job.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        # Without a key, AWS encrypts with its own key for S3, not with the bucket's.
        key_id = job.request["OutputDataConfig"].get("KmsKeyId") or AWS_MANAGED_KEY
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id}
        s3 = self._context.client("s3", scope, job.request["RoleArn"])
        model_uri = f"{output}/{job.name}/output/model.tar.gz"
        for directory, uri in (
            (base / "model", model_uri),
            (base / "output" / "data", f"{output}/{job.name}/output/output.tar.gz"),
        ):
            if uri != model_uri and not any(directory.iterdir()):
                continue
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
                for path in sorted(directory.rglob("*")):
                    archive.add(path, arcname=str(path.relative_to(directory)), recursive=False)
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue(), **encryption)
            except s3.exceptions.ClientError as error:
                raise JobFailed(
                    f"ClientError: Artifact upload failed: could not write {uri}: {error}"
                ) from error
        return model_uri


def _number(text: str | None) -> float | None:
    """Return a metric's value; None for text that is no number, for NaN, and for infinity.

    CloudWatch rejects values that are not finite, so that such a line is no datum.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    """
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
