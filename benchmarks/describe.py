"""How long describing takes with 10, 100 and 1,000 things there, beside moto's server in turns.

    python benchmarks/describe.py [--calls 300]

Flat is the aim. Where moto's server has no such operation, its columns are empty.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.clouds import ROLE, Api, local_cloud, moto_server
from localcloud.cli.console import client

SIZES = (10, 100, 1000)
TRUST = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "codepipeline.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
)
# (service, operation, parameters)
Call = tuple[str, str, dict[str, Any]]


def _model(name: str) -> dict[str, Any]:
    return {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "a/b:1"}}


def _template(number: int) -> str:
    properties = {"LogGroupName": f"/benchmark/{number}"}
    return json.dumps(
        {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}}
    )


def pipeline(name: str, role: str = ROLE) -> dict[str, Any]:
    """Return a pipeline's declaration: a source that fails, an approval."""
    kind = {"owner": "AWS", "version": "1"}
    source = {
        "name": "Object",
        "actionTypeId": {**kind, "category": "Source", "provider": "S3"},
        "configuration": {
            "S3Bucket": "none",
            "S3ObjectKey": "none",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "Approve",
        "actionTypeId": {**kind, "category": "Approval", "provider": "Manual"},
    }
    return {
        "name": name,
        "roleArn": role,
        "artifactStore": {"type": "S3", "location": "none"},
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Approve", "actions": [approval]},
        ],
    }


# What is measured, and how one more thing of it is made.
Make = Callable[[Api, int], None]
MEASURED: dict[str, tuple[Call, Make]] = {
    "DescribeModel, models": (
        ("sagemaker", "DescribeModel", {"ModelName": "m0"}),
        lambda api, i: _drop(api.call("sagemaker", "CreateModel", **_model(f"m{i}"))),
    ),
    "ListModels (10), models": (
        ("sagemaker", "ListModels", {"MaxResults": 10}),
        lambda api, i: None,
    ),
    "GetPipeline, pipelines": (
        ("codepipeline", "GetPipeline", {"name": "p0"}),
        lambda api, i: _drop(
            api.call("codepipeline", "CreatePipeline", pipeline=pipeline(f"p{i}", api.role))
        ),
    ),
    "GetPipelineState, executions": (
        ("codepipeline", "GetPipelineState", {"name": "p0"}),
        lambda api, i: _drop(api.call("codepipeline", "StartPipelineExecution", name="p0")),
    ),
    "ListPipelineExecutions (10), executions": (
        ("codepipeline", "ListPipelineExecutions", {"pipelineName": "p0", "maxResults": 10}),
        lambda api, i: None,
    ),
    "DescribeStacks (one), stacks": (
        ("cloudformation", "DescribeStacks", {"StackName": "s0"}),
        lambda api, i: _drop(
            api.call("cloudformation", "CreateStack", StackName=f"s{i}", TemplateBody=_template(i))
        ),
    ),
}


def _drop(answer: str) -> None:
    del answer


def latencies(api: Api, call: Call, calls: int) -> list[float]:
    """Return the milliseconds of each call, in order of length."""
    service, operation, parameters = call
    found = []
    for _ in range(calls):
        began = time.perf_counter()
        api.call(service, operation, **parameters)
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def main() -> None:
    """Fill both, measure in turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    print(f"milliseconds, p50 / p99 of {options.calls} calls on one connection")
    print(f"{'':42} {'there':>6} {'localcloud':>16} {'moto server':>16}")
    with local_cloud() as (url, _), moto_server() as moto_url:
        clouds = {"localcloud": Api(url), "moto": Api(moto_url)}
        for name, address in (("localcloud", url), ("moto", moto_url)):
            made = client("iam", address).create_role(  # moto's pipelines ask for it
                RoleName="benchmark", Path="/service-role/", AssumeRolePolicyDocument=TRUST
            )
            clouds[name].role = made["Role"]["Arn"]
        missing: set[tuple[str, str]] = set()
        there = dict.fromkeys(MEASURED, 0)
        for size in SIZES:
            for what, (_, make) in MEASURED.items():
                for name, api in clouds.items():
                    try:
                        for i in range(there[what], size):
                            make(api, i)
                    except RuntimeError:
                        missing.add((name, what))
                there[what] = size
            time.sleep(5)  # what was started comes to rest
            for what, (call, _) in MEASURED.items():
                cells = {}
                for name, api in clouds.items():
                    try:
                        found = latencies(api, call, options.calls)
                    except RuntimeError:
                        missing.add((name, what))
                    if (name, what) not in missing:
                        p99 = found[int(len(found) * 0.99)]
                        cells[name] = f"{found[len(found) // 2]:.2f} / {p99:.2f}"
                line = " ".join(f"{cells.get(name, '-'):>16}" for name in clouds)
                print(f"{what:42} {size:6} {line}", flush=True)


if __name__ == "__main__":
    main()
