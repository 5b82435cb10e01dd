"""Roles on a cloud that enforces IAM, and on one that only records."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import (
    ACCOUNT,
    REGION,
    ROOT,
    TRUST,
    TestCloud,
    configured_url,
    local_cloud,
    push_container,
    wait_for,
)

URL = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"
pytestmark = pytest.mark.aws_documented(URL)

FUNCTION = """
import boto3
def handler(event, context):
    print("called")
    return boto3.client("sts").get_caller_identity()["Account"]
"""


@pytest.fixture(scope="module")
def enforcing() -> Iterator[TestCloud]:
    """A local cloud that denies what roles may not do."""
    if configured_url() is not None:
        pytest.skip("the mode of another endpoint cannot be set")
    with local_cloud(iam="enforce") as cloud:
        yield cloud


def role(cloud: TestCloud, name: str, *statements: dict[str, Any]) -> str:
    """Make a role that may do what the statements say."""
    iam = cloud.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    if statements:
        grant(cloud, name, *statements)
    return arn


def grant(cloud: TestCloud, name: str, *statements: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    cloud.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)


def allow(*actions: str, resource: str = "*", **rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **rest}


def acting(cloud: TestCloud, arn: str, service: str, **limits: Any) -> Any:
    """Return a client of what AssumeRole gives."""
    answer = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test", **limits)
    credentials = answer["Credentials"]
    return boto3.client(
        service,
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def text(name: str, action: str, resource: str) -> str:
    return (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/test is not authorized to perform: "
        f"{action} on resource: {resource} because no identity-based policy allows the {action} "
        "action"
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "resource", "code", "status"),
    [
        (
            "ssm",
            "get_parameter",
            {"Name": "/a"},
            "ssm:GetParameter",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a",
            "AccessDeniedException",
            400,
        ),
        (
            "sagemaker",
            "describe_endpoint",
            {"EndpointName": "e"},
            "sagemaker:DescribeEndpoint",
            f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/e",
            "AccessDeniedException",
            400,
        ),
        (
            "s3",
            "get_object",
            {"Bucket": "b", "Key": "k"},
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            "AccessDenied",
            403,
        ),
        (
            "sns",
            "publish",
            {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t", "Message": "m"},
            "sns:Publish",
            f"arn:aws:sns:{REGION}:{ACCOUNT}:t",
            "AccessDenied",
            403,
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f"},
            "lambda:InvokeFunction",
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f",
            "AccessDeniedException",
            403,
        ),
    ],
)
def test_what_no_policy_allows_is_denied_in_aws_words(
    enforcing: TestCloud,
    service: str,
    operation: str,
    parameters: dict[str, str],
    action: str,
    resource: str,
    code: str,
    status: int,
) -> None:
    name = f"none-{service}"
    client = acting(enforcing, role(enforcing, name), service)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**parameters)
    error = caught.value.response
    assert error["Error"]["Code"] == code
    assert error["Error"]["Message"] == text(name, action, resource)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == status


def test_an_explicit_deny_says_so(enforcing: TestCloud) -> None:
    deny = {"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}
    ssm = acting(enforcing, role(enforcing, "denied", allow("*"), deny), "ssm")
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        ssm.get_parameter(Name="/a")


def test_a_changed_policy_counts_at_once_and_an_attached_one_too(enforcing: TestCloud) -> None:
    enforcing.client("ssm").put_parameter(Name="/changed", Value="v", Type="String")
    ssm = acting(enforcing, role(enforcing, "changed", allow("ssm:PutParameter")), "ssm")
    with pytest.raises(ClientError, match="AccessDenied"):
        ssm.get_parameter(Name="/changed")
    grant(enforcing, "changed", allow("ssm:GetParameter"))
    assert ssm.get_parameter(Name="/changed")["Parameter"]["Value"] == "v"
    iam = enforcing.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("ssm:PutParameter")]})
    policy = iam.create_policy(PolicyName="attached", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="changed", PolicyArn=policy)
    ssm.put_parameter(Name="/changed", Value="w", Type="String", Overwrite=True)
    iam.detach_role_policy(RoleName="changed", PolicyArn=policy)
    with pytest.raises(ClientError, match="ssm:PutParameter"):
        ssm.put_parameter(Name="/changed", Value="x", Type="String", Overwrite=True)


def test_a_role_is_handed_over_only_by_who_may_pass_it(enforcing: TestCloud) -> None:
    passed = role(enforcing, "passed")
    arn = role(enforcing, "passes", allow("sagemaker:CreateModel"))
    image = push_container(enforcing, "handed-over")
    model = {
        "ModelName": "m",
        "ExecutionRoleArn": passed,
        "PrimaryContainer": {"Image": image},
    }
    sagemaker = acting(enforcing, arn, "sagemaker")
    with pytest.raises(ClientError, match=f"iam:PassRole on resource: {passed}"):
        sagemaker.create_model(**model)
    for service in ("lambda", "sagemaker"):
        condition = {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
        hand_over = allow("iam:PassRole", resource=passed, Condition=condition)
        grant(enforcing, "passes", allow("sagemaker:CreateModel"), hand_over)
        if service == "lambda":
            with pytest.raises(ClientError, match="iam:PassRole"):
                sagemaker.create_model(**model)
    assert sagemaker.create_model(**model)["ModelArn"].endswith(":model/m")


def test_who_may_execute_a_release_may_neither_make_one_nor_execute_another(
    enforcing: TestCloud,
) -> None:
    account = enforcing.client("cloudformation")
    # The stack's role may do nothing, so its resource is refused and the stack rolls back.
    stack_role = role(enforcing, "stack-of-change-set")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/by-role"}}
    request = {
        "StackName": "reviewed",
        "ChangeSetType": "CREATE",
        "TemplateBody": json.dumps({"Resources": {"A": group}}),
        "RoleARN": stack_role,
    }
    made = {name: account.create_change_set(ChangeSetName=name, **request)["Id"] for name in "ab"}
    for arn in made.values():
        account.get_waiter("change_set_create_complete").wait(
            ChangeSetName=arn, WaiterConfig={"Delay": 0.2, "MaxAttempts": 150}
        )
    named = {"StringEquals": {"cloudformation:ChangeSetName": "a"}}
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/reviewed/*"
    executes = allow("cloudformation:ExecuteChangeSet", resource=stack, Condition=named)
    creates = allow("cloudformation:CreateChangeSet", resource=stack)
    arn = role(enforcing, "executes-change-sets", executes, creates)
    client = acting(enforcing, arn, "cloudformation")
    with pytest.raises(ClientError, match=r"iam:PassRole on resource: .*stack-of-change-set"):
        client.create_change_set(ChangeSetName="c", **request)
    with pytest.raises(ClientError, match="perform: cloudformation:ExecuteChangeSet"):
        client.execute_change_set(StackName="reviewed", ChangeSetName="b")
    client.execute_change_set(StackName="reviewed", ChangeSetName="a")

    def rolled_back() -> bool:
        (found,) = account.describe_stacks(StackName="reviewed")["Stacks"]
        return bool(found["StackStatus"] == "ROLLBACK_COMPLETE")

    wait_for("the stack to roll back", rolled_back)
    events = account.describe_stack_events(StackName="reviewed")["StackEvents"]
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
    assert "logs:CreateLogGroup" in reasons


def test_an_object_under_a_key_needs_the_key_through_s3(enforcing: TestCloud) -> None:
    key = enforcing.client("kms").create_key()["KeyMetadata"]["Arn"]
    enforcing.client("kms").create_alias(AliasName="alias/data", TargetKeyId=key)
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="under-key")
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket="under-key",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )
    objects = allow("s3:*")
    client = acting(enforcing, role(enforcing, "keyed", objects), "s3")
    with pytest.raises(ClientError, match=f"kms:GenerateDataKey on resource: {key}"):
        client.put_object(Bucket="under-key", Key="k", Body=b"1")
    through = {
        "StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"},
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/data"},
    }
    use = allow("kms:GenerateDataKey", resource=key, Condition=through)
    grant(enforcing, "keyed", objects, use)
    client.put_object(Bucket="under-key", Key="k", Body=b"1")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        client.get_object(Bucket="under-key", Key="k")


def test_a_boundary_and_the_policies_of_a_session_limit_a_role(enforcing: TestCloud) -> None:
    iam, name = enforcing.client("iam"), "limited"
    arn = role(enforcing, name, allow("ssm:*"))
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("ssm:PutParameter")]})
    writing = iam.create_policy(PolicyName="writing", PolicyDocument=document)["Policy"]["Arn"]
    enforcing.client("ssm").put_parameter(Name="/limited", Value="v", Type="String")
    for limits in ({"Policy": document}, {"PolicyArns": [{"arn": writing}]}):
        ssm = acting(enforcing, arn, "ssm", **limits)
        ssm.put_parameter(Name="/limited", Value="w", Type="String", Overwrite=True)
        with pytest.raises(ClientError, match="because no session policy allows the ssm:GetPar"):
            ssm.get_parameter(Name="/limited")
    acting(enforcing, arn, "ssm").get_parameter(Name="/limited")
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=writing)
    with pytest.raises(ClientError, match="because no permissions boundary allows the ssm:GetPa"):
        acting(enforcing, arn, "ssm").get_parameter(Name="/limited")
    with pytest.raises(ClientError, match="Cannot delete a policy attached to entities"):
        iam.delete_policy(PolicyArn=writing)
    iam.delete_role_permissions_boundary(RoleName=name)
    acting(enforcing, arn, "ssm").get_parameter(Name="/limited")
    iam.delete_policy(PolicyArn=writing)
    limit = {"RoleName": name, "PermissionsBoundary": writing}
    with pytest.raises(ClientError, match=f"NoSuchEntity.*{writing}"):
        iam.put_role_permissions_boundary(**limit)
    with pytest.raises(ClientError, match=f"NoSuchEntity.*{writing}"):
        iam.create_role(**{**limit, "RoleName": "unmade"}, AssumeRolePolicyDocument=TRUST)


def test_a_role_assumes_another_only_if_that_one_trusts_it(enforcing: TestCloud) -> None:
    iam = enforcing.client("iam")
    target = role(enforcing, "trusting", allow("ssm:*"))
    arn = role(enforcing, "assuming", allow("sts:AssumeRole", resource=target))
    sts = acting(enforcing, arn, "sts")
    request = {"RoleArn": target, "RoleSessionName": "session", "ExternalId": "shared"}
    denied = f"not authorized to perform: sts:AssumeRole on resource: {target}$"
    with pytest.raises(ClientError, match=denied):
        sts.assume_role(**request)

    def trust(**more: Any) -> None:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **more}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.update_assume_role_policy(RoleName="trusting", PolicyDocument=document)

    external = {"StringEquals": {"sts:ExternalId": "shared"}}
    trust(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Condition=external)
    assert sts.assume_role(**request)["Credentials"]["AccessKeyId"].startswith("ASIA")
    with pytest.raises(ClientError, match=denied):
        sts.assume_role(**{**request, "ExternalId": "other"})
    # A trust policy that names the role is enough.
    iam.delete_role_policy(RoleName="assuming", PolicyName="p")
    with pytest.raises(ClientError, match=denied):
        sts.assume_role(**request)
    trust(Principal={"AWS": arn})
    sts.assume_role(**request)


def test_the_policy_of_a_bucket_allows_and_denies(enforcing: TestCloud) -> None:
    account = enforcing.client("s3")
    account.create_bucket(Bucket="with-policy")
    account.put_object(Bucket="with-policy", Key="team/a", Body=b"1")
    arn = role(enforcing, "reader")
    client = acting(enforcing, arn, "s3")

    def policy(*statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        account.put_bucket_policy(Bucket="with-policy", Policy=document)

    with pytest.raises(ClientError, match="no identity-based policy allows the s3:GetObject"):
        client.get_object(Bucket="with-policy", Key="team/a")
    objects = "arn:aws:s3:::with-policy/${aws:PrincipalTag/team}/*"
    by_bucket = allow("s3:GetObject", resource=objects, Principal={"AWS": arn})
    policy(by_bucket)
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        client.get_object(Bucket="with-policy", Key="team/a")
    enforcing.client("iam").tag_role(RoleName="reader", Tags=[{"Key": "team", "Value": "team"}])
    assert client.get_object(Bucket="with-policy", Key="team/a")["Body"].read() == b"1"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    policy(by_bucket, deny)
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        client.get_object(Bucket="with-policy", Key="team/a")


def function(cloud: TestCloud, name: str, role_arn: str) -> Any:
    """Make a function; return the client to invoke it."""
    client = cloud.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role_arn,
        Handler="main.handler",
        Code={"ZipFile": zip_of({"main.py": FUNCTION})},
    )
    return client


def test_a_function_acts_as_its_role(enforcing: TestCloud) -> None:
    arn = role(enforcing, "silent")
    client = function(enforcing, "silent", arn)
    assert json.loads(client.invoke(FunctionName="silent")["Payload"].read()) == ACCOUNT
    missing = wait_for(
        "the lines that it may not write",
        lambda: [c["action"] for c in calls(enforcing) if c["role"] == arn and not c["allowed"]],
    )
    assert missing == ["logs:CreateLogGroup"]
    groups = enforcing.client("logs").describe_log_groups()["logGroups"]
    assert "/aws/lambda/silent" not in [group["logGroupName"] for group in groups]


def test_a_role_of_another_account_acts_there(enforcing: TestCloud) -> None:
    arn = "arn:aws:iam::222222222222:role/there"
    with pytest.raises(ClientError, match="222222222222:parameter/a because no identity-based"):
        acting(enforcing, arn, "ssm").get_parameter(Name="/a")


def calls(cloud: TestCloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cloud.get("/_localcloud/iam/calls")[1])
    return found


def iam_command(cloud: TestCloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcloud", "iam", "--endpoint-url", cloud.url, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_iam_nothing_is_recorded() -> None:
    if configured_url() is not None:
        pytest.skip("the mode of another endpoint cannot be set")
    with local_cloud(iam="off") as cloud:
        cloud.client("ssm").put_parameter(Name="/off", Value="v", Type="String")
        ssm = acting(cloud, role(cloud, "off"), "ssm")
        assert ssm.get_parameter(Name="/off")["Parameter"]["Value"] == "v"
        assert calls(cloud) == []


def test_by_default_a_call_that_is_not_granted_is_recorded_and_done(cloud: TestCloud) -> None:
    if not cloud.ours:
        pytest.skip("the records are this local cloud's")
    cloud.client("ssm").put_parameter(Name="/recorded", Value="v", Type="String")
    arn = role(cloud, "recorded", allow("ssm:PutParameter", "ssm:GetParametersByPath"))
    ssm = acting(cloud, arn, "ssm")
    ssm.put_parameter(Name="/recorded", Value="w", Type="String", Overwrite=True)
    for _ in range(2):
        assert ssm.get_parameter(Name="/recorded")["Parameter"]["Value"] == "w"
    resource = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/recorded"
    assert [
        (c["action"], c["resource"], c["allowed"], c["count"])
        for c in calls(cloud)
        if c["role"] == arn
    ] == [
        ("ssm:PutParameter", resource, True, 1),
        ("ssm:GetParameter", resource, False, 2),
    ]
    answer = iam_command(cloud, "--json")
    assert answer.returncode == 3
    (said,) = [entry for entry in json.loads(answer.stdout) if entry["role"] == arn]
    assert (said["used"], said["missing"], said["unused"]) == (
        ["ssm:PutParameter"],
        [["ssm:GetParameter", resource]],
        ["ssm:GetParametersByPath"],
    )
    lines = [line.split() for line in iam_command(cloud).stdout.splitlines()]
    assert ["not", "granted", "ssm:GetParameter", "on", resource] in lines
    assert ["not", "used", "ssm:GetParametersByPath"] in lines
    request = urllib.request.Request(f"{cloud.url}/_localcloud/iam/calls", method="DELETE")
    with urllib.request.urlopen(request, timeout=10) as emptied:
        assert emptied.status == 200
    assert [c for c in calls(cloud) if c["role"] == arn] == []
    cloud.client("iam").delete_role_policy(RoleName="recorded", PolicyName="p")
    cloud.client("iam").delete_role(RoleName="recorded")


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("iam", "list_roles", "InvalidClientTokenId", 403),
        ("s3", "list_buckets", "InvalidAccessKeyId", 403),
        ("sagemaker", "list_models", "UnrecognizedClientException", 400),
        ("secretsmanager", "list_secrets", "UnrecognizedClientException", 400),
        ("lambda", "list_functions", "UnrecognizedClientException", 403),
    ],
)
def test_a_temporary_key_that_nobody_issued_is_refused(
    enforcing: TestCloud, service: str, operation: str, code: str, status: int
) -> None:
    client = boto3.client(
        service,
        endpoint_url=enforcing.url,
        region_name=REGION,
        aws_access_key_id="ASIAMADEUP0000000000",
        aws_secret_access_key="x",
        aws_session_token="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)()
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        code,
        status,
    )


def test_an_invocation_with_a_key_that_nobody_issued_is_refused(enforcing: TestCloud) -> None:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=enforcing.url,
        region_name=REGION,
        aws_access_key_id="ASIAMADEUP0000000000",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError, match="security token included in the request is invalid"):
        client.invoke_endpoint(EndpointName="any", Body=b"x")


def test_the_account_is_its_root_user(cloud: TestCloud) -> None:
    identity = cloud.client("sts").get_caller_identity()
    expected = (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT)
    assert (identity["Arn"], identity["Account"], identity["UserId"]) == expected


def test_a_model_without_a_key_stays_in_its_account(enforcing: TestCloud) -> None:
    """An object under `aws/s3` can be read by no other account, whatever its bucket allows."""
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="shared-models")
    other = "111111111111"
    everything = {"Effect": "Allow", "Principal": {"AWS": other}, "Action": "s3:GetObject"}
    policy = {**everything, "Resource": "arn:aws:s3:::shared-models/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    s3.put_bucket_policy(Bucket="shared-models", Policy=document)
    s3.put_object(Bucket="shared-models", Key="open", Body=b"1")
    s3.put_object(Bucket="shared-models", Key="managed", Body=b"1", ServerSideEncryption="aws:kms")
    theirs = boto3.Session(aws_access_key_id=other, aws_secret_access_key="t")
    iam = theirs.client("iam", endpoint_url=enforcing.url, region_name=REGION)
    reader = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "kms:Decrypt"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document)
    client = acting(enforcing, reader, "s3")
    assert client.get_object(Bucket="shared-models", Key="open")["Body"].read() == b"1"
    with pytest.raises(ClientError, match=r"kms:Decrypt on resource: .*alias/aws/s3"):
        client.get_object(Bucket="shared-models", Key="managed")


OTHER = "222222222222"


def test_a_version_is_another_accounts_only_by_its_groups_policy(enforcing: TestCloud) -> None:
    sagemaker, there = enforcing.client("sagemaker"), replace(enforcing, account=OTHER)
    image = push_container(enforcing, "shared")
    enforcing.client("s3").create_bucket(Bucket="shared-models")
    enforcing.client("s3").put_object(Bucket="shared-models", Key="model.tar.gz", Body=b"")
    sagemaker.create_model_package_group(ModelPackageGroupName="shared")
    container = {"Image": image, "ModelDataUrl": "s3://shared-models/model.tar.gz"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="shared",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    wait_for(
        "the version",
        lambda: (
            sagemaker.describe_model_package(ModelPackageName=arn)["ModelPackageStatus"]
            == "Completed"
        ),
    )
    role(
        there,
        "deployer",
        allow("sagemaker:CreateModel", "sagemaker:DescribeModelPackage"),
    )
    deployer = acting(there, f"arn:aws:iam::{OTHER}:role/deployer", "sagemaker")

    def deploys() -> None:
        deployer.create_model(ModelName="m", PrimaryContainer={"ModelPackageName": arn})

    def describes() -> None:
        deployer.describe_model_package(ModelPackageName=arn)

    for call, action in ((deploys, "CreateModel"), (describes, "DescribeModelPackage")):
        with pytest.raises(ClientError) as error:
            call()
        reason = f"because no resource-based policy allows the sagemaker:{action} action"
        assert reason in error.value.response["Error"]["Message"]
        assert arn in error.value.response["Error"]["Message"]
    share = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage"],
        "Resource": [f"{arn.rpartition('/')[0]}/*"],
    }
    sagemaker.put_model_package_group_policy(
        ModelPackageGroupName="shared",
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [share]}),
    )
    describes()
    deploys()
    # The role's own policies have to allow it, too.
    grant(there, "deployer", allow("sagemaker:CreateModel"))
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        describes()
