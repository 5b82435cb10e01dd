"""Checks the requests that moto answers against botocore's model, as AWS checks them first.

moto stores what it is given. AWS refuses a request that its own model forbids before anything
happens: a member that is missing, too long, out of range, not in its enumeration or not of its
pattern. The texts are the same for every service; each service has its own code.

Our own services check their requests by the same functions (`aws/protocol.py`). Calls in this
process, such as metrics of our own workers, do not come here.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.protocol import detected, operation_name, read, service_model, violations
from localcloud.aws.rest_paths import rest_operation
from localcloud.aws.routing import Request
from localcloud.moto_backend.dropped_members import check_members
from localcloud.moto_backend.s3_requests import check_headers

# The code of a violation, where it is not ValidationException.
_CODES = {
    "cloudwatch": "ValidationError",
    "iam": "ValidationError",
    "sns": "ValidationError",
    "sts": "ValidationError",
    "budgets": "InvalidParameterException",
    "codebuild": "InvalidInputException",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "sqs": "InvalidParameterValue",
}
# Members whose values AWS takes although its model forbids them: (service, member), and why.
_LOOSER: dict[tuple[str, str], str] = {}
_MEMBER = re.compile(r"at '([^']+)'")
_NULL = "Value null at"


def check(request: Request) -> None:
    """Refuse a request that its service's model forbids.

    Raises:
        AwsError: with the code and the text of the service.
    """
    if request.service == "s3":  # whose model has hardly any constraints
        check_headers(request)
        return
    name, protocol, in_path = operation_of(request)
    if name not in service_model(request.service).operation_names:
        return  # moto's answer, or a 501 that names it
    try:
        parameters = read(request, name, protocol, in_path)
        found = violations(request.service, name, parameters)
    except AwsError:
        if request.service == "cloudwatch":
            return  # it has an error of its own for NaN and infinity (patches/cloudwatch.py)
        raise
    problems = [problem for problem in found if (request.service, _member(problem)) not in _LOOSER]
    if problems:
        raise _error(request.service, name, problems)
    check_members(request.service, name, parameters)


def operation_of(request: Request) -> tuple[str, str, dict[str, str]]:
    """Return the operation of a request, its protocol, and its parameters in the path."""
    if request.service == "lambda":
        name, in_path = rest_operation(request)
        return name, "rest-json", in_path
    if request.headers.get("x-amz-target"):
        return operation_name(request), "json", {}
    return operation_name(request), "query", {}


def _member(problem: str) -> str:
    found = _MEMBER.search(problem)
    return found[1] if found else ""


def _error(service: str, name: str, problems: list[str]) -> AwsError:
    first, member = problems[0], _member(problems[0])
    if service == "codecommit":
        return _of_codecommit(name, member, problems)
    if service == "sqs" and first.startswith(_NULL):
        member = member[:1].upper() + member[1:]
        return AwsError("MissingParameter", f"The request must contain the parameter {member}.")
    if service == "lambda" and "enum value set" in first:
        return AwsError("InvalidParameterValueException", first)
    if service == "ecr" and "." not in member and "regular expression" in first:
        rule = first.rpartition("Member must ")[2].replace("pattern: ", "")
        return AwsError(
            "InvalidParameterException",
            f"Invalid parameter at '{member}' failed to satisfy constraint: 'must {rule}'",
        )
    return AwsError(_CODES.get(service, "ValidationException"), detected(problems))


def _of_codecommit(name: str, member: str, problems: list[str]) -> AwsError:
    """Return the exception that CodeCommit has for a member, such as RepositoryNameRequired."""
    noun = member.partition(".")[0]
    noun = noun[:1].upper() + noun[1:]
    known: set[Any] = {
        shape.name for shape in service_model("codecommit").operation_model(name).error_shapes
    }
    missing = problems[0].startswith(_NULL)
    code = f"{noun}RequiredException" if missing else f"Invalid{noun}Exception"
    return AwsError(code if code in known else "ValidationException", detected(problems))
