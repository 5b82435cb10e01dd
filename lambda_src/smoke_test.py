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
from collections.abc import Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import boto3

from lambda_src.pipeline_job import ConfigurationError, Job, JobError, Succeeded, parameter, run

ROW_FILES = ("validation.csv", "train.csv")
MAX_ROWS = 50
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
    answers = _invoke(_runtime(job), endpoint, [row[1:] for row in rows])
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
        text = archive.read(found[file][0]).decode("utf-8-sig")
    except (UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{file} is not readable text: {error}") from error
    filled = (row for row in csv.reader(io.StringIO(text)) if row)
    rows = list(islice(filled, int(header), MAX_ROWS + int(header)))
    if not rows:
        raise ConfigurationError(f"{file} has no rows")
    return rows


def _runtime(job: Job) -> Any:
    """Return a client for endpoints of this account, or of another one by assuming its role."""
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
