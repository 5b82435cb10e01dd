"""`aws` in a build, for a machine without the AWS CLI: one API call, by botocore's models.

    aws SERVICE OPERATION [--name VALUE ...] [--query JMESPATH] [--output json | text]

It also has `aws ecr get-login-password`, `aws SERVICE wait CONDITION` and `aws s3 cp FILE s3://…`.
Other features of the CLI (profiles, values from files, shorthand syntax) are refused by name. A
build uses the real CLI if the machine has it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError

from localcloud.codebuild.tools import Refused, command_line

_GLOBAL = ("--query", "--output", "--region", "--endpoint-url")
_IGNORED = ("--no-cli-pager", "--no-paginate")


def run(arguments: Sequence[str]) -> str:
    """Carry out one command; return what it prints.

    Raises:
        Refused: this command line does not support it.
        ClientError: the service's own error.
    """
    words, options = _options(list(arguments))
    if len(words) < 2:
        raise Refused("usage: aws SERVICE OPERATION [--name VALUE ...]")
    service, command, rest = words[0], words[1], words[2:]
    named = {key: options[flag] for flag, key in _CLIENT.items() if flag in options}
    if (service, command) == ("ecr", "get-login-password"):
        return "localcloud"
    if service == "s3":
        return _copy(boto3.client("s3", **named), command, rest)
    try:
        client = boto3.client(service, **named)
    except UnknownServiceError:
        raise Refused(f"aws {service} is not supported by the local cloud's aws") from None
    if command == "wait":
        _wait(client, service, rest)
        return ""
    method = command.replace("-", "_")
    name = client.meta.method_to_api_mapping.get(method)
    if name is None:
        raise Refused(f"aws {service} {command} is not supported by the local cloud's aws")
    shape = client.meta.service_model.operation_model(name).input_shape
    answer = getattr(client, method)(**_parameters(shape, rest))
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(options["--query"], answer) if "--query" in options else answer
    return _printed(found, options.get("--output", "json"))


def _wait(client: Any, service: str, words: list[str]) -> None:
    """Wait for a condition, as botocore's waiter of that name does."""
    name = words[0].replace("-", "_") if words else ""
    if name not in client.waiter_names:
        known = ", ".join(sorted(waiter.replace("_", "-") for waiter in client.waiter_names))
        raise Refused(f"aws {service} wait {name} is not known; the conditions are: {known}")
    waiter = client.get_waiter(name)
    operation = client.meta.service_model.operation_model(waiter.config.operation)
    waiter.wait(**_parameters(operation.input_shape, words[1:]))


_CLIENT = {"--region": "region_name", "--endpoint-url": "endpoint_url"}


def _options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Split the global options from those of the operation."""
    rest: list[str] = []
    options: dict[str, str] = {}
    remaining = iter(words)
    for word in remaining:
        flag, separator, value = word.partition("=")
        if flag in _GLOBAL:
            options[flag] = value if separator else next(remaining, "")
        elif word == "--profile":
            raise Refused("aws --profile is not supported by the local cloud's aws")
        elif word not in _IGNORED:
            rest.append(word)
    return rest, options


def _parameters(shape: Any, words: list[str]) -> dict[str, Any]:
    """Return an operation's parameters from its options."""
    members = dict(shape.members) if shape is not None else {}
    by_flag = {"--" + xform_name(name, "-"): name for name in members}
    found: dict[str, Any] = {}
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        flag, separator, value = word.partition("=")
        negative = flag.replace("--no-", "--", 1)
        name = by_flag.get(flag) or by_flag.get(negative)
        if name is None:
            raise Refused(f"unknown option {flag}; the options are: {', '.join(sorted(by_flag))}")
        if members[name].type_name == "boolean" and not separator:
            found[name] = flag in by_flag
            continue
        values = [value] if separator else []
        while not separator and index < len(words) and not words[index].startswith("--"):
            values.append(words[index])
            index += 1
        if not values:
            raise Refused(f"{flag} needs a value")
        found[name] = _value(members[name], values, flag)
    return found


def _value(shape: Any, values: list[str], flag: str) -> Any:
    first = values[0]
    match shape.type_name:
        case "integer" | "long":
            return int(first)
        case "float" | "double":
            return float(first)
        case "structure" | "map" | "list" if first[:1] in "[{":
            return json.loads(first)
        case "list" if shape.member.type_name == "string":
            return values
        case "structure" | "map" | "list":
            raise Refused(f"{flag}: write the value as JSON; the short form is not supported here")
        case "blob":
            return first.encode()
        case _:
            if first.startswith(("file://", "fileb://")):
                raise Refused(f"{flag}: {first} is not supported by the local cloud's aws")
            return first


def _copy(client: Any, command: str, words: list[str]) -> str:
    paths = [word for word in words if not word.startswith("--")]
    options = [word for word in words if word.startswith("--") and word != "--quiet"]
    if command != "cp" or len(paths) != 2 or options:
        raise Refused(f"aws s3 {command} {' '.join(words)} is not supported; s3 cp of one file is")
    source, target = paths
    if target.startswith("s3://"):
        bucket, _, key = target.removeprefix("s3://").partition("/")
        if not key or key.endswith("/"):
            key += source.rpartition("/")[2]
        client.upload_file(source, bucket, key)
        return f"upload: {source} to s3://{bucket}/{key}"
    bucket, _, key = source.removeprefix("s3://").partition("/")
    client.download_file(bucket, key, target)
    return f"download: {source} to {target}"


def _printed(found: Any, output: str) -> str:
    if output == "text":
        if isinstance(found, list):
            return "\t".join(_printed(item, output) for item in found)
        if isinstance(found, dict):
            return "\t".join(_printed(item, output) for item in found.values())
        return "None" if found is None else str(found)
    if output != "json":
        raise Refused(f"--output {output} is not supported; json and text are")
    return json.dumps(found, indent=4, default=str) if found not in ({}, None) else ""


def main() -> int:
    """Run the command line."""
    errors = (ClientError, BotoCoreError, ValueError, OSError)
    return command_line("aws", lambda: run(sys.argv[1:]), errors)


if __name__ == "__main__":
    raise SystemExit(main())
