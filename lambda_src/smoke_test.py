"""Invokes an endpoint with rows whose labels are known, and scores its predictions.

The rows come from ``validation.csv`` in the dataset artifact, or from ``train.csv`` if there is no
``validation.csv``; the label is the first column. The stage fails if the endpoint does not answer,
returns too few predictions or scores too low. The score is the metric that the training job
reported: accuracy, or R² for a regression.
"""

import csv
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from lambda_src.pipeline_job import ConfigurationError, Job, JobError, Succeeded, parameter, run

ROW_FILES = ("validation.csv", "train.csv")
MAX_ROWS = 50
MAX_LINE_CHARACTERS = 1024 * 1024
ACCURACY, R2 = "accuracy", "r2"


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Handle one invocation by CodePipeline."""
    run(event, smoke_test)


def smoke_test(job: Job) -> Succeeded:
    """Invoke the endpoint once with up to 50 rows and score its predictions."""
    endpoint = parameter(job, "endpointName", str)
    minimum = parameter(job, "minimumAccuracy", (int, float))
    metric = parameter(job, "metric", str)
    if metric not in (ACCURACY, R2):
        raise ConfigurationError(
            f"UserParameters: metric must be {ACCURACY} or {R2}, not {metric!r}"
        )
    artifact = job.input()
    with job.read(artifact) as archive:
        rows = _rows(archive, artifact.name, header=job.parameters.get("header") is True)
    expected = [row[0].strip() for row in rows]
    sagemaker, runtime = _clients(job)
    _check_configuration(job, sagemaker, endpoint)
    answers = _invoke(runtime, endpoint, [row[1:] for row in rows])
    if len(answers) != len(expected):
        raise JobError(
            f"endpoint {endpoint} returned {len(answers)} predictions for {len(expected)} rows"
        )
    if metric == R2:
        score = _r2(endpoint, expected, answers)
        counted = f"{len(expected)} rows"
    else:
        correct = sum(answer == label for answer, label in zip(answers, expected, strict=True))
        score = correct / len(expected)
        counted = f"{correct} of {len(expected)} rows correct"
    summary = f"endpoint {endpoint}: {counted}, {metric} {score:.4f}"
    if score < minimum:
        raise JobError(f"{summary}, below the minimum of {minimum}")
    return Succeeded(
        summary=summary,
        external_id=endpoint,
        variables={"Metric": metric, "Score": f"{score:.4f}", "Rows": str(len(expected))},
    )


def _r2(endpoint: str, expected: list[str], answers: list[str]) -> float:
    """Return the share of the labels' variance that the predictions explain.

    It is 0 if all labels are equal.
    """
    truth = [_number("label", label) for label in expected]
    found = [_number(f"prediction of endpoint {endpoint}", answer) for answer in answers]
    mean = sum(truth) / len(truth)
    variance = sum((value - mean) ** 2 for value in truth)
    error = sum((value - answer) ** 2 for value, answer in zip(truth, found, strict=True))
    return 1 - error / variance if variance else 0.0


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise JobError(f"the {name} {text!r} is not a number; a regression's must be")
    return number


def _rows(archive: zipfile.ZipFile, artifact_name: str, *, header: bool) -> list[list[str]]:
    # The files may be in a folder of the zip.
    names = archive.namelist()
    found = {file: [n for n in names if PurePosixPath(n).name == file] for file in ROW_FILES}
    file = next((file for file in ROW_FILES if found[file]), ROW_FILES[0])
    if len(found[file]) != 1:
        raise ConfigurationError(
            f"artifact {artifact_name} must hold one {file}, not {len(found[file])}"
        )
    try:
        with archive.open(found[file][0]) as content:
            lines = io.TextIOWrapper(content, "utf-8-sig", newline="")
            filled = (row for row in csv.reader(_bounded(lines, file)) if row)
            rows = list(islice(filled, int(header), MAX_ROWS + int(header)))
    except (UnicodeDecodeError, zipfile.BadZipFile, csv.Error) as error:
        raise ConfigurationError(f"{file} is not readable text: {error}") from error
    if not rows:
        raise ConfigurationError(f"{file} has no rows")
    return rows


def _bounded(lines: io.TextIOWrapper, file: str) -> Iterator[str]:
    """Yield lines, none of them so long that it fills the function's memory."""
    while line := lines.readline(MAX_LINE_CHARACTERS + 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise ConfigurationError(
                f"{file} has a line of more than {MAX_LINE_CHARACTERS} characters"
            )
        yield line


def _check_configuration(job: Job, sagemaker: Any, endpoint: str) -> None:
    """Check that the endpoint has the configuration that was deployed.

    SageMaker may have rolled an update back, and the endpoint then answers with the old model.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """
    deployed = parameter(job, "endpointConfigName", str)
    found = sagemaker.describe_endpoint(EndpointName=endpoint)
    if found["EndpointConfigName"] != deployed:
        raise JobError(
            f"endpoint {endpoint} has the configuration {found['EndpointConfigName']} and not "
            f"{deployed}, which was deployed: SageMaker rolled the update back. "
            f"{found.get('FailureReason', '')}".strip()
        )


def _clients(job: Job) -> tuple[Any, Any]:
    """Return clients for SageMaker and its endpoints, of this account or of another one."""
    keys: dict[str, str] = {}
    if "roleArn" in job.parameters:
        credentials = boto3.client("sts").assume_role(
            RoleArn=parameter(job, "roleArn", str), RoleSessionName=f"smoke-test-{job.id[:8]}"
        )["Credentials"]
        keys = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
    return boto3.client("sagemaker", **keys), boto3.client(
        "sagemaker-runtime",
        # Two attempts end before the function's own 60 seconds do, so that the job gets an answer.
        config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}),
        **keys,
    )


def _invoke(runtime: Any, endpoint: str, features: list[list[str]]) -> list[str]:
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows(features)
    try:
        response = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="text/csv",
            Accept="text/csv",
            Body=body.getvalue().encode(),
        )
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise JobError(f"endpoint {endpoint} did not answer in time: {error}") from error
    text = response["Body"].read().decode()
    return [row[0].strip() for row in csv.reader(io.StringIO(text)) if row]
