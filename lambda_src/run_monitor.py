"""Runs the model's monitor on a schedule, as a processing job, and publishes what it finds.

    the schedule            what the endpoint captured since the last run ─► CreateProcessingJob
    the job has completed   several instances ─► a second job merges their partials
                            its metrics ─► PutMetricData
    the job has failed      the metric `Failed` is 1; the next run reads the same captures

The captures of a run are named by a manifest, so the job downloads nothing else. The first run, and
one after a long pause, goes back 48 hours, which is as far as the monitor counts. Below `monitor/`
in the bucket of the captures are `state/state.json` and, for each run, `runs/NAME/` with its
report.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/processing-job.html
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambda_src.model_versions import baseline_of, container_of
from lambda_src.sagemaker_job import created, instances, processing_input, processing_output

logger = logging.getLogger("run_monitor")
logger.setLevel(logging.INFO)

NAMESPACE = "MlopsLab/Monitor"
VERSION_TAG = "ModelPackageArn"
LOOK_BACK = timedelta(hours=48)
# Captures may be written some minutes after the request.
OVERLAP = timedelta(hours=1)
_STAMP = "%Y%m%d-%H%M"
_SHARDS, _MERGE = "-shards", "-merge"
# PutMetricData takes 1,000 metrics, and the monitor's file has fewer.
_METRICS = 1000
_MOST_METRICS_BYTES = 4 << 20


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle the schedule's event, or the end of a job of the monitor."""
    monitor = Monitor(os.environ)
    if event.get("detail-type") == "SageMaker Processing Job State Change":
        monitor.follow(event["detail"])
    else:
        monitor.start(datetime.fromisoformat(event["time"]))


class Monitor:
    """The monitor of one endpoint.

    Args:
        environment: ENDPOINT_NAME, VARIANT_NAME, BUCKET, CAPTURE_PREFIX, JOB_ROLE_ARN,
            INSTANCE_TYPE, INSTANCE_COUNT, MAX_RUNTIME_SECONDS and NETWORK_ISOLATION (true or
            false); VPC_CONFIG and KMS_KEY_ARN, which may be missing; and the monitor's own,
            MONITOR_…, which its job gets.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._endpoint = environment["ENDPOINT_NAME"]
        self._variant = environment["VARIANT_NAME"]
        self._bucket = environment["BUCKET"]
        self._prefix = f"{environment['CAPTURE_PREFIX']}/"
        self._captures = f"{self._prefix}{self._endpoint}/{self._variant}"
        self._role = environment["JOB_ROLE_ARN"]
        self._instance_type = environment["INSTANCE_TYPE"]
        self._instances = int(environment["INSTANCE_COUNT"])
        self._seconds = int(environment["MAX_RUNTIME_SECONDS"])
        self._network = network_of(environment)
        self._key = environment.get("KMS_KEY_ARN", "")
        self._limits = {k: v for k, v in environment.items() if k.startswith("MONITOR_")}
        self._stem = f"{self._endpoint}-monitor"
        self._sagemaker = boto3.client("sagemaker")
        self._s3 = boto3.client("s3")

    def start(self, now: datetime) -> None:
        """Start a run over what was captured since the last one.

        Args:
            now: the time of the schedule's event. It names the run, so that an event that Lambda
                delivers twice starts one job.
        """
        package = self._deployed()
        if package is None:
            return
        since = self._last_run(now)
        if since is None:
            return
        captures = list(self._captured(since, now))
        labels = list(self._labelled(since))
        if not captures and not labels:
            logger.info("%s captured nothing since %s", self._endpoint, since.isoformat())
            self._publish([self._metric("Captures", 0), self._metric("Rows", 0)])
            return
        run = f"{self._stem}-{now.astimezone(UTC).strftime(_STAMP)}"
        inputs = self._inputs(package)
        if captures:
            distribution = "ShardedByS3Key" if self._instances > 1 else "FullyReplicated"
            manifest = self._manifest(run, "captures", self._prefix, captures)
            inputs.append(processing_input("captures", manifest, "ManifestFile", distribution))
        if labels:
            manifest = self._manifest(run, "ground-truth", "ground-truth/", labels)
            inputs.append(processing_input("ground-truth", manifest, "ManifestFile"))
        several = self._instances > 1 and bool(captures)
        environment = {**self._limits, "MONITOR_MODEL": package["ModelPackageArn"]}
        self._create(
            run + _SHARDS if several else run,
            {"ImageUri": container_of(package)["Image"], "ContainerArguments": ["monitor"]},
            inputs,
            {"partial": f"{self._run_url(run)}/partials"} if several else self._reports(run),
            environment,
            self._instances if several else 1,
        )

    def follow(self, detail: Mapping[str, Any]) -> None:
        """Go on after a job of the monitor has ended.

        Args:
            detail: the detail of SageMaker's event.
        """
        name, status = str(detail["ProcessingJobName"]), str(detail["ProcessingJobStatus"])
        run = name.removesuffix(_SHARDS).removesuffix(_MERGE)
        if status != "Completed":
            reason = detail.get("ExitMessage") or detail.get("FailureReason") or "no reason"
            logger.error("processing job %s ended as %s: %s", name, status, reason)
            self._publish([self._metric("Failed", 1)])
        elif name.endswith(_SHARDS):
            self._merge(name, run)
        else:
            self._publish([*self._metrics_of(run), self._metric("Failed", 0)])
            logger.info("%s: %s", name, detail.get("ExitMessage", ""))

    def _deployed(self) -> dict[str, Any] | None:
        """Return the version of the registry that the endpoint serves; None before there is one."""
        sagemaker = self._sagemaker
        try:
            endpoint = sagemaker.describe_endpoint(EndpointName=self._endpoint)
        except ClientError as error:
            if "Could not find" not in error.response["Error"]["Message"]:
                raise
            logger.info("there is no endpoint %s yet", self._endpoint)
            return None
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        (model,) = {v["ModelName"] for v in config["ProductionVariants"]}
        arn = sagemaker.describe_model(ModelName=model)["ModelArn"]
        tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
        version = next((tag["Value"] for tag in tags if tag["Key"] == VERSION_TAG), None)
        if version is None:
            logger.info("model %s has no tag %s: deploy it again", model, VERSION_TAG)
            return None
        found: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=version)
        return found

    def _last_run(self, now: datetime) -> datetime | None:
        """Return when the last run began that counted; None while one is running.

        Two runs at once would both begin with the same state.
        """
        oldest = now - LOOK_BACK + OVERLAP
        jobs = self._sagemaker.list_processing_jobs(
            NameContains=self._stem, SortBy="CreationTime", SortOrder="Descending", MaxResults=100
        )["ProcessingJobSummaries"]
        for job in jobs:
            status, name = job["ProcessingJobStatus"], job["ProcessingJobName"]
            if status in ("InProgress", "Stopping"):
                logger.info("processing job %s is still running: this run is left out", name)
                return None
            if status == "Completed" and not name.endswith(_SHARDS):
                stamp = name.removesuffix(_MERGE).removeprefix(f"{self._stem}-")
                began = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
                return max(oldest, began - OVERLAP)
        return oldest

    def _captured(self, since: datetime, now: datetime) -> Iterator[str]:
        """Yield the capture files of each hour, as keys below their prefix."""
        hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        while hour <= now:
            prefix = f"{self._captures}/{hour:%Y/%m/%d/%H}/"
            for found in self._objects(prefix):
                yield found["Key"].removeprefix(self._prefix)
            hour += timedelta(hours=1)

    def _labelled(self, since: datetime) -> Iterator[str]:
        """Yield the files of labels that came since a time."""
        for found in self._objects("ground-truth/"):
            if found["LastModified"] >= since and found["Key"].endswith((".jsonl", ".csv")):
                yield found["Key"].removeprefix("ground-truth/")

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def _manifest(self, run: str, name: str, prefix: str, keys: list[str]) -> str:
        """Write a manifest of objects; return its URI.

        Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
        """
        key = f"monitor/runs/{run}/{name}.manifest"
        document = [{"prefix": f"s3://{self._bucket}/{prefix}"}, *keys]
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps(document).encode())
        return f"s3://{self._bucket}/{key}"

    def _inputs(self, package: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the inputs that every job of a run has."""
        baseline = baseline_of(package)
        inputs = [processing_input("model", container_of(package)["ModelDataUrl"])]
        if baseline:
            inputs.append(processing_input("baseline", baseline))
        # Without a baseline the job fails, with a sentence about it.
        state = "monitor/state/state.json"
        if next(self._objects(state), None):
            inputs.append(processing_input("previous", f"s3://{self._bucket}/{state}"))
        return inputs

    def _merge(self, name: str, run: str) -> None:
        """Start the job that merges the partials of the instances."""
        shards = self._sagemaker.describe_processing_job(ProcessingJobName=name)
        inputs = [i for i in shards["ProcessingInputs"] if i["InputName"] != "captures"]
        partials = processing_input("partials", f"{self._run_url(run)}/partials/")
        self._create(
            run + _MERGE,
            shards["AppSpecification"],
            [_request(one) for one in inputs] + [partials],
            self._reports(run),
            shards["Environment"],
            1,
        )

    def _reports(self, run: str) -> dict[str, str]:
        return {"report": self._run_url(run), "state": f"s3://{self._bucket}/monitor/state"}

    def _run_url(self, run: str) -> str:
        return f"s3://{self._bucket}/monitor/runs/{run}"

    def _create(
        self,
        name: str,
        application: Mapping[str, Any],
        inputs: list[dict[str, Any]],
        outputs: Mapping[str, str],
        environment: Mapping[str, str],
        count: int,
    ) -> None:
        request = {
            "ProcessingJobName": name,
            "RoleArn": self._role,
            "AppSpecification": application,
            "Environment": environment,
            "ProcessingInputs": inputs,
            "ProcessingOutputConfig": {
                "Outputs": [processing_output(one, uri) for one, uri in outputs.items()],
                **({"KmsKeyId": self._key} if self._key else {}),
            },
            "ProcessingResources": {
                "ClusterConfig": instances(self._instance_type, count, self._key)
            },
            "NetworkConfig": self._network,
            "StoppingCondition": {"MaxRuntimeInSeconds": self._seconds},
        }
        created(self._sagemaker.create_processing_job, request)
        logger.info("started processing job %s", name)

    def _metrics_of(self, run: str) -> list[dict[str, Any]]:
        key = f"monitor/runs/{run}/metrics.json"
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        metrics: list[dict[str, Any]] = json.loads(body.read(_MOST_METRICS_BYTES))["MetricData"]
        return metrics

    def _metric(self, name: str, value: float) -> dict[str, Any]:
        named = {"Endpoint": self._endpoint, "Variant": self._variant}
        return {
            "MetricName": name,
            "Value": value,
            "Unit": "Count",
            "Dimensions": [{"Name": key, "Value": text} for key, text in named.items()],
        }

    def _publish(self, metrics: list[dict[str, Any]]) -> None:
        cloudwatch = boto3.client("cloudwatch")
        for at in range(0, len(metrics), _METRICS):
            cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=metrics[at : at + _METRICS])


def network_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's isolation, and its VPC if the environment names one."""
    network: dict[str, Any] = {"EnableNetworkIsolation": environment["NETWORK_ISOLATION"] == "true"}
    if environment.get("VPC_CONFIG"):
        network["VpcConfig"] = json.loads(environment["VPC_CONFIG"])
    return network


def _request(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input of a job that was described as the input of another one."""
    return {key: described[key] for key in ("InputName", "S3Input")}
