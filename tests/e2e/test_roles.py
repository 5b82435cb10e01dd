"""Each role of the lab may do what it does, and does what it may: on a cloud that enforces IAM.

The roles and their policies are read from the running cloud, not from the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, wait_for
from tests.e2e.conftest import (
    DEV,
    PRD,
    Lab,
    build_image,
    cloud_of_its_own,
    deployed,
    localcloud,
    localcloud_answer,
    needs_git,
)

pytestmark = [
    pytest.mark.slow,
    needs_git,
    pytest.mark.e2e,
    pytest.mark.aws_documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"
    ),
]

STACKS = ("mlops-deploy-iris-model-dev", "mlops-deploy-iris-model-prd")
MORNING = {"name": "morning", "schedule": "cron(0 7 * * ? *)", "min": 2, "max": 4}

# Whose permission is taken away last, and which: then CloudFormation cannot make the stack.
STACK_BREAKS = ("dev-deploy", "sagemaker:CreateModel")

_COMPARES = "CloudFormation reads what it made, to see whether it is as it should be"
_PARTS = "what is uploaded in parts needs it"
_INTERFACES = "containers and functions are connected to the VPC by network interfaces"
_TRACES = "X-Ray gets the traces of functions"
_ARTIFACTS = "CodePipeline looks whose a bucket is, and reads its artifacts by version"
# Granted actions that nothing needs here, and what does on AWS.
ONLY_ON_AWS = {
    "application-autoscaling:DescribeScalableTargets": _COMPARES,
    "application-autoscaling:DescribeScalingPolicies": _COMPARES,
    "application-autoscaling:DescribeScheduledActions": _COMPARES,
    "application-autoscaling:ListTagsForResource": _COMPARES,
    "application-autoscaling:TagResource": "CloudFormation may hand the tags of a stack on",
    "cloudformation:DeleteStack": "a first deployment to DEV that failed is replaced",
    "codecommit:CancelUploadArchive": "an execution that is stopped while it fetches the source",
    "cloudformation:DescribeStackResources": "CodePipeline follows a stack by its resources",
    **dict.fromkeys(
        (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "ec2:UnassignPrivateIpAddresses",
        ),
        _INTERFACES,
    ),
    "xray:PutTelemetryRecords": _TRACES,
    "xray:PutTraceSegments": _TRACES,
    "iam:CreateServiceLinkedRole": "the first scalable target of an account needs its role made",
    "s3:GetBucketAcl": _ARTIFACTS,
    "s3:GetBucketLocation": _ARTIFACTS,
    "s3:GetObjectTagging": "CodePipeline copies the tags of a source",
    "s3:GetObjectVersionTagging": "CodePipeline copies the tags of a source",
    "sagemaker:DeleteTags": "CloudFormation takes away tags that a template no longer has",
    "sagemaker:DescribeModel": _COMPARES,
    "sagemaker:ListTags": _COMPARES,
}
# The same for one role only: elsewhere these must be used.
ONLY_THERE_ON_AWS = {
    # Of the artifact store; of the sources they are used.
    ("pipeline", "s3:GetBucketVersioning"): _ARTIFACTS,
    ("pipeline", "s3:GetObjectVersion"): _ARTIFACTS,
    ("image-pipeline", "s3:GetBucketVersioning"): _ARTIFACTS,
    ("image-pipeline", "s3:GetObjectVersion"): _ARTIFACTS,
    ("image-pipeline", "s3:GetObject"): _ARTIFACTS,
    ("image-build", "s3:GetObjectVersion"): _ARTIFACTS,
    ("image-pipeline", "kms:Decrypt"): _PARTS,
    ("prd-execution", "kms:Decrypt"): _PARTS,
    # The stacks create the group; SageMaker is said to need the permission.
    ("dev-execution", "logs:CreateLogGroup"): "SageMaker makes the group unless it exists",
    ("prd-execution", "logs:CreateLogGroup"): "SageMaker makes the group unless it exists",
    # CheckData's job has made the group.
    ("dev-monitor-job", "logs:CreateLogGroup"): "SageMaker makes the group unless it exists",
    ("prd-monitor-job", "logs:CreateLogGroup"): "SageMaker makes the group unless it exists",
    # Of the alarm in the endpoint's stack.
    ("prd-deploy", "cloudwatch:DescribeAlarms"): _COMPARES,
    ("prd-deploy", "cloudwatch:ListTagsForResource"): _COMPARES,
    ("prd-deploy", "cloudwatch:TagResource"): "CloudFormation sets the tags of an alarm by itself",
    ("prd-deploy", "sagemaker:DescribeModelPackage"): "SageMaker reads the version of a new model",
    ("prd-deploy", "cloudwatch:UntagResource"): "CloudFormation takes away tags",
    # None of them fails here: CheckData stops the dataset that cannot train.
    ("train", "codepipeline:PutJobFailureResult"): "a function that fails reports it",
    ("evidence", "codepipeline:PutJobFailureResult"): "a function that fails reports it",
    ("promote", "codepipeline:PutJobFailureResult"): "a function that fails reports it",
    ("register", "codepipeline:PutJobFailureResult"): "a function that fails reports it",
    # Here only scaling asks for it, and this endpoint does not scale.
    ("dev-deploy", "sagemaker:DescribeEndpointConfig"): _COMPARES,
}

# Under keys of the stacks and with captured data, so that what these need is proved too.
# Roles have a path and a permissions boundary, as organisations require them.
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
SETTINGS = (
    *("encryption=aws:kms", "dataCapturePercent=100"),
    *("rolePath=/mlops/", f"permissionsBoundary={BOUNDARY}"),
    *('vpcSubnets=["subnet-01234567"]', 'vpcSecurityGroups=["sg-01234567"]'),
    *("functionConcurrency=2", "tracing=true", "imageScanSeverity=HIGH"),
    # Its partials are merged by a second job.
    "monitorInstanceCount=2",
)
OPTIONS = tuple(word for setting in SETTINGS for word in ("--config", setting))

FLOWERS = ("5.1,3.5,1.4,0.2", "6.7,3.0,5.2,2.3", "4.9,3.0,1.4,0.2")
# A model that trains and then answers every row of its validation wrong.
TRAIN = "".join(f"a,1.{n},0.{n}\nb,9.{n},8.{n}\n" for n in range(10))
WRONG = zip_of(
    {
        "train.csv": TRAIN,
        "validation.csv": "b,1.05,0.05\na,9.05,8.05\n",
        # Other columns than those of the model in production, on purpose.
        "data-contract.toml": 'schema_change = "allow"\n',
    }
)


def boundary(*lacking: str) -> dict[str, Any]:
    """Return a boundary that allows everything but some actions."""
    allowed = {"Effect": "Allow", "NotAction": ["iam:CreateUser", *lacking], "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [allowed]}


@dataclass(frozen=True, slots=True)
class Proof:
    """The calls of a lab's roles from its first stack to its last.

    Attributes:
        statuses: the final statuses of the executions.
        denied: the denied calls, by role.
        broken: the error of a later execution, which failed on purpose in CloudFormation.
        roles: the report of `localcloud iam` on each role at the end.
    """

    lab: Lab
    statuses: tuple[str, ...]
    denied: dict[str, Any]
    broken: tuple[str, ...]
    roles: dict[str, dict[str, Any]]


def roles_of(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return what `localcloud iam` says, by what the role is for."""
    answer = localcloud_answer(lab.cloud.url, "iam", "--json")
    assert answer.returncode in (0, 3), answer.stderr
    found = json.loads(answer.stdout)
    # mlops-iris-model-PURPOSE-us-east-1
    names = {role["role"]: role["role"].rpartition("/")[2] for role in found}
    return {
        names[role["role"]].removeprefix("mlops-iris-model-").removesuffix(f"-{REGION}"): role
        for role in found
    }


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory, iris: bytes) -> Iterator[Proof]:
    """A lab on an enforcing cloud: made, delivered twice, and its endpoints deleted again."""
    with cloud_of_its_own(tmp_path_factory.mktemp("iam"), speed=240.0, iam="enforce") as cloud:
        document = json.dumps(boundary())
        cloud.client("iam").create_policy(PolicyName="boundary", PolicyDocument=document)
        schedule = f"scheduledScaling={json.dumps([MORNING])}"
        lab = deployed(
            cloud, prd=("--config", schedule), both=OPTIONS, dev=("--config", "retrainOn=drift")
        )
        built = build_image(lab, tmp_path_factory.mktemp("source"))
        statuses = [built, lab.deliver(iris)]
        lab.ask_production(FLOWERS)
        # Without its schedule: the next delivery takes it away.
        localcloud(cloud.url, "up", "prd", *OPTIONS)
        statuses.append(lab.deliver(iris))
        monitored(lab)
        statuses.append(retrained(lab))
        statuses += [lab.ended(lab.upload(content)) for content in (zip_of({}), WRONG)]
        cloudformation = cloud.client("cloudformation")
        for stack in STACKS:
            cloudformation.delete_stack(StackName=stack)
        wait_for("the stacks to go", lambda: not cloudformation.describe_stacks()["Stacks"])
        denied = {name: r["missing"] for name, r in roles_of(lab).items() if r["missing"]}
        broken = reasons_without(lab, *STACK_BREAKS, "DeployDev", iris)
        yield Proof(lab, tuple(statuses), denied, broken, roles_of(lab))


def monitored(lab: Lab) -> None:
    """Wait until a run of the monitor of each endpoint has merged its partials."""
    sagemaker = lab.cloud.client("sagemaker")
    lab.cloud.advance(3_600)

    def merged(endpoint: str) -> bool:
        jobs = sagemaker.list_processing_jobs(
            NameContains=f"{endpoint}-monitor", StatusEquals="Completed", MaxResults=100
        )["ProcessingJobSummaries"]
        return any(job["ProcessingJobName"].endswith("-merge") for job in jobs)

    for endpoint in (DEV, PRD):
        wait_for(f"the monitor of {endpoint}", partial(merged, endpoint), 90)


def retrained(lab: Lab) -> str:
    """Have the alarm of drift go off twice; return how the execution that it started ended."""
    cloudwatch, codepipeline = lab.cloud.client("cloudwatch"), lab.cloud.client("codepipeline")
    functions = lab.cloud.client("logs")
    alarm = {"AlarmName": f"{PRD}-drift", "StateReason": "a drill"}

    def started() -> str | None:
        for one in codepipeline.list_pipeline_executions(pipelineName=lab.pipeline)[
            "pipelineExecutionSummaries"
        ]:
            if one["trigger"]["triggerType"] == "StartPipelineExecution":
                return str(one["pipelineExecutionId"])
        return None

    cloudwatch.set_alarm_state(**alarm, StateValue="ALARM")
    ended = lab.ended(wait_for("retraining", started, 30))
    cloudwatch.set_alarm_state(**alarm, StateValue="OK")
    cloudwatch.set_alarm_state(**alarm, StateValue="ALARM")
    wait_for(
        "the function to leave it at that",
        lambda: functions.filter_log_events(
            logGroupName="/aws/lambda/iris-model-retrain", filterPattern='"within the last"'
        )["events"],
        30,
    )
    return ended


def test_functions_and_jobs_are_as_the_settings_say(proof: Proof) -> None:
    cloud = proof.lab.cloud
    vpc = {"Subnets": ["subnet-01234567"], "SecurityGroupIds": ["sg-01234567"]}
    jobs = cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    for job in jobs:
        found = cloud.client("sagemaker").describe_training_job(
            TrainingJobName=job["TrainingJobName"]
        )
        assert (found["EnableNetworkIsolation"], found["VpcConfig"]) == (True, vpc)
    assert jobs
    for name in ("iris-model-train", "iris-model-smoke-test"):
        function = cloud.client("lambda").get_function(FunctionName=name)
        assert function["Concurrency"] == {"ReservedConcurrentExecutions": 2}
        shown = function["Configuration"]
        assert shown["TracingConfig"] == {"Mode": "Active"}
        assert shown["VpcConfig"]["SubnetIds"] == vpc["Subnets"]


def test_the_second_model_was_rehearsed_with_what_production_was_asked(proof: Proof) -> None:
    sagemaker = proof.lab.cloud.client("sagemaker")
    jobs = sagemaker.list_processing_jobs(StatusEquals="Completed", MaxResults=100)
    names = [job["ProcessingJobName"] for job in jobs["ProcessingJobSummaries"]]
    found = [sagemaker.describe_processing_job(ProcessingJobName=name) for name in names]
    (rehearsal, *_) = [
        job for job in found if job["AppSpecification"]["ContainerArguments"] == ["rehearse"]
    ]
    said = rehearsal["ExitMessage"]
    # The smoke test asks production, too: one request of 30 rows.
    assert said.startswith("33 rows of production's traffic: all answered as by the champion; p99 ")


def test_nothing_that_the_lab_does_is_denied(proof: Proof) -> None:
    # The image, two deliveries, a retrained model that is no better, and two broken datasets.
    assert proof.statuses == ("Succeeded",) * 3 + ("Failed",) * 3
    assert proof.denied == {}


def test_every_permission_of_every_role_is_used(proof: Proof) -> None:
    left = {(purpose, action) for purpose, role in proof.roles.items() for action in role["unused"]}
    assert left - ONLY_THERE_ON_AWS.keys() == {
        (purpose, action) for purpose, action in left if action in ONLY_ON_AWS
    }
    # What is listed is still granted, and still not used.
    assert {action for _, action in left} >= ONLY_ON_AWS.keys()
    assert left >= ONLY_THERE_ON_AWS.keys()


@pytest.mark.parametrize(
    ("purpose", "action"),
    [
        ("pipeline", "lambda:InvokeFunction"),
        ("train", "sagemaker:CreateTrainingJob"),
        ("training", "s3:GetObject"),
    ],
)
def test_a_role_that_lacks_an_action_stops_the_pipeline_and_is_named(
    proof: Proof, iris: bytes, purpose: str, action: str
) -> None:
    reasons = reasons_without(proof.lab, purpose, action, "Train", iris)
    assert any(denial(purpose, action) in reason for reason in reasons), reasons


def test_a_stack_whose_role_lacks_an_action_fails_and_names_it(proof: Proof) -> None:
    wanted = denial(*STACK_BREAKS)
    assert any(wanted in reason for reason in proof.broken), proof.broken


def test_an_action_that_the_boundary_lacks_is_denied_though_it_is_granted(
    proof: Proof, iris: bytes
) -> None:
    iam, lab = proof.lab.cloud.client("iam"), proof.lab
    action = "sagemaker:CreateTrainingJob"
    for role in iam.list_roles()["Roles"]:
        assert role["Path"] == "/mlops/"
        limit = iam.get_role(RoleName=role["RoleName"])["Role"]["PermissionsBoundary"]
        assert limit["PermissionsBoundaryArn"] == BOUNDARY
    version = iam.create_policy_version(
        PolicyArn=BOUNDARY, PolicyDocument=json.dumps(boundary(action)), SetAsDefault=True
    )["PolicyVersion"]["VersionId"]
    try:
        assert lab.ended(lab.upload(iris)) == "Failed"
    finally:
        iam.set_default_policy_version(PolicyArn=BOUNDARY, VersionId="v1")
        iam.delete_policy_version(PolicyArn=BOUNDARY, VersionId=version)
    message = lab.state("Train", "Train")["errorDetails"]["message"]
    assert denial("train", action) in message
    assert f"because no permissions boundary allows the {action} action" in message


def denial(purpose: str, action: str) -> str:
    """Return how AWS's text begins when a role's session, of whatever name, may not."""
    role = f"arn:aws:sts::{ACCOUNT}:assumed-role/mlops-iris-model-{purpose}-{REGION}"
    session = "iris-model-train" if purpose == "train" else "localcloud"
    return f"User: {role}/{session} is not authorized to perform: {action} on resource: arn:aws:"


def reasons_without(
    lab: Lab, purpose: str, action: str, stage: str, dataset: bytes
) -> tuple[str, ...]:
    """Take an action out of a role's policy; return why an execution then failed in a stage."""
    iam = lab.cloud.client("iam")
    grants = {"RoleName": f"mlops-iris-model-{purpose}-{REGION}", "PolicyName": "grants"}
    before = iam.get_role_policy(**grants)["PolicyDocument"]
    iam.put_role_policy(**grants, PolicyDocument=json.dumps(without(before, action)))
    try:
        assert lab.ended(lab.upload(dataset)) == "Failed"
    finally:
        iam.put_role_policy(**grants, PolicyDocument=json.dumps(before))
    state = lab.cloud.client("codepipeline").get_pipeline_state(name=lab.pipeline)
    actions = next(s for s in state["stageStates"] if s["stageName"] == stage)["actionStates"]
    found = [a["latestExecution"] for a in actions if "latestExecution" in a]
    return tuple(e["errorDetails"]["message"] for e in found if "errorDetails" in e)


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    """Return a policy document that grants an action nowhere."""
    statements = [
        {**statement, "Action": [name for name in statement["Action"] if name != action]}
        for statement in document["Statement"]
    ]
    return {**document, "Statement": [statement for statement in statements if statement["Action"]]}
