"""After a restart: a condition that was being evaluated goes on where it was."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from localcloud.aws.routing import Scope
from localcloud.codepipeline.actions.base import ActionContext, ActionOutcome
from localcloud.codepipeline.api import CodePipelineApi
from localcloud.codepipeline.history_api import HistoryApi
from localcloud.codepipeline.jobs_api import JobsApi
from localcloud.core.store import Database
from localcloud.service_context import ServiceContext
from tests.small_cloud import SmallCloud

pytestmark = pytest.mark.emulator_only

SCOPE = Scope("000000000000", "us-east-1")


def rule(name: str, provider: str, **configuration: str) -> dict[str, Any]:
    kind = {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "ruleTypeId": kind, "configuration": configuration}


def declaration() -> dict[str, Any]:
    def action(name: str, category: str, provider: str, **configuration: str) -> dict[str, Any]:
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        outputs = [{"name": "Data"}] if category == "Source" else []
        return {
            "name": name,
            "actionTypeId": kind,
            "configuration": configuration,
            "outputArtifacts": outputs,
        }

    source = action("Object", "Source", "S3", S3Bucket="b", S3ObjectKey="k")
    stack = action("Stack", "Deploy", "CloudFormation", ActionMode="DELETE_ONLY", StackName="s")

    rules = [
        rule("First", "VariableCheck", Operator="EQ", Variable="a", Value="a"),
        rule("Second", "LambdaInvoke", FunctionName="f"),
    ]
    return {
        "name": "p",
        "roleArn": "arn:aws:iam::000000000000:role/p",
        "artifactStore": {"type": "S3", "location": "b"},
        "pipelineType": "V2",
        "stages": [
            {"name": "Source", "actions": [source]},
            {
                "name": "Deploy",
                "beforeEntry": {"conditions": [{"result": "FAIL", "rules": rules}]},
                "actions": [stack],
            },
        ],
    }


class Functions:
    """A function that says nothing, or that its job is done."""

    def __init__(self) -> None:
        self.jobs: JobsApi | None = None
        self.invoked = 0

    async def invoke(self, scope: Scope, name: str, event: dict[str, Any], role: str) -> Any:
        del name, role
        self.invoked += 1
        if self.jobs is not None:
            job_id = event["CodePipeline.job"]["id"]
            self.jobs.put_job_success_result(scope, {"jobId": job_id})
        return SimpleNamespace(function_error=None, payload=b"")


async def succeed(context: ActionContext) -> ActionOutcome:
    del context
    return ActionOutcome()


def started(cloud: SmallCloud, functions: Functions) -> CodePipelineApi:
    nothing = cast(Any, None)
    providers = {("Source", "S3"): succeed, ("Deploy", "CloudFormation"): succeed}
    return CodePipelineApi(
        cast(ServiceContext, cloud), cast(Any, functions), nothing, nothing, nothing, providers
    )


def test_a_rule_that_was_running_runs_again_and_one_that_ended_does_not() -> None:
    loop = asyncio.new_event_loop()

    async def idle() -> None:
        for _ in range(40):
            await asyncio.sleep(0)

    database = Database(None)
    before, functions = SmallCloud(loop, database), Functions()
    api = started(before, functions)

    async def create() -> None:
        await api.create_pipeline(SCOPE, {"pipeline": declaration()})
        await idle()

    loop.run_until_complete(create())
    rules = HistoryApi(api).list_rule_executions(SCOPE, {"pipelineName": "p"})
    found = {d["ruleName"]: d for d in rules["ruleExecutionDetails"]}
    assert {n: d["status"] for n, d in found.items()} == {
        "First": "Succeeded",
        "Second": "InProgress",
    }
    assert functions.invoked == 1
    before.end()

    after, functions = SmallCloud(loop, database), Functions()
    api = started(after, functions)
    functions.jobs = JobsApi(cast(ServiceContext, after), api)

    async def resume() -> None:
        api.engine.resume()
        await idle()

    loop.run_until_complete(resume())
    (execution,) = api.engine.executions(api.pipeline(SCOPE, "p"))
    assert execution.status == "Succeeded"
    assert functions.invoked == 1
    rules = HistoryApi(api).list_rule_executions(SCOPE, {"pipelineName": "p"})
    again = {d["ruleName"]: d["ruleExecutionId"] for d in rules["ruleExecutionDetails"]}
    assert again == {name: d["ruleExecutionId"] for name, d in found.items()}
    after.end()
    database.close()
    loop.close()
