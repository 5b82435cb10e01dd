"""Latency of describe and list calls with 10, 100 and 1,000 existing resources.

    python -m benchmarks.describe [--calls 300]

It measures the local cloud and moto's server, interleaved. The goal is that the latency does not
grow with the number of resources. If moto's server does not have an operation, its column is empty.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.clouds import ROLE, Api, create_role, exit_on_sigterm, local_cloud, moto_server
from localcloud.cli.console import client

SIZES = (10, 100, 1000)
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/benchmark:1"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": f"sha256:{0:064}"},
        "layers": [],
    }
)
# (service, operation, parameters)
Call = tuple[str, str, dict[str, Any]]


def _model(name: str) -> dict[str, Any]:
    return {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}}


def _template(number: int) -> str:
    properties = {"LogGroupName": f"/benchmark/{number}"}
    return json.dumps(
        {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}}
    )


def pipeline(name: str, role: str = ROLE) -> dict[str, Any]:
    """Return a pipeline's declaration: a source action that fails, and an approval."""
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


# Creates the resource with a number.
Create = Callable[[Api, int], None]
# The measured calls, each with the function that creates one more resource for it.
MEASURED: dict[str, tuple[Call, Create]] = {
    "DescribeModel, models": (
        ("sagemaker", "DescribeModel", {"ModelName": "m0"}),
        lambda api, i: _ignore(api.call("sagemaker", "CreateModel", **_model(f"m{i}"))),
    ),
    "ListModels (10), models": (
        ("sagemaker", "ListModels", {"MaxResults": 10}),
        lambda api, i: None,
    ),
    "GetPipeline, pipelines": (
        ("codepipeline", "GetPipeline", {"name": "p0"}),
        lambda api, i: _ignore(
            api.call("codepipeline", "CreatePipeline", pipeline=pipeline(f"p{i}", api.role))
        ),
    ),
    "GetPipelineState, executions": (
        ("codepipeline", "GetPipelineState", {"name": "p0"}),
        lambda api, i: _ignore(api.call("codepipeline", "StartPipelineExecution", name="p0")),
    ),
    "ListPipelineExecutions (10), executions": (
        ("codepipeline", "ListPipelineExecutions", {"pipelineName": "p0", "maxResults": 10}),
        lambda api, i: None,
    ),
    "DescribeStacks (one), stacks": (
        ("cloudformation", "DescribeStacks", {"StackName": "s0"}),
        lambda api, i: _ignore(
            api.call("cloudformation", "CreateStack", StackName=f"s{i}", TemplateBody=_template(i))
        ),
    ),
}


def _ignore(response: str) -> None:
    del response


def latencies(api: Api, call: Call, calls: int) -> list[float]:
    """Return the latency of each call in milliseconds, in ascending order."""
    service, operation, parameters = call
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        api.call(service, operation, **parameters)
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found)


def main() -> None:
    """Create the resources in both clouds, measure both, interleaved, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    exit_on_sigterm()
    print(f"milliseconds, p50 / p99 of {options.calls} calls on one connection")
    print(f"{'':42} {'exist':>6} {'localcloud':>16} {'moto server':>16}")
    with local_cloud() as (url, _), moto_server() as (moto_url, _):
        clouds = {"localcloud": Api(url), "moto": Api(moto_url)}
        for name, address in (("localcloud", url), ("moto", moto_url)):
            clouds[name].role = create_role(address)
            ecr = client("ecr", address)
            ecr.create_repository(repositoryName="benchmark")
            ecr.put_image(repositoryName="benchmark", imageManifest=MANIFEST, imageTag="1")
        missing: set[tuple[str, str]] = set()
        existing = dict.fromkeys(MEASURED, 0)
        for size in SIZES:
            for title, (_, create) in MEASURED.items():
                for name, api in clouds.items():
                    try:
                        for i in range(existing[title], size):
                            create(api, i)
                    except RuntimeError:
                        missing.add((name, title))
                existing[title] = size
            time.sleep(5)  # until the started executions and stacks have ended
            for title, (call, _) in MEASURED.items():
                cells = {}
                for name, api in clouds.items():
                    try:
                        found = latencies(api, call, options.calls)
                    except RuntimeError:
                        missing.add((name, title))
                    if (name, title) not in missing:
                        p99 = found[int(len(found) * 0.99)]
                        cells[name] = f"{found[len(found) // 2]:.2f} / {p99:.2f}"
                line = " ".join(f"{cells.get(name, '-'):>16}" for name in clouds)
                print(f"{title:42} {size:6} {line}", flush=True)


if __name__ == "__main__":
    main()
