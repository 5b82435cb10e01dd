"""The work of each parser grows no faster than its input, also with an input made to be hard.

Lines and calls of C functions are counted, not seconds. A call of C itself is bounded by the size
of its input, which the limits of requests bound.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from localcloud.aws import protocol
from localcloud.aws.errors import AwsError
from localcloud.aws.request_limits import check
from localcloud.aws.routing import Request, route
from localcloud.cloudformation import template
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudwatch import composite_rule, metric_math
from localcloud.codebuild import buildspec
from localcloud.core.archives import ArchiveError, Bounds, gunzip, tar_members
from localcloud.core.schedule_expression import ScheduleError, next_due
from localcloud.eventbridge import event_pattern
from localcloud.iam import policy_text
from tests.work import work

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
GROUP = {"Type": "AWS::Logs::LogGroup"}
WITH = {"Resources": {"A": GROUP}}
BOUNDS = Bounds(most_bytes=10**8)


def aliases(levels: int) -> str:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *lines])


def parsed(document: dict[str, Any]) -> None:
    template.parse.cache_clear()
    template.creation_order(template.parse(json.dumps(document)))


def yaml_parsed(text: str) -> None:
    template.parse.cache_clear()
    template.parse("Resources: {A: {Type: AWS::Logs::LogGroup}}\n" + text)


def event_matched(pattern: str, value: str) -> None:
    event_pattern._wildcard.cache_clear()
    event_pattern.wildcard_matches(pattern, value)


def policy_matched(pattern: str, value: str) -> None:
    policy_text._compiled.cache_clear()
    policy_text.wildcard_matches(pattern, value)


def chain(size: int) -> dict[str, Any]:
    return {"R0": GROUP} | {f"R{n}": GROUP | {"DependsOn": f"R{n - 1}"} for n in range(1, size)}


def conditions(size: int) -> dict[str, Any]:
    return {"C0": {"Fn::Equals": ["a", "a"]}} | {
        f"C{n}": {"Fn::And": [{"Condition": f"C{n - 1}"}] * 4} for n in range(1, size)
    }


def rendered(size: int) -> None:
    document = {"Resources": {"A": GROUP}, "Conditions": conditions(size)}
    renderer = Renderer(template.Template(document), {}, lambda name, attribute: "")
    renderer.condition(f"C{size - 1}")


def request(service: str, target: str, body: bytes) -> Request:
    scope = f"Credential=000000000000/20260101/us-east-1/{service}/aws4_request"
    headers = {"authorization": f"AWS4-HMAC-SHA256 {scope}"} | (
        {"x-amz-target": target} if target else {}
    )
    made = Request("POST", "/", "/", "", headers, body)
    route(made)
    return made


def json_request(size: int) -> None:
    tags = [{"Key": f"k{n}", "Value": "v"} for n in range(size)]
    body = json.dumps({"ResourceArn": "arn", "Tags": tags}).encode()
    made = request("sagemaker", "SageMaker.AddTags", body)
    with contextlib.suppress(AwsError):
        protocol.parse(made, "AddTags")


def query_request(size: int) -> None:
    fields = {"Action": "CreateStack", "StackName": "s", "TemplateBody": "{}"} | {
        f"Tags.member.{n + 1}.{key}": "v" for n in range(size) for key in ("Key", "Value")
    }
    made = request("cloudformation", "", urlencode(fields).encode())
    with contextlib.suppress(AwsError):
        protocol.parse(made, protocol.operation_name(made))


def xml_request(body: bytes) -> None:
    made = request("s3", "", body)
    made.method, made.path, made.query = "PUT", "/bucket", "tagging"
    with contextlib.suppress(AwsError):
        check(made)


def tar_of(size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(size):
            archive.addfile(tarfile.TarInfo(f"f{number}"))
    return buffer.getvalue()


def refused(call: Callable[[], object], *errors: type[Exception]) -> None:
    with contextlib.suppress(*errors):
        call()


Case = tuple[str, int, Callable[[int], Callable[[], object]]]

# The name of a parser with its input, the smallest size, and the call for a size.
CASES: list[Case] = [
    (
        "template, YAML",
        40,
        lambda n: lambda: yaml_parsed("Metadata: {a: [" + "{a: [b]}, " * n + "]}"),
    ),
    (
        "template, YAML of aliases",
        4,
        lambda n: lambda: refused(lambda: yaml_parsed(aliases(n)), template.TemplateError),
    ),
    (
        "template, deep YAML",
        500,
        lambda n: lambda: refused(lambda: yaml_parsed("a: " + "[" * n), template.TemplateError),
    ),
    (
        "template, JSON",
        40,
        lambda n: lambda: parsed(WITH | {"Metadata": {"a": [{}] * n}}),
    ),
    ("template, a chain of resources", 40, lambda n: lambda: parsed({"Resources": chain(n)})),
    (
        "template, many references",
        40,
        lambda n: lambda: template.references([{"Fn::Sub": "${A}${B.C}"}, {"Ref": "D"}] * n),
    ),
    ("template, a chain of conditions", 10, lambda n: lambda: rendered(n)),
    (
        "event pattern",
        40,
        lambda n: lambda: event_pattern.parse(json.dumps({"a": [{"prefix": "x"}] * n})),
    ),
    (
        "event pattern, wildcard",
        50,
        lambda n: lambda: event_matched("*a" * n + "b", "a" * 10 * n + "b"),
    ),
    (
        "IAM policy, wildcards",
        50,
        lambda n: lambda: policy_matched("*a?" * n + "b", "a" * 10 * n + "b"),
    ),
    (
        "cron expression, a far year",
        5,
        lambda n: lambda: next_due(f"cron(* * * * ? {2027 + n})", "UTC", NOW, NOW),
    ),
    (
        "cron expression, a day that never comes",
        5,
        lambda n: lambda: next_due(f"cron(0 0 29 2 ? 2025,{2101 - n})", "UTC", NOW, NOW),
    ),
    (
        "cron expression, long lists",
        20,
        lambda n: lambda: next_due(f"cron({','.join(['59'] * n)} 1 * * ? *)", "UTC", NOW, NOW),
    ),
    (
        "rate",
        1,
        lambda n: (
            lambda: refused(
                lambda: next_due(f"rate({10 ** (n % 10)} days)", "UTC", NOW, NOW), ScheduleError
            )
        ),
    ),
    (
        "composite alarm rule",
        20,
        lambda n: lambda: composite_rule.parse(" OR ".join(f"ALARM(a{k})" for k in range(n))),
    ),
    (
        "composite alarm rule, deep",
        20,
        lambda n: lambda: composite_rule.parse("NOT (" * (n // 2) + "TRUE" + ")" * (n // 2)),
    ),
    (
        "metric math",
        20,
        lambda n: lambda: metric_math.evaluate("+".join(["m"] * n), {"m": 1.0}),
    ),
    (
        "buildspec",
        40,
        lambda n: (
            lambda: buildspec.parse(
                "version: 0.2\nphases: {build: {commands: [" + "echo, " * n + "]}}"
            )
        ),
    ),
    (
        "buildspec of aliases",
        4,
        lambda n: (
            lambda: refused(
                lambda: buildspec.parse(f"{aliases(n)}\nversion: 0.2\nenv: *a{n - 1}"),
                buildspec.BuildspecError,
            )
        ),
    ),
    ("JSON request", 40, lambda n: lambda: json_request(n)),
    ("query request", 20, lambda n: lambda: query_request(n)),
    ("XML request", 40, lambda n: lambda: xml_request(b"<a>" + b"<b>c</b>" * n + b"</a>")),
    ("XML request, deep", 500, lambda n: lambda: xml_request(b"<a>" * n)),
    ("gzip", 10, lambda n: lambda: gunzip(gzip.compress(b"0000") * n, BOUNDS)),
    (
        "gzip, a bomb",
        10**6,
        lambda n: lambda: refused(lambda: gunzip(gzip.compress(bytes(n)), BOUNDS), ArchiveError),
    ),
    ("tar", 20, lambda n: lambda: tar_members(tar_of(n), BOUNDS)),
]


@pytest.mark.parametrize(("size", "made"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_work_grows_no_faster_than_the_input(
    size: int, made: Callable[[int], Callable[[], object]]
) -> None:
    made(size)()  # what is imported and compiled at the first call does not count
    small, large = work(made(size)), work(made(4 * size))
    assert large <= 6 * small


def test_the_count_tells_quadratic_work_from_linear_work() -> None:
    def quadratic(size: int) -> None:
        for first in range(size):
            for second in range(size):
                assert first + second >= 0

    assert work(lambda: quadratic(80)) > 6 * work(lambda: quadratic(20))
