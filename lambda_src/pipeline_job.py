"""A CodePipeline job: the input of a Lambda action, and the single result that it reports.

Owns the parsing of CodePipeline's event, access to the job's artifacts, and the rule that each
invocation reports exactly one result. Must not: know the purpose of a job.

    event ─► Job ─► work(job) ─► Succeeded | StillRunning | raised exception
                                      └──────── reported once, by run() ────────┘

Artifacts are read and written with the credentials in the event, as AWS recommends. These give
access to the artifacts of this action only, so a function's role needs no access to buckets.
Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
"""

import io
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger("pipeline_job")
logger.setLevel(logging.INFO)

# Bytes of an artifact that are fetched at a time.
READ_BYTES = 1024 * 1024
MESSAGE_LENGTH = 5000
SUMMARY_LENGTH = 2048


class JobError(Exception):
    """The job has failed, with a message that helps the user to fix the problem.

    JobError             type JobFailed: the work failed
    └── ConfigurationError   type ConfigurationError: the pipeline passed invalid input
    """

    failure_type = "JobFailed"


class ConfigurationError(JobError):
    """The action's parameters or artifacts cannot be used."""

    failure_type = "ConfigurationError"


@dataclass(frozen=True)
class Artifact:
    """An object of the artifact store."""

    name: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Job:
    """One invocation by CodePipeline.

    Attributes:
        id: CodePipeline's job id.
        parameters: the action's UserParameters.
        inputs: the input artifacts.
        outputs: the output artifacts.
        credentials: temporary credentials for the artifacts, under AWS's names.
        continuation: the content of the continuation token; None at the first invocation.
        encryption_key: KMS key of the artifact store; None for S3's own encryption.
    """

    id: str
    parameters: Mapping[str, Any]
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    credentials: Mapping[str, str]
    continuation: Mapping[str, Any] | None
    encryption_key: str | None

    def input(self) -> Artifact:
        """Return the action's only input artifact.

        Raises: ConfigurationError when there is not exactly one.
        """
        return _only(self.inputs, "input")

    def output(self) -> Artifact:
        """Return the action's only output artifact.

        Raises: ConfigurationError when there is not exactly one.
        """
        return _only(self.outputs, "output")

    def read(self, artifact: Artifact) -> zipfile.ZipFile:
        """Open an artifact's zip, of which only the parts that are read are fetched.

        An artifact has up to 5 GB, and the function 256 MiB.

        Raises: ConfigurationError when the artifact is not a zip file.
        """
        body = io.BufferedReader(_RemoteFile(self._s3(), artifact), READ_BYTES)
        try:
            return zipfile.ZipFile(body)
        except zipfile.BadZipFile:
            raise ConfigurationError(f"artifact {artifact.name} is not a zip file") from None

    def write(self, artifact: Artifact, files: Mapping[str, str]) -> None:
        """Write an artifact: a zip of text files, given as content by file name."""
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.encryption_key}
            if self.encryption_key
            else {}
        )
        self._s3().put_object(
            Bucket=artifact.bucket, Key=artifact.key, Body=body.getvalue(), **encryption
        )

    def _s3(self) -> Any:
        # Without credentials in the event, boto3 falls back to the function's own.
        return boto3.client(
            "s3",
            aws_access_key_id=self.credentials.get("accessKeyId"),
            aws_secret_access_key=self.credentials.get("secretAccessKey"),
            aws_session_token=self.credentials.get("sessionToken"),
        )


class _RemoteFile(io.RawIOBase):
    """An object of S3 as a file that is read by ranges."""

    def __init__(self, s3: Any, artifact: Artifact) -> None:
        self._s3, self._place = s3, {"Bucket": artifact.bucket, "Key": artifact.key}
        try:
            self._size = int(s3.head_object(**self._place)["ContentLength"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            raise ConfigurationError(
                f"artifact {artifact.name}: s3://{artifact.bucket}/{artifact.key} does not exist"
            ) from error
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        found = self._s3.get_object(**self._place, Range=f"bytes={self._at}-{end - 1}")
        content: bytes = found["Body"].read()
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


@dataclass(frozen=True)
class Succeeded:
    """The job has succeeded.

    Attributes:
        summary: shown in the pipeline, at most 2,048 characters.
        external_id: id of the resource that did the work.
        variables: the action's output variables.
    """

    summary: str
    external_id: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StillRunning:
    """The job is still running; CodePipeline passes ``continuation`` to the next invocation."""

    summary: str
    external_id: str
    continuation: Mapping[str, Any]


Work = Callable[[Job], Succeeded | StillRunning]


def run(event: Mapping[str, Any], work: Work) -> None:
    """Do a job and report exactly one result to CodePipeline, whatever happens.

    An exception of ``work`` becomes the message of a failure. This function raises nothing, because
    Lambda would then invoke the function again for the same job.

    Args:
        event: CodePipeline's event.
        work: does the job.
    """
    try:
        job_id = event["CodePipeline.job"]["id"]
    except (KeyError, TypeError):
        # Without an id, no result can be reported.
        logger.error("not an event of CodePipeline: it has no CodePipeline.job.id")
        return
    result: Succeeded | StillRunning | JobError
    try:
        result = work(parse(event))
    except JobError as error:
        logger.exception("job %s failed", job_id)
        result = error
    except Exception as error:  # without a result, the action would wait for its timeout
        logger.exception("job %s failed unexpectedly", job_id)
        result = JobError(f"{type(error).__name__}: {error}")
    try:
        _report(job_id, result)
    except Exception:
        logger.exception("could not report the result of job %s to CodePipeline", job_id)


def parse(event: Mapping[str, Any]) -> Job:
    """Parse CodePipeline's event.

    Raises: ConfigurationError when a part is missing or invalid.
    """
    try:
        job = event["CodePipeline.job"]
        data = job["data"]
        configuration = data["actionConfiguration"]["configuration"]
        return Job(
            id=job["id"],
            parameters=_json_object(configuration.get("UserParameters", "{}"), "UserParameters"),
            inputs=_artifacts(data.get("inputArtifacts")),
            outputs=_artifacts(data.get("outputArtifacts")),
            credentials=data.get("artifactCredentials") or {},
            continuation=(
                _json_object(data["continuationToken"], "continuationToken")
                if data.get("continuationToken")
                else None
            ),
            encryption_key=(data.get("encryptionKey") or {}).get("id"),
        )
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"CodePipeline's event is incomplete: {error!r}") from error


def parameter(job: Job, name: str, kind: type | tuple[type, ...]) -> Any:
    """Return a required value of UserParameters.

    Args:
        job: the job.
        name: key of the value.
        kind: type of the value, or the types that are allowed.

    Raises: ConfigurationError when the value is missing, empty or of another type.
    """
    value = job.parameters.get(name)
    # In Python, JSON's true would be an int.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool) or value == "":
        kinds = kind if isinstance(kind, tuple) else (kind,)
        allowed = " or ".join(k.__name__ for k in kinds)
        raise ConfigurationError(f"UserParameters: {name} must be {allowed}, not {value!r}")
    return value


def _json_object(text: str, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} must be a JSON object, not {text!r}")
    return value


def _artifacts(raw: list[dict[str, Any]] | None) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(
            name=one["name"],
            bucket=one["location"]["s3Location"]["bucketName"],
            key=one["location"]["s3Location"]["objectKey"],
        )
        for one in raw or ()
    )


def _only(artifacts: tuple[Artifact, ...], kind: str) -> Artifact:
    if len(artifacts) != 1:
        raise ConfigurationError(f"the action must have one {kind} artifact, not {len(artifacts)}")
    return artifacts[0]


def _report(job_id: str, result: Succeeded | StillRunning | JobError) -> None:
    codepipeline = boto3.client("codepipeline")
    if isinstance(result, JobError):
        codepipeline.put_job_failure_result(
            jobId=job_id,
            failureDetails={
                "type": result.failure_type,
                "message": (str(result) or type(result).__name__)[:MESSAGE_LENGTH],
            },
        )
        return
    details = {
        "summary": result.summary[:SUMMARY_LENGTH],
        "externalExecutionId": result.external_id,
    }
    if isinstance(result, StillRunning):
        codepipeline.put_job_success_result(
            jobId=job_id,
            executionDetails=details,
            continuationToken=json.dumps(result.continuation, separators=(",", ":")),
        )
    else:
        codepipeline.put_job_success_result(
            jobId=job_id,
            executionDetails={**details, "percentComplete": 100},
            outputVariables=dict(result.variables),
        )
