"""Pages of lists: of the asked size, whole together, and no token that the list did not give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, TRUST, TestCloud, local_cloud

pytestmark = pytest.mark.botocore_modelled

COUNT = 5
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/page-0"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:page-0"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:page-0"
TAGS = [{"Key": f"k{number}", "Value": "v"} for number in range(COUNT)]
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "layers": [],
}


def names() -> list[str]:
    return [f"page-{number}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def full() -> Iterator[TestCloud]:
    """A cloud with five of everything."""
    with local_cloud() as cloud:
        fill_iam(cloud.client("iam"))
        fill_storage(cloud)
        fill_events(cloud)
        yield cloud


def fill_iam(iam: Any) -> None:
    for name in names():
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=TAGS)
        iam.create_user(UserName=name, Tags=TAGS)
        iam.create_group(GroupName=name)
        iam.create_policy(PolicyName=name, PolicyDocument=POLICY, Tags=TAGS)
        iam.create_instance_profile(InstanceProfileName=name)
    for name in names():
        of_first = {"PolicyName": name, "PolicyDocument": POLICY}
        iam.put_role_policy(RoleName="page-0", **of_first)
        iam.put_user_policy(UserName="page-0", **of_first)
        iam.put_group_policy(GroupName="page-0", **of_first)
        iam.attach_role_policy(RoleName=name, PolicyArn=POLICY_ARN)
        iam.attach_user_policy(UserName=name, PolicyArn=POLICY_ARN)
        iam.attach_group_policy(GroupName=name, PolicyArn=POLICY_ARN)
        iam.add_user_to_group(UserName="page-0", GroupName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="page-0")
        if name != "page-0":
            arn = POLICY_ARN.replace("page-0", name)
            iam.attach_role_policy(RoleName="page-0", PolicyArn=arn)
            iam.add_user_to_group(UserName=name, GroupName="page-0")
            iam.create_policy_version(PolicyArn=POLICY_ARN, PolicyDocument=POLICY)


def fill_storage(cloud: TestCloud) -> None:
    ecr, ssm, kms = cloud.client("ecr"), cloud.client("ssm"), cloud.client("kms")
    secrets, s3 = cloud.client("secretsmanager"), cloud.client("s3")
    tags = [{"TagKey": tag["Key"], "TagValue": "v"} for tag in TAGS]
    for number, name in enumerate(names()):
        key = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
        ssm.put_parameter(Name=f"/page/{name}", Value="v", Type="String")
        ssm.put_parameter(Name="/page/page-0", Value=name, Type="String", Overwrite=True)
        ecr.create_repository(repositoryName=name)
        config = {"mediaType": "x", "size": 1, "digest": "sha256:" + str(number) * 64}
        manifest = json.dumps({**MANIFEST, "config": config})
        ecr.put_image(repositoryName="page-0", imageManifest=manifest, imageTag=name)
        secrets.create_secret(Name=name, SecretString="s")
        cloud.client("codecommit").create_repository(repositoryName=name)
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket="page-0", Key=name, Body=b"v")


def fill_events(cloud: TestCloud) -> None:
    logs, events, sns = cloud.client("logs"), cloud.client("events"), cloud.client("sns")
    for name in names():
        cloud.client("sqs").create_queue(QueueName=name)
        sns.create_topic(Name=name)
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=queue)
        events.put_rule(Name=name, ScheduleExpression="rate(5 minutes)")
        if name != "page-0":  # which has the most targets that a rule may have
            events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": QUEUE}])
        events.put_targets(Rule="page-0", Targets=[{"Id": name, "Arn": queue}])
        logs.create_log_group(logGroupName=name)
        metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
        logs.put_metric_filter(
            logGroupName="page-0",
            filterName=name,
            filterPattern="",
            metricTransformations=[metric],
        )
        cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{ACCOUNT}:role/page-0",
            Handler="handlers.handler",
            Code={"ZipFile": zip_of({"handlers.py": "def handler(event, context): return event"})},
        )


LISTS: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "ListRoles", {}),
    ("iam", "ListUsers", {}),
    ("iam", "ListGroups", {}),
    ("iam", "ListPolicies", {"Scope": "Local"}),
    ("iam", "ListInstanceProfiles", {}),
    ("iam", "ListPolicyVersions", {"PolicyArn": POLICY_ARN}),
    ("iam", "ListEntitiesForPolicy", {"PolicyArn": POLICY_ARN}),
    ("iam", "ListRolePolicies", {"RoleName": "page-0"}),
    ("iam", "ListRoleTags", {"RoleName": "page-0"}),
    ("iam", "ListAttachedRolePolicies", {"RoleName": "page-0"}),
    ("iam", "ListInstanceProfilesForRole", {"RoleName": "page-0"}),
    ("iam", "ListUserPolicies", {"UserName": "page-0"}),
    ("iam", "ListUserTags", {"UserName": "page-0"}),
    ("iam", "ListGroupsForUser", {"UserName": "page-0"}),
    ("iam", "ListGroupPolicies", {"GroupName": "page-0"}),
    ("iam", "GetGroup", {"GroupName": "page-0"}),
    ("kms", "ListKeys", {}),
    ("kms", "ListAliases", {}),
    ("ssm", "DescribeParameters", {}),
    ("ssm", "GetParametersByPath", {"Path": "/page"}),
    ("ssm", "GetParameterHistory", {"Name": "/page/page-0"}),
    ("ecr", "DescribeRepositories", {}),
    ("ecr", "DescribeImages", {"repositoryName": "page-0"}),
    ("ecr", "ListImages", {"repositoryName": "page-0"}),
    ("logs", "DescribeLogGroups", {}),
    ("logs", "DescribeMetricFilters", {"logGroupName": "page-0"}),
    ("secretsmanager", "ListSecrets", {}),
    ("sns", "ListTopics", {}),
    ("sns", "ListSubscriptions", {}),
    ("sns", "ListSubscriptionsByTopic", {"TopicArn": TOPIC}),
    ("sqs", "ListQueues", {}),
    ("events", "ListRules", {}),
    ("events", "ListTargetsByRule", {"Rule": "page-0"}),
    ("events", "ListRuleNamesByTarget", {"TargetArn": QUEUE}),
    ("codecommit", "ListRepositories", {}),
    ("codebuild", "ListProjects", {}),
    ("codebuild", "ListBuilds", {}),
    ("lambda", "ListFunctions", {}),
    ("s3", "ListBuckets", {}),
    ("s3", "ListObjectsV2", {"Bucket": "page-0"}),
    ("s3", "ListObjects", {"Bucket": "page-0"}),
    ("s3", "ListObjectVersions", {"Bucket": "page-0"}),
]
# Their tokens are keys, so that any text is one.
ANY_TOKEN = {"ListObjects", "ListObjectVersions"}


def entries(paginator: Any, answer: dict[str, Any]) -> list[str]:
    lists = [jmespath.search(key.expression, answer) for key in paginator.result_keys]
    # ListBuckets names the regions only in pages.
    return [
        json.dumps(entry, sort_keys=True, default=str).replace(f'"BucketRegion": "{REGION}", ', "")
        for found in lists
        if isinstance(found, list)
        for entry in found
    ]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"), LISTS, ids=[f"{s}-{o}" for s, o, _ in LISTS]
)
def test_pages_of_two_are_the_whole_list(
    full: TestCloud, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    client = full.client(service)
    paginator = client.get_paginator(xform_name(operation))
    pages = [entries(paginator, answer) for answer in paginator.paginate(**parameters)]
    whole = [entry for page in pages for entry in page]
    config: dict[str, Any] = client.get_paginator(xform_name(operation))._pagination_cfg
    if "limit_key" in config:
        size = {"PageSize": 2}
        pages = [
            entries(paginator, answer)
            for answer in paginator.paginate(**parameters, PaginationConfig=size)
        ]
        assert whole == [entry for page in pages for entry in page]
        assert [2] * (len(pages) - 1) == [len(page) for page in pages[:-1]]
        assert len(whole) >= COUNT - 1
    if operation in ANY_TOKEN:
        return
    token = config["input_token"]
    with pytest.raises(ClientError) as refused:
        getattr(client, xform_name(operation))(**parameters, **{token: "made-up-token"})
    assert 400 == refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_token_of_another_list_is_refused(full: TestCloud) -> None:
    iam = full.client("iam")
    marker = iam.list_roles(MaxItems=1)["Marker"]
    with pytest.raises(ClientError, match="ValidationError"):
        iam.list_users(Marker=marker)


def test_what_is_added_meanwhile_shifts_no_page(full: TestCloud) -> None:
    iam = full.client("iam")
    first = iam.list_groups(MaxItems=2)
    iam.create_group(GroupName="a-first")
    rest = iam.list_groups(Marker=first["Marker"])["Groups"]
    iam.delete_group(GroupName="a-first")
    seen = [group["GroupName"] for group in (*first["Groups"], *rest)]
    assert set(names()) <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_size_out_of_range_is_refused(full: TestCloud) -> None:
    with pytest.raises(ClientError, match="InvalidArgument"):
        full.client("s3").list_buckets(MaxBuckets=10_001)
