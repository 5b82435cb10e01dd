"""The round trip of every member: what is written is read again, or is refused by name.

Each pair is an operation that writes and one that reads. Every member of the write, as botocore's
model has it, is sent by itself, filled to its leaves; the read returns each leaf, under its own
name or another one that is given here, or the write was refused.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError
from botocore.model import Shape

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, TestCloud, have_role, local_cloud
from tests.stamps import AHEAD_SECONDS, walls_times

pytestmark = pytest.mark.botocore_modelled

ROLE = f"arn:aws:iam::{ACCOUNT}:role/round-trip"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000001"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:round-trip"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:round-trip"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/round-trip"
DESTINATION = f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/round-trip/1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:round-trip"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
PAIRS_OF_TAGS = {"Tags": [{"Key": "a", "Value": "b"}], "tags": [{"key": "a", "value": "b"}]}
LIFECYCLE = "LifecycleConfiguration"

_numbers = count(1)

Params = Mapping[str, Any]
Read = Callable[[Params, Params], dict[str, Any]]


def name() -> str:
    return f"round-trip-{next(_numbers)}"


@dataclass(frozen=True)
class Pair:
    """An operation that writes, the one that reads, and valid values of members.

    Attributes:
        of: returns the parameters of the read, from those of the write and its response.
        values: a member's name or path → its value, or a function that returns it.
        base: members that a valid write needs, beside the required ones.
        before: an operation and the members of the write that it takes.
        tags: the operation that lists the tags, and its parameters.
        silent: members that ask for something that no read returns.
    """

    service: str
    write: str
    read: str
    of: Read
    values: Params = field(default_factory=dict)
    base: Params = field(default_factory=dict)
    before: tuple[str, Mapping[str, Any]] | None = None
    tags: tuple[str, Read] | None = None
    silent: tuple[str, ...] = ()


def same(*members: str) -> Read:
    return lambda sent, answer: {member: sent[member] for member in members}


def of(member: str, *path: str) -> Read:
    def read(sent: Params, answer: Params) -> dict[str, Any]:
        value: Any = answer
        for part in path:
            value = value[part]
        return {member: value}

    return read


def listed(member: str, of_member: str) -> Read:
    return lambda sent, answer: {member: [sent[of_member]]}


RULE = {"ID": "r", "Status": "Enabled", "Expiration": {"Days": 3}}
RULES: list[dict[str, Any]] = [
    {"Filter": {"Prefix": "p"}},
    {"Filter": {"ObjectSizeGreaterThan": 500}},
    {"Filter": {"ObjectSizeLessThan": 600}},
    {"Filter": {"Tag": {"Key": "a", "Value": "b"}}},
    {
        "Filter": {
            "And": {
                "Prefix": "p",
                "ObjectSizeGreaterThan": 500,
                "ObjectSizeLessThan": 600,
                "Tags": [{"Key": "a", "Value": "b"}],
            }
        }
    },
    {"Prefix": "old"},
    {"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
    {
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
    },
    {"Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 4}},
]
ALARM: dict[str, Any] = {
    "AlarmName": name,
    "MetricName": "m",
    "Namespace": "n",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC],
    "InsufficientDataActions": [TOPIC],
    "TreatMissingData": "breaching",
    "Unit": "Count",
    "Dimensions": [{"Name": "a", "Value": "b"}],
    "EvaluateLowSampleCountPercentile": "ignore",
    **PAIRS_OF_TAGS,
}
_BASE_OF_ALARM = {"MetricName", "Namespace", "Statistic", "Period", "Threshold"}
_BASE_OF_ALARM |= {"EvaluationPeriods", "ComparisonOperator"}
PROJECT: dict[str, Any] = {
    "name": name,
    "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "A", "value": "B", "type": "PLAINTEXT"}],
        "privilegedMode": True,
        "imagePullCredentialsType": "CODEBUILD",
    },
    "serviceRole": ROLE,
    "timeoutInMinutes": 10,
    "queuedTimeoutInMinutes": 10,
    "encryptionKey": KEY,
    "vpcConfig": {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
    "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "g"}},
    "cache": {"type": "LOCAL", "modes": ["LOCAL_SOURCE_CACHE"]},
    "secondarySources": [{"type": "S3", "location": "b/k", "sourceIdentifier": "s1"}],
    "secondaryArtifacts": [{"type": "S3", "location": "b", "artifactIdentifier": "a1"}],
    "secondarySourceVersions": [{"sourceIdentifier": "s1", "sourceVersion": "v"}],
    "fileSystemLocations": [{"type": "EFS", "location": "l", "mountPoint": "/m"}],
    "badgeEnabled": True,
    **PAIRS_OF_TAGS,
}
REPOSITORY = ("CreateRepository", {"repositoryName": "repositoryName"})
GROUP = ("CreateLogGroup", {"logGroupName": "logGroupName"})
BUCKET: dict[str, Any] = {"Bucket": name, "ExpectedBucketOwner": ACCOUNT}
OF_S3 = ("ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "MFA", "Token")
HAVE_BUCKET = ("CreateBucket", {"Bucket": "Bucket"})


def of_bucket(what: str, member: str, value: Any) -> Pair:
    values = {**BUCKET, member: value}
    write, read = f"Put{what}", f"Get{what}"
    base = {member: value}
    return Pair("s3", write, read, same("Bucket"), values, base, HAVE_BUCKET, silent=OF_S3)


def of_targets(**more: Any) -> Pair:
    target = {"Id": "t", "Arn": FUNCTION, **more}
    values = {"Rule": name, "Targets": [target]}
    rule = ("PutRule", {"Name": "Rule", "ScheduleExpression": {"is": "rate(5 minutes)"}})
    silent = ("EventBusName",)
    return Pair("events", "PutTargets", "ListTargetsByRule", same("Rule"), values, {}, rule, None,
                silent)  # fmt: skip


PAIRS = [
    Pair(
        "iam",
        "CreateRole",
        "GetRole",
        same("RoleName"),
        {
            "RoleName": name,
            "Path": "/p/",
            "AssumeRolePolicyDocument": TRUST,
            "PermissionsBoundary": POLICY_ARN,
            "MaxSessionDuration": 7200,
            **PAIRS_OF_TAGS,
        },
    ),
    Pair(
        "iam",
        "CreateUser",
        "GetUser",
        same("UserName"),
        {"UserName": name, "Path": "/p/", "PermissionsBoundary": POLICY_ARN, **PAIRS_OF_TAGS},
    ),
    Pair(
        "iam",
        "CreatePolicy",
        "GetPolicy",
        of("PolicyArn", "Policy", "Arn"),
        {"PolicyName": name, "Path": "/p/", "PolicyDocument": POLICY, **PAIRS_OF_TAGS},
    ),
    Pair(
        "iam",
        "CreateGroup",
        "GetGroup",
        same("GroupName"),
        {"GroupName": name, "Path": "/p/"},
    ),
    Pair(
        "iam",
        "CreateInstanceProfile",
        "GetInstanceProfile",
        same("InstanceProfileName"),
        {"InstanceProfileName": name, "Path": "/p/", **PAIRS_OF_TAGS},
    ),
    Pair(
        "iam",
        "UpdateRole",
        "GetRole",
        same("RoleName"),
        {"RoleName": name, "MaxSessionDuration": 7200},
        before=(
            "CreateRole",
            {"RoleName": "RoleName", "AssumeRolePolicyDocument": {"is": TRUST}},
        ),
    ),
    Pair(
        "kms",
        "CreateKey",
        "DescribeKey",
        of("KeyId", "KeyMetadata", "KeyId"),
        {
            "KeyUsage": "ENCRYPT_DECRYPT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "Origin": "AWS_KMS",
            "Tags": [{"TagKey": "a", "TagValue": "b"}],
        },
        tags=("ListResourceTags", of("KeyId", "KeyMetadata", "KeyId")),
        silent=("Policy", "BypassPolicyLockoutSafetyCheck", "CustomKeyStoreId", "XksKeyId"),
    ),
    Pair(
        "sns",
        "CreateTopic",
        "GetTopicAttributes",
        of("TopicArn", "TopicArn"),
        {
            "Name": name,
            "Attributes": {
                "DisplayName": "d",
                "KmsMasterKeyId": KEY,
                "TracingConfig": "Active",
                "SignatureVersion": "2",
                "HTTPSuccessFeedbackSampleRate": "0",
                "SQSFailureFeedbackRoleArn": ROLE,
            },
            **PAIRS_OF_TAGS,
        },
        tags=("ListTagsForResource", of("ResourceArn", "TopicArn")),
    ),
    Pair(
        "sns",
        "Subscribe",
        "GetSubscriptionAttributes",
        of("SubscriptionArn", "SubscriptionArn"),
        {
            "TopicArn": TOPIC,
            "Protocol": "sqs",
            "Endpoint": QUEUE,
            "Attributes": {
                "RawMessageDelivery": "true",
                "FilterPolicy": json.dumps({"a": ["b"]}),
                "FilterPolicyScope": "MessageBody",
                "RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE}),
            },
        },
        base={"Endpoint": QUEUE},
        silent=("ReturnSubscriptionArn",),
    ),
    Pair(
        "sqs",
        "CreateQueue",
        "GetQueueAttributes",
        lambda sent, answer: {"QueueUrl": answer["QueueUrl"], "AttributeNames": ["All"]},
        {
            "QueueName": name,
            "Attributes": {
                "DelaySeconds": "5",
                "MaximumMessageSize": "2048",
                "MessageRetentionPeriod": "120",
                "ReceiveMessageWaitTimeSeconds": "3",
                "VisibilityTimeout": "31",
                "KmsMasterKeyId": "alias/aws/sqs",
                "KmsDataKeyReusePeriodSeconds": "120",
                "Policy": POLICY,
                "RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE, "maxReceiveCount": 3}),
            },
            "tags": {"a": "b"},
        },
        tags=("ListQueueTags", of("QueueUrl", "QueueUrl")),
    ),
    Pair(
        "logs",
        "CreateLogGroup",
        "DescribeLogGroups",
        lambda sent, answer: {"logGroupNamePrefix": sent["logGroupName"]},
        {
            "logGroupName": name,
            "kmsKeyId": KEY,
            "tags": {"a": "b"},
            "logGroupClass": "INFREQUENT_ACCESS",
        },
        tags=(
            "ListTagsForResource",
            lambda sent, answer: {
                "resourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{sent['logGroupName']}"
            },
        ),
    ),
    Pair(
        "logs",
        "PutRetentionPolicy",
        "DescribeLogGroups",
        lambda sent, answer: {"logGroupNamePrefix": sent["logGroupName"]},
        {"logGroupName": name, "retentionInDays": 30},
        before=GROUP,
    ),
    Pair(
        "logs",
        "PutMetricFilter",
        "DescribeMetricFilters",
        same("logGroupName"),
        {
            "logGroupName": name,
            "filterName": name,
            "filterPattern": "ERROR",
            "metricValue": "1",
            "dimensions": {"d": "$.x"},
        },
        before=GROUP,
    ),
    Pair(
        "logs",
        "PutSubscriptionFilter",
        "DescribeSubscriptionFilters",
        same("logGroupName"),
        {
            "logGroupName": name,
            "filterName": name,
            "filterPattern": "ERROR",
            "destinationArn": FUNCTION,
            "roleArn": ROLE,
        },
        before=GROUP,
    ),
    Pair(
        "ssm",
        "PutParameter",
        "DescribeParameters",
        lambda sent, answer: {"ParameterFilters": [{"Key": "Name", "Values": [sent["Name"]]}]},
        {
            "Name": name,
            "Value": "v",
            "Type": "String",
            "AllowedPattern": "v+",
            "DataType": "text",
            "Overwrite": False,
            "Policies": "[]",
            **PAIRS_OF_TAGS,
        },
        base={"Type": "String"},
        tags=(
            "ListTagsForResource",
            lambda sent, answer: {"ResourceType": "Parameter", "ResourceId": sent["Name"]},
        ),
        silent=("Overwrite",),
    ),
    Pair(
        "secretsmanager",
        "CreateSecret",
        "DescribeSecret",
        of("SecretId", "ARN"),
        {"Name": name, "KmsKeyId": KEY, **PAIRS_OF_TAGS},
        silent=(
            "AddReplicaRegions",
            "ClientRequestToken",
            "ForceOverwriteReplicaSecret",
            "SecretBinary",
            "SecretString",
        ),
    ),
    Pair(
        "ecr",
        "CreateRepository",
        "DescribeRepositories",
        listed("repositoryNames", "repositoryName"),
        {
            "repositoryName": name,
            "registryId": ACCOUNT,
            "imageTagMutability": "IMMUTABLE",
            "encryptionType": "KMS",
            "kmsKey": KEY,
            **PAIRS_OF_TAGS,
        },
        tags=("ListTagsForResource", of("resourceArn", "repository", "repositoryArn")),
        silent=("imageTagMutabilityExclusionFilters",),
    ),
    Pair(
        "ecr",
        "PutLifecyclePolicy",
        "GetLifecyclePolicy",
        same("repositoryName"),
        {
            "repositoryName": name,
            "registryId": ACCOUNT,
            "lifecyclePolicyText": json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "imageCountMoreThan",
                                "countNumber": 3,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
        },
        before=REPOSITORY,
    ),
    Pair(
        "codecommit",
        "CreateRepository",
        "GetRepository",
        same("repositoryName"),
        {"repositoryName": name, "kmsKeyId": KEY, "tags": {"a": "b"}},
        tags=("ListTagsForResource", of("resourceArn", "repositoryMetadata", "Arn")),
    ),
    Pair(
        "events",
        "PutRule",
        "DescribeRule",
        same("Name"),
        {
            "Name": name,
            "ScheduleExpression": "rate(5 minutes)",
            "EventPattern": '{"source":["a"]}',
            "RoleArn": ROLE,
            "EventBusName": "default",
            "State": "DISABLED",
            **PAIRS_OF_TAGS,
        },
        base={"ScheduleExpression": "rate(5 minutes)"},
        tags=("ListTagsForResource", of("ResourceARN", "RuleArn")),
    ),
    of_targets(Input="{}"),
    of_targets(InputPath="$.detail"),
    of_targets(
        InputTransformer={"InputPathsMap": {"a": "$.detail"}, "InputTemplate": '{"a": <a>}'}
    ),
    of_targets(RoleArn=ROLE),
    of_targets(DeadLetterConfig={"Arn": QUEUE}),
    of_targets(RetryPolicy={"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 100}),
    of_targets(SqsParameters={"MessageGroupId": "g"}),
    of_targets(Arn=DESTINATION, HttpParameters={"PathParameterValues": ["p"]}),
    Pair(
        "cloudwatch",
        "PutMetricAlarm",
        "DescribeAlarms",
        listed("AlarmNames", "AlarmName"),
        {**ALARM, "ExtendedStatistic": "p90"},
        {k: v for k, v in ALARM.items() if k in _BASE_OF_ALARM},
        tags=(
            "ListTagsForResource",
            lambda sent, answer: {
                "ResourceARN": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{sent['AlarmName']}"
            },
        ),
    ),
    Pair(
        "cloudwatch",
        "PutCompositeAlarm",
        "DescribeAlarms",
        lambda sent, answer: {
            "AlarmNames": [sent["AlarmName"]],
            "AlarmTypes": ["CompositeAlarm"],
        },
        {**ALARM, "AlarmRule": "TRUE"},
        tags=(
            "ListTagsForResource",
            lambda sent, answer: {
                "ResourceARN": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{sent['AlarmName']}"
            },
        ),
    ),
    Pair(
        "cloudwatch",
        "PutDashboard",
        "GetDashboard",
        same("DashboardName"),
        {"DashboardName": name, "DashboardBody": '{"widgets":[]}'},
    ),
    Pair("codebuild", "CreateProject", "BatchGetProjects", listed("names", "name"), PROJECT),
    Pair(
        "codebuild",
        "UpdateProject",
        "BatchGetProjects",
        listed("names", "name"),
        PROJECT,
        before=(
            "CreateProject",
            {
                "name": "name",
                **{
                    member: {"is": PROJECT[member]}
                    for member in ("source", "artifacts", "environment", "serviceRole")
                },
            },
        ),
    ),
    *(
        of_bucket("BucketLifecycleConfiguration", LIFECYCLE, {"Rules": [{**RULE, **rule}]})
        for rule in RULES
    ),
    of_bucket("BucketVersioning", "VersioningConfiguration", {"Status": "Enabled"}),
    of_bucket(
        "BucketEncryption",
        "ServerSideEncryptionConfiguration",
        {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": KEY,
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        },
    ),
    of_bucket(
        "BucketCors",
        "CORSConfiguration",
        {
            "CORSRules": [
                {
                    "ID": "i",
                    "AllowedHeaders": ["*"],
                    "AllowedMethods": ["GET"],
                    "AllowedOrigins": ["*"],
                    "ExposeHeaders": ["x"],
                    "MaxAgeSeconds": 3,
                }
            ]
        },
    ),
    of_bucket("BucketTagging", "Tagging", {"TagSet": [{"Key": "a", "Value": "b"}]}),
    of_bucket(
        "PublicAccessBlock",
        "PublicAccessBlockConfiguration",
        {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True},
    ),
    of_bucket(
        "BucketOwnershipControls",
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    ),
    of_bucket(
        "BucketWebsite",
        "WebsiteConfiguration",
        {"IndexDocument": {"Suffix": "i.html"}, "ErrorDocument": {"Key": "e"}},
    ),
    of_bucket("BucketAccelerateConfiguration", "AccelerateConfiguration", {"Status": "Enabled"}),
]


class Walk:
    """The requests of one pair, member by member."""

    def __init__(self, pair: Pair, cloud: TestCloud) -> None:
        self.pair = pair
        self._client = cloud.client(pair.service)
        model = self._client.meta.service_model
        self._input = model.operation_model(pair.write).input_shape

    def members(self) -> list[str]:
        return [
            member
            for member, shape in self._input.members.items()
            if member not in self.pair.silent
            and (
                member not in self._input.required_members
                or shape.type_name in ("structure", "list", "map")
            )
        ]

    def lost(self, member: str) -> list[str]:
        """Send one member; return the paths of its leaves that do not come back."""
        sent = self._fill(self._input, "", required=True)
        sent |= {k: _called(v) for k, v in self.pair.base.items()}
        self._before(sent)
        sent[member] = self._fill(self._input.members[member], member)
        try:
            answer = self._call(self.pair.write, sent)
        except (ClientError, ParamValidationError) as error:
            return [str(error)] if "InternalFailure" in str(error) else []
        found = [self._call(self.pair.read, self.pair.of(sent, answer))]
        if self.pair.tags is not None and member.lower() == "tags":
            operation, parameters = self.pair.tags
            found.append(self._call(operation, parameters(sent, answer)))
        return [
            ".".join(path)
            for path, value in _leaves(sent[member], (member,))
            if not _has(found, path[-1] if path[-1] != "*" else path[-2], value)
        ]

    def base_is_valid(self) -> None:
        sent = self._fill(self._input, "", required=True)
        sent |= {k: _called(v) for k, v in self.pair.base.items()}
        self._before(sent)
        self._call(self.pair.write, sent)

    def _before(self, sent: Params) -> None:
        if self.pair.before is None:
            return
        operation, members = self.pair.before
        self._call(
            operation,
            {
                given: sent[value] if isinstance(value, str) else value["is"]
                for given, value in members.items()
            },
        )

    def _call(self, operation: str, parameters: Params) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**parameters)
        assert [] == walls_times(answer)
        return answer

    def _fill(self, shape: Shape, path: str, *, required: bool = False, depth: int = 0) -> Any:
        for key in (path, path.rpartition(".")[2]):
            if key in self.pair.values:
                return _called(self.pair.values[key])
        kind = shape.type_name
        required = required or depth > 5
        if kind == "structure":
            names = shape.required_members if required else list(shape.members)
            return {
                member: self._fill(
                    shape.members[member],
                    f"{path}.{member}".strip("."),
                    required=required,
                    depth=depth + 1,
                )
                for member in names
            }
        if kind == "list":
            inner = self._fill(shape.member, path, required=required, depth=depth + 1)
            return [] if depth > 5 else [inner]
        if kind == "map":
            return {"k1": self._fill(shape.value, f"{path}.v", required=required, depth=depth + 1)}
        least = int(shape.metadata.get("min") or 1)
        if kind == "string":
            text = f"x{next(_numbers)}".ljust(least, "x")[: shape.metadata.get("max", 1000)]
            return shape.enum[0] if shape.enum else text
        if kind == "timestamp":
            return datetime(2027, 1, 1, tzinfo=UTC)
        return {"boolean": True, "blob": b"x", "float": 1.0, "double": 1.0}.get(kind, least)


def _called(value: Any) -> Any:
    return value() if callable(value) else value


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, (*path, "*"))
    else:
        yield path, value


# Members that come back under another name.
_RENAMED = {"permissionsboundary": "permissionsboundaryarn"}


def _has(found: Any, member: str, value: Any) -> bool:
    """Return whether an answer has a member of this name with this value, at any depth."""
    names = {member.lower(), _RENAMED.get(member.lower(), "")}
    if isinstance(found, dict):
        return any(
            (key.lower() in names and _plain(inner) == _plain(value)) or _has(inner, member, value)
            for key, inner in found.items()
        )
    if isinstance(found, list):
        return any(_plain(inner) == _plain(value) or _has(inner, member, value) for inner in found)
    return False


def _plain(value: Any) -> str:
    """Return a value as text that does not depend on its spelling."""
    if isinstance(value, datetime):
        return str(value.timestamp())
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    return str(json.dumps(value, sort_keys=True, default=str)).lower()


@pytest.fixture(scope="module")
def own() -> Iterator[TestCloud]:
    """A cloud of its own, because the resources stay, whose clock is far from the machine's."""
    with local_cloud() as cloud:
        cloud.advance(AHEAD_SECONDS)
        have_role(cloud, ROLE, "lambda", "codebuild")
        cloud.client("iam").create_policy(PolicyName="round-trip", PolicyDocument=POLICY)
        cloud.client("sns").create_topic(Name="round-trip")
        cloud.client("sqs").create_queue(QueueName="round-trip")
        cloud.client("lambda").create_function(
            FunctionName="round-trip",
            Runtime="python3.12",
            Role=ROLE,
            Handler="handlers.handler",
            Code={"ZipFile": zip_of({"handlers.py": "def handler(event, context): return event"})},
        )
        yield cloud


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.service}-{pair.write}")
def test_what_is_sent_comes_back_or_is_refused(own: TestCloud, pair: Pair) -> None:
    walk = Walk(pair, own)
    walk.base_is_valid()
    assert {} == {member: lost for member in walk.members() if (lost := walk.lost(member))}


def test_a_keys_rotation_has_its_period_and_its_next_date(own: TestCloud) -> None:
    kms = own.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    found = kms.get_key_rotation_status(KeyId=key)
    assert (True, 180) == (found["KeyRotationEnabled"], found["RotationPeriodInDays"])
    assert (found["NextRotationDate"].timestamp() - own.now()) // 86400 in (179, 180)


def test_an_update_of_a_role_keeps_what_it_does_not_give(own: TestCloud) -> None:
    iam = own.client("iam")
    iam.create_role(
        RoleName="updated", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200
    )
    iam.update_role(RoleName="updated", Description="e")
    iam.update_role(RoleName="updated")
    role = iam.get_role(RoleName="updated")["Role"]
    assert ("e", 7200) == (role["Description"], role["MaxSessionDuration"])
    iam.delete_role(RoleName="updated")


def test_a_users_boundary_can_be_changed_and_deleted(own: TestCloud) -> None:
    iam = own.client("iam")
    iam.create_user(UserName="bounded")
    assert "PermissionsBoundary" not in iam.get_user(UserName="bounded")["User"]
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=POLICY_ARN)
    found = iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]
    assert POLICY_ARN == found["PermissionsBoundaryArn"]
    iam.delete_user_permissions_boundary(UserName="bounded")
    assert "PermissionsBoundary" not in iam.get_user(UserName="bounded")["User"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=POLICY_ARN + "x")
    iam.delete_user(UserName="bounded")


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("DELETE", "analytics&id=1"),
        ("DELETE", "metadataTable"),
        ("PUT", "metrics&id=1"),
        ("PUT", "requestPayment"),
        ("GET", "intelligent-tiering"),
    ],
)
def test_an_unknown_configuration_of_a_bucket_is_not_taken_for_the_bucket(
    own: TestCloud, method: str, query: str
) -> None:
    s3 = own.client("s3")
    s3.create_bucket(Bucket="subresource")
    s3.put_object(Bucket="subresource", Key="k", Body=b"kept")
    for path in ("subresource", "subresource/k"):
        request = urllib.request.Request(f"{own.url}/{path}?{query}", method=method, data=b"<x/>")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert (501, True) == (refused.value.code, b"NotImplemented" in refused.value.read())
    assert s3.get_object(Bucket="subresource", Key="k")["Body"].read() == b"kept"


def test_a_request_that_expects_another_owner_is_refused(own: TestCloud) -> None:
    s3 = own.client("s3")
    s3.create_bucket(Bucket="owned")
    s3.put_object(Bucket="owned", Key="k", Body=b"v", ExpectedBucketOwner=ACCOUNT)
    for call in (s3.get_object, s3.delete_object):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket="owned", Key="k", ExpectedBucketOwner="111111111111")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.copy_object(
            Bucket="owned",
            Key="l",
            CopySource="owned/k",
            ExpectedSourceBucketOwner="111111111111",
        )


def test_a_header_that_has_no_effect_is_refused_by_name(own: TestCloud) -> None:
    s3 = own.client("s3")
    s3.create_bucket(Bucket="headers")
    with pytest.raises(ClientError, match="customer-algorithm"):
        s3.put_object(
            Bucket="headers", Key="k", Body=b"v", SSECustomerAlgorithm="AES256", SSECustomerKey="k"
        )
    with pytest.raises(ClientError, match="Argument format not recognized"):
        s3.put_object(Bucket="headers", Key="k", Body=b"v", GrantRead="everybody")
    s3.put_object(Bucket="headers", Key="k", Body=b"v", GrantRead='id="abc"')


def test_an_attribute_that_no_topic_has_is_refused(own: TestCloud) -> None:
    sns = own.client("sns")
    topic = sns.create_topic(Name="attributes")["TopicArn"]
    with pytest.raises(ClientError, match=r"InvalidParameter.*AttributeName"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplyName", AttributeValue="d")
    with pytest.raises(ClientError, match="NotImplemented"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="ArchivePolicy", AttributeValue="{}")
