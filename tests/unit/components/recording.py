"""Runs the whole program against Pulumi's mocks and records what it registers.

Record first, then assert on plain values: an assertion inside ``apply`` can pass by never
running.
"""

import asyncio
import json
import os
import runpy
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import pulumi_aws as aws
import yaml
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import SETTINGS, get_root_resource
from pulumi.runtime.stack import Stack, run_pulumi_func

# pulumi_aws loads a module at its first use and warns about all deprecated classes in it then.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    _LOADED = (
        *(aws.budgets.Budget, aws.cloudwatch.LogGroup, aws.codebuild.Project),
        aws.cloudformation.Stack,
        *(aws.codecommit.Repository, aws.codepipeline.Pipeline, aws.ecr.Repository),
        *(aws.kms.Key, aws.lambda_.Function, aws.s3.Bucket, aws.ssm.Parameter),
    )

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "123456789012"
REGION = "us-east-1"
PRODUCTION_STACK = "organization/mlops-lab/prd"
# The outputs of the prd stack.
PRODUCTION_OUTPUTS = {
    "templateBucket": f"mlops-iris-model-template-prd-{ACCOUNT}-{REGION}",
    "templateKey": "template.zip",
    "deployRoleArn": f"arn:aws:iam::{ACCOUNT}:role/mlops-iris-model-prd-deploy-{REGION}",
    "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/mlops-iris-model-prd-execution-{REGION}",
    "endpointName": "iris-model-production",
    "stackName": "mlops-deploy-iris-model-prd",
    "encryptionKeyArn": "",
    "deliveryRoleArn": "",
    "invokeRoleArn": "",
    "imageArchitecture": "amd64",
}
_NAMES = ("name", "repositoryName", "dashboardName", "bucket", "key")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST")


@dataclass(frozen=True, slots=True)
class Registration:
    """One resource as the program registered it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    provider: str
    dependencies: tuple[str, ...]
    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """A short name for assertion messages."""
        return f"{self.type} {self.name}"


@dataclass
class Recording:
    """Everything that one run of the program registered, called and exported."""

    registrations: list[Registration] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def of(self, type_: str) -> list[Registration]:
        """Return the resources of a type, for example ``aws:s3/bucket:Bucket``."""
        return [r for r in self.registrations if r.type == type_]

    def one(self, type_: str, name: str | None = None) -> Registration:
        """Return the only resource of a type, or of a type and a logical name."""
        found = [r for r in self.of(type_) if name in (None, r.name)]
        assert len(found) == 1, [r.label for r in found]
        return found[0]


class _Mocks(Mocks):
    """Mocks the AWS answers that the program reads."""

    def __init__(
        self,
        recording: Recording,
        production_outputs: Mapping[str, str],
        deployed: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._recording = recording
        self._production_outputs = dict(production_outputs)
        self._deployed = deployed

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        self._recording.calls.append(args.token)
        if args.token == "aws:cloudformation/getStack:getStack":
            return self._stack(args.args["name"])
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {
                "accountId": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:root",
                "userId": ACCOUNT,
                "id": ACCOUNT,
            },
            "aws:index/getPartition:getPartition": {
                "partition": "aws",
                "dnsSuffix": "amazonaws.com",
                "reverseDnsPrefix": "com.amazonaws",
                "id": "aws",
            },
        }
        return answers[args.token], []

    def _stack(self, name: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if name not in self._deployed:
            return {}, [("name", f"Stack with id {name} does not exist")]
        body = json.dumps(self._deployed[name])
        return {"name": name, "outputs": {"EndpointName": "e"}, "templateBody": body}, []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            assert args.inputs["name"] == PRODUCTION_STACK
            outputs = {"outputs": self._production_outputs, "secretOutputNames": []}
            return args.name, {**args.inputs, **outputs}
        name = next((args.inputs[key] for key in _NAMES if key in args.inputs), args.name)
        return str(name), {**args.inputs, **_made_by_aws(args.typ, str(name), args.inputs)}


def _made_by_aws(type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    arns = {
        "aws:s3/bucket:Bucket": f"arn:aws:s3:::{name}",
        "aws:iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role{inputs.get('path', '/')}{name}",
        "aws:lambda/function:Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
        "aws:sns/topic:Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}",
        "aws:codepipeline/pipeline:Pipeline": f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{name}",
        "aws:kms/key:Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}",
        "aws:cloudwatch/metricAlarm:MetricAlarm": (
            f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
        ),
    }
    made: dict[str, Any] = {"arn": arns[type_]} if type_ in arns else {}
    if type_ == "aws:ecr/repository:Repository":
        made["repositoryUrl"] = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}"
    if type_ == "aws:codecommit/repository:Repository":
        made["cloneUrlHttp"] = f"https://git-codecommit.{REGION}.amazonaws.com/v1/repos/{name}"
    if type_ == "aws:kms/key:Key":
        made["keyId"] = name
    return made


class _Monitor(MockMonitor):
    """Records parents, providers and dependencies, which Pulumi does not pass to mocks."""

    def __init__(self, mocks: Mocks, recording: Recording) -> None:
        super().__init__(mocks)
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
            self._recording.registrations.append(
                Registration(
                    request.type,
                    request.name,
                    inputs,
                    request.parent,
                    request.provider,
                    tuple(sorted(request.dependencies)),
                    request.protect,
                    request.retainOnDelete,
                    tuple(request.ignoreChanges),
                )
            )
        return response


@cache
def recorded(stack: str) -> Recording:
    """Return the recording of a stack with its file's configuration; cached."""
    return record(stack)


def stack_config(stack: str) -> dict[str, str]:
    """Return a stack file's configuration as Pulumi passes it to a program: as strings."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in yaml.safe_load(text)["config"].items()
    }


def record(
    stack: str,
    changes: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    production: Mapping[str, str] = PRODUCTION_OUTPUTS,
    recording: Recording | None = None,
    deployed: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recording:
    """Run ``__main__.py`` as a stack.

    Args:
        stack: ``dev`` or ``prd``, whose file is read.
        changes: configuration over the file's; a key without a prefix is the project's.
        environ: environment variables that point the program at another endpoint.
        production: outputs of the production stack.
        recording: the recording to fill; it has what a program that fails has registered.
        deployed: the templates of the CloudFormation stacks that there are, by the stack's name.
    """
    recording = Recording() if recording is None else recording
    config = stack_config(stack)
    for key, value in (changes or {}).items():
        config[key if ":" in key else f"mlops-lab:{key}"] = value
    kept = {k: v for k, v in os.environ.items() if k not in _ENDPOINT_VARIABLES}
    with patch.dict(os.environ, {**kept, **(environ or {})}, clear=True):
        loops: list[asyncio.AbstractEventLoop] = []
        try:
            return asyncio.run(_record(recording, stack, config, production, deployed or {}, loops))
        finally:
            for loop in loops:
                loop.close()


async def _record(
    recording: Recording,
    stack: str,
    config: dict[str, str],
    production: Mapping[str, str],
    deployed: Mapping[str, Mapping[str, Any]],
    loops: list[asyncio.AbstractEventLoop],
) -> Recording:
    def own_loop() -> None:
        # Pulumi's mock monitor gives each worker thread an event loop and closes none of them.
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4, initializer=own_loop))
    pulumi.runtime.set_all_config(config)
    # By default, the production stack belongs to the same model.
    model = config.get("mlops-lab:modelName", "iris-model")
    outputs = {key: value.replace("iris-model", model) for key, value in production.items()}
    mocks = _Mocks(recording, outputs, deployed)
    monitor = _Monitor(mocks, recording)
    set_mocks(mocks, project="mlops-lab", stack=stack, preview=False, monitor=monitor)
    # A failed run leaves unfinished tasks of its closed event loop.
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    await run_pulumi_func(_program)
    root = get_root_resource()
    assert isinstance(root, Stack)
    recording.exports = await pulumi.Output.all(**root.outputs).future() or {}
    return recording


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
