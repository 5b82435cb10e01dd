"""The outputs of one instance of a processing job: directories whose files go to S3.

An output is uploaded at the end of the job, or each of its files whenever it has changed.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Output.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.sagemaker.containers import JobFailed
from localcloud.service_context import ServiceContext

CONTINUOUS, END_OF_JOB = "Continuous", "EndOfJob"


class Uploads:
    """The outputs of one instance.

    Args:
        base: the directory of the instance, which its process sees as /opt/ml.
    """

    def __init__(
        self, context: ServiceContext, scope: Scope, request: dict[str, Any], base: Path
    ) -> None:
        self._context = context
        self._scope = scope
        self._role = request["RoleArn"]
        config = request.get("ProcessingOutputConfig", {})
        key = config.get("KmsKeyId")
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        self._outputs = [
            (base / Path(output["LocalPath"]).relative_to("/opt/ml"), output)
            for output in (one["S3Output"] for one in config.get("Outputs", []))
        ]
        # What was uploaded: the time and the size of each file.
        self._uploaded: dict[Path, tuple[int, int]] = {}

    def make_directories(self) -> None:
        """Make the directories, which exist when the container starts."""
        for directory, _ in self._outputs:
            directory.mkdir(parents=True, exist_ok=True)

    def continue_(self) -> None:
        """Upload what has changed in the outputs that are uploaded continuously; it blocks.

        Raises:
            JobFailed: S3 refused a file.
        """
        for directory, output in self._outputs:
            if output["S3UploadMode"] == CONTINUOUS:
                self._upload(directory, output)

    def finish(self) -> None:
        """Upload whatever is not uploaded yet; it blocks.

        Raises:
            JobFailed: S3 refused a file.
        """
        for directory, output in self._outputs:
            self._upload(directory, output)

    def _upload(self, directory: Path, output: dict[str, Any]) -> None:
        bucket, _, prefix = output["S3Uri"].removeprefix("s3://").partition("/")
        s3 = self._context.client("s3", self._scope, self._role)
        for path in sorted(directory.rglob("*")):
            # Not what a link points to, which may be any file of this machine.
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if self._uploaded.get(path) == version:
                continue
            relative = path.relative_to(directory).as_posix()
            key = "/".join(part for part in (prefix.rstrip("/"), relative) if part)
            try:
                with path.open("rb") as content:
                    s3.upload_fileobj(content, bucket, key, ExtraArgs=self._encryption)
            except OSError:
                if path.exists():
                    raise
                continue  # the container has just deleted it
            except Exception as error:
                raise JobFailed(
                    f"ClientError: Failed to upload {path.name} to s3://{bucket}/{key}: {error}"
                ) from error
            self._uploaded[path] = version
