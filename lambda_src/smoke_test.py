"""Asks an endpoint for rows whose label is known, and compares.

The rows are those of ``validation.csv`` in the dataset artifact: the label first, no header.
An endpoint that does not answer, answers too little or is wrong too often fails the stage.
"""

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import boto3

from lambda_src.pipeline_job import ConfigurationError, Job, JobError, Succeeded, parameter, run

VALIDATION_FILE = "validation.csv"
MAX_ROWS = 50


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation by CodePipeline."""
    run(event, smoke_test)


def smoke_test(job: Job) -> Succeeded:
    """Invoke the endpoint once with up to 50 rows and judge its answers."""
    endpoint = parameter(job, "endpointName", str)
    minimum = parameter(job, "minimumAccuracy", (int, float))
    artifact = job.input()
    with job.read(artifact) as archive:
        rows = _validation_rows(archive, artifact.name)
    expected = [row[0].strip() for row in rows]
    answers = _invoke(_runtime(job), endpoint, [row[1:] for row in rows])
    if len(answers) != len(expected):
        raise JobError(f"endpoint {endpoint} gave {len(answers)} answers to {len(expected)} rows")
    right = sum(answer == label for answer, label in zip(answers, expected, strict=True))
    accuracy = right / len(expected)
    verdict = f"endpoint {endpoint}: {right} of {len(expected)} rows right, accuracy {accuracy:.4f}"
    if accuracy < minimum:
        raise JobError(f"{verdict}, below the minimum of {minimum}")
    return Succeeded(
        summary=verdict,
        external_id=endpoint,
        variables={"Accuracy": f"{accuracy:.4f}", "Rows": str(len(expected))},
    )


def _validation_rows(archive: zipfile.ZipFile, artifact_name: str) -> list[list[str]]:
    # A zipped folder is as good as zipped files.
    members = [n for n in archive.namelist() if PurePosixPath(n).name == VALIDATION_FILE]
    if len(members) != 1:
        raise ConfigurationError(
            f"artifact {artifact_name} must hold one {VALIDATION_FILE}, not {len(members)}"
        )
    try:
        text = archive.read(members[0]).decode("utf-8-sig")
    except (UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{VALIDATION_FILE} is not readable text: {error}") from error
    rows = [row for row in csv.reader(io.StringIO(text)) if row][:MAX_ROWS]
    if not rows:
        raise ConfigurationError(f"{VALIDATION_FILE} has no rows")
    return rows


def _runtime(job: Job) -> Any:
    """Return a client that asks endpoints: of this account, or as a role of another one."""
    if "roleArn" not in job.parameters:
        return boto3.client("sagemaker-runtime")
    credentials = boto3.client("sts").assume_role(
        RoleArn=parameter(job, "roleArn", str), RoleSessionName=f"smoke-test-{job.id[:8]}"
    )["Credentials"]
    return boto3.client(
        "sagemaker-runtime",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def _invoke(runtime: Any, endpoint: str, features: list[list[str]]) -> list[str]:
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows(features)
    response = runtime.invoke_endpoint(
        EndpointName=endpoint,
        ContentType="text/csv",
        Accept="text/csv",
        Body=body.getvalue().encode(),
    )
    text = response["Body"].read().decode()
    return [row[0].strip() for row in csv.reader(io.StringIO(text)) if row]
