"""CodePipeline: conditions of a stage, and the rules that they are made of."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud
from tests.pipelines import Pipelines, approval_action, invoke_action

CONDITIONS = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html"
ALARM = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-CloudWatchAlarm.html"
)
FUNCTION = (
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-LambdaInvoke.html"
)


def rule(provider: str, name: str = "Rule", **configuration: str) -> dict[str, Any]:
    return {
        "name": name,
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": configuration,
    }


def condition(kind: str, result: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"conditions": [{"result": result, "rules": list(rules)}]}}


def key_is(value: str, operator: str = "EQ", name: str = "Rule") -> dict[str, Any]:
    found = "#{Source.ObjectKey}"
    return rule("VariableCheck", name, Operator=operator, Variable=found, Value=value)


def stage(pipelines: Pipelines, name: str) -> dict[str, Any]:
    return dict(pipelines.client.get_pipeline_state(name=name)["stageStates"][1])


@pytest.mark.aws_documented(CONDITIONS)
def test_an_entry_condition_that_is_met_lets_the_execution_in(pipelines: Pipelines) -> None:
    met = condition(
        "beforeEntry",
        "FAIL",
        key_is("source.zip", name="One"),
        key_is("s.*zip", "MATCHES", "Two"),
        key_is("source", "CONTAINS", "Three"),
        key_is("other.zip", "NE", "Four"),
    )
    name = pipelines.make([approval_action()], stage_more=met)
    pipelines.answer(name, pipelines.token(name), "Approved")
    pipelines.until(name, "Succeeded")
    state = stage(pipelines, name)["beforeEntryConditionState"]
    assert state["latestExecution"]["status"] == "Succeeded"
    rules = state["conditionStates"][0]["ruleStates"]
    assert [r["latestExecution"]["status"] for r in rules] == ["Succeeded"] * 4


@pytest.mark.aws_documented(CONDITIONS)
def test_an_entry_condition_that_is_not_met_fails_and_can_be_overridden(
    pipelines: Pipelines,
) -> None:
    name = pipelines.make(
        [approval_action()],
        stage_more=condition("beforeEntry", "FAIL", key_is("other.zip"), key_is("x", name="Next")),
    )
    pipelines.until(name, "Failed")
    client = pipelines.client
    details = client.list_rule_executions(pipelineName=name)["ruleExecutionDetails"]
    # One that fails is the last.
    assert [(d["ruleName"], d["status"]) for d in details] == [("Rule", "Failed")]
    assert details[0]["input"]["resolvedConfiguration"]["Variable"] == "source.zip"
    message = details[0]["output"]["executionResult"]["errorDetails"]["message"]
    assert message == "'source.zip' EQ 'other.zip' is false"
    assert pipelines.action(name) == {}
    execution = pipelines.executions(name)[0]["pipelineExecutionId"]
    override = {"pipelineName": name, "stageName": "Stage1", "pipelineExecutionId": execution}
    with pytest.raises(ClientError) as caught:
        client.override_stage_condition(**override, conditionType="ON_SUCCESS")
    assert caught.value.response["Error"]["Code"] == "ConditionNotOverridableException"
    client.override_stage_condition(**override, conditionType="BEFORE_ENTRY")
    pipelines.answer(name, pipelines.token(name), "Approved")
    pipelines.until(name, "Succeeded")
    state = stage(pipelines, name)["beforeEntryConditionState"]
    assert state["latestExecution"]["status"] == "Overridden"


@pytest.mark.aws_documented(CONDITIONS)
def test_an_entry_condition_can_skip_its_stage(pipelines: Pipelines) -> None:
    skip = condition("beforeEntry", "SKIP", key_is("other.zip"))
    name = pipelines.make([approval_action()], [invoke_action("after")], stage_more=skip)
    pipelines.until(name, "Succeeded")
    assert stage(pipelines, name)["latestExecution"]["status"] == "Skipped"
    assert pipelines.action(name) == {}
    assert pipelines.action(name, "Stage2")["status"] == "Succeeded"


@pytest.mark.aws_documented(CONDITIONS)
def test_a_condition_on_success_rolls_a_stage_back(pipelines: Pipelines) -> None:
    colour = rule("VariableCheck", Operator="EQ", Variable="#{variables.Colour}", Value="blue")
    name = pipelines.make(
        [approval_action()],
        stage_more=condition("onSuccess", "ROLLBACK", colour),
        variables=[{"name": "Colour", "defaultValue": "blue"}],
    )
    token = pipelines.token(name)
    pipelines.answer(name, token, "Approved")
    pipelines.until(name, "Succeeded")
    pipelines.client.start_pipeline_execution(
        name=name, variables=[{"name": "Colour", "value": "red"}]
    )
    for _ in range(2):
        token = pipelines.next_token(name, token)
        pipelines.answer(name, token, "Approved")
    # The rollback's variables are the first execution's, so that its own condition is met.
    pipelines.until(name, "Succeeded", "Failed", "Succeeded")
    assert pipelines.executions(name)[2]["trigger"]["triggerType"] == "AutomatedRollback"


@pytest.mark.aws_documented(ALARM)
def test_an_alarm_rule_on_failure_rolls_back_only_while_the_alarm_is_on(
    cloud: TestCloud, pipelines: Pipelines
) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="condition-alarm",
        Namespace="Tests",
        MetricName="nothing",
        Statistic="Sum",
        Period=86400,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    watch = rule("CloudWatchAlarm", AlarmName="condition-alarm", WaitTime="1")
    name = pipelines.make([approval_action()], stage_more=condition("onFailure", "ROLLBACK", watch))
    token = pipelines.token(name)
    pipelines.answer(name, token, "Approved")
    pipelines.until(name, "Succeeded")

    def reject() -> None:
        nonlocal token
        token = pipelines.next_token(name, token)
        pipelines.answer(name, token, "Rejected")

    pipelines.client.start_pipeline_execution(name=name)
    reject()
    pipelines.until(name, "Succeeded", "Failed")
    state = stage(pipelines, name)["onFailureConditionState"]
    assert state["latestExecution"]["status"] == "Succeeded"
    cloudwatch.set_alarm_state(
        AlarmName="condition-alarm", StateValue="ALARM", StateReason="by the test"
    )
    pipelines.client.start_pipeline_execution(name=name)
    reject()
    pipelines.until(name, "Succeeded", "Failed", "Failed", "InProgress")
    assert pipelines.executions(name)[3]["executionType"] == "ROLLBACK"
    cloudwatch.delete_alarms(AlarmNames=["condition-alarm"])


@pytest.mark.aws_documented(FUNCTION)
def test_a_function_decides_as_a_rule_and_a_rule_that_cannot_run_is_an_error(
    pipelines: Pipelines,
) -> None:
    function = rule("LambdaInvoke", FunctionName="pipeline-job", UserParameters="fail")
    said = pipelines.make(
        [approval_action()], stage_more=condition("beforeEntry", "FAIL", function)
    )
    gone = rule("LambdaInvoke", FunctionName="no-such-function")
    broken = pipelines.make([approval_action()], stage_more=condition("beforeEntry", "FAIL", gone))
    pipelines.until(said, "Failed")
    pipelines.until(broken, "Failed")
    state = stage(pipelines, said)["beforeEntryConditionState"]["latestExecution"]
    assert state == {"status": "Failed", "summary": "Rule: no good"}
    state = stage(pipelines, broken)["beforeEntryConditionState"]["latestExecution"]
    assert state["status"] == "Errored"


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (condition("beforeEntry", "FAIL", rule("DeploymentWindow", Cron="x")), "DeploymentWindow"),
        (condition("beforeEntry", "ROLLBACK", key_is("x")), "beforeEntry: result ROLLBACK"),
        (condition("onSuccess", "SKIP", key_is("x")), "onSuccess: result SKIP"),
        (condition("onSuccess", "FAIL", rule("VariableCheck", Operator="EQ")), "lacks Variable"),
        (condition("onSuccess", "FAIL", key_is("x"), key_is("y")), "unique names"),
    ],
)
def test_a_condition_that_could_not_be_evaluated_is_refused(
    pipelines: Pipelines, more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as caught:
        pipelines.make([approval_action()], stage_more=more)
    assert caught.value.response["Error"]["Code"] == "InvalidStageDeclarationException"


@pytest.mark.botocore_modelled
def test_the_types_of_rules_and_actions_are_listed(pipelines: Pipelines) -> None:
    rules = pipelines.client.list_rule_types()["ruleTypes"]
    assert {r["id"]["provider"] for r in rules} == {
        "CloudWatchAlarm",
        "LambdaInvoke",
        "VariableCheck",
    }
    types = pipelines.client.list_action_types(actionOwnerFilter="AWS")["actionTypes"]
    s3 = next(t for t in types if t["id"]["provider"] == "S3")
    assert s3["outputArtifactDetails"] == {"minimumCount": 1, "maximumCount": 1}
    required = [p["name"] for p in s3["actionConfigurationProperties"] if p["required"]]
    assert required == ["S3Bucket", "S3ObjectKey"]
    assert pipelines.client.list_action_types(actionOwnerFilter="Custom")["actionTypes"] == []
