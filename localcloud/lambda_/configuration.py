"""The settings of a function that Lambda refuses, and those that this cloud refuses by name. Pure.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.vpc import malformed

_LONGEST_TIMEOUT_SECONDS = 900
_MOST_MEMORY_MEGABYTES = 10_240
_ENVIRONMENT_BYTES = 4096
_LONGEST_NAME = 64
_MOST_LAYERS = 5
_RESERVED = frozenset(
    {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE"),
        *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    }
)
_UNSUPPORTED = (
    *("FileSystemConfigs", "CodeSigningConfigArn", "ImageConfig", "TenancyConfig"),
    *("CapacityProviderConfig", "DurableConfig", "RuntimeConfig", "AcceleratorConfig", "PublishTo"),
)
_OLD_RUNTIMES = ("python2.7", "python3.6", "python3.7")
_DEAD_LETTERS = re.compile(r"arn:aws[a-zA-Z-]*:(sqs|sns):[a-z0-9-]+:\d{12}:[a-zA-Z0-9-_.]+")


def invalid(message: str) -> AwsError:
    """Return Lambda's error for a parameter that is not valid."""
    return AwsError("InvalidParameterValueException", message)


def check(params: dict[str, Any], *, creation: bool) -> None:
    """Refuse settings of CreateFunction or UpdateFunctionConfiguration.

    Args:
        params: the request, which fits botocore's model.
        creation: whether the function is created.

    Raises:
        AwsError: a setting is not valid, or this cloud cannot carry it out.
    """
    for name in _UNSUPPORTED:
        if params.get(name):
            raise invalid(f"The local cloud does not support {name} of a function.")
    if params.get("PackageType", "Zip") != "Zip":
        raise invalid("The local cloud does not run container images; PackageType must be Zip.")
    wrong = malformed(params.get("VpcConfig"))
    if wrong:
        raise invalid(f"Error occurred while DescribeSubnets. EC2 Error Message: {wrong}")
    if (params.get("SnapStart") or {}).get("ApplyOn", "None") != "None":
        raise invalid("The local cloud does not support SnapStart of a function.")
    if creation and not (params.get("Runtime") and params.get("Handler")):
        raise invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages."
        )
    _check_runtime(params.get("Runtime") or "")
    _check_most(params, "Timeout", _LONGEST_TIMEOUT_SECONDS)
    _check_most(params, "MemorySize", _MOST_MEMORY_MEGABYTES)
    _check_environment((params.get("Environment") or {}).get("Variables") or {})
    if len(params.get("Layers") or []) > _MOST_LAYERS:
        raise invalid(f"Cannot reference more than {_MOST_LAYERS} layers.")
    target = (params.get("DeadLetterConfig") or {}).get("TargetArn") or ""
    if target and _DEAD_LETTERS.fullmatch(target) is None:
        raise invalid(
            f"The target ARN of DeadLetterConfig is not that of a queue or topic: {target}"
        )


def check_name(name: str) -> None:
    """Refuse the name of a new function if it is too long."""
    if len(name) > _LONGEST_NAME:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {_LONGEST_NAME}",
        )


def _check_runtime(runtime: str) -> None:
    if runtime in _OLD_RUNTIMES:
        raise invalid(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating "
            "AWS Lambda functions. We recommend you use a supported runtime while creating or "
            "updating functions."
        )
    if runtime and not runtime.startswith("python3."):
        raise invalid(
            f"The local cloud runs Python functions only; the runtime {runtime} is not supported."
        )


def _check_most(params: dict[str, Any], name: str, most: int) -> None:
    value = params.get(name)
    if value is not None and value > most:
        where = name[:1].lower() + name[1:]
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy "
            f"constraint: Member must have value less than or equal to {most}",
        )


def _check_environment(variables: dict[str, str]) -> None:
    reserved = [name for name in variables if name in _RESERVED]
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > _ENVIRONMENT_BYTES:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. String measured: "
            f"{text[:200]}"
        )
