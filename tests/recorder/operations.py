"""The operations that a recording may call on AWS: each one's resource, kind and price.

It is an allow-list: an operation that is not listed is refused before it is sent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from components import prices

# Names that a recording gives to its resources begin with this, and six characters of its own.
NAME_PREFIX = "mlops-lab-rec-"


class Refused(Exception):
    """A call that a recording must not make. It is never sent."""


class Kind(StrEnum):
    """The effect of an operation on the account."""

    PURE = "pure"  # evaluates its request alone
    READ = "read"  # returns a resource of the recording
    CHANGE = "change"  # changes or deletes a resource of the recording
    CREATE = "create"  # creates a resource; cleaning.py deletes it


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: `resource` is the member that names its resource, None for pure ones.

    `resource` may be a path such as `pipeline.name` or `Entries[].Source`. `price` is in US dollars
    a call; what lasts is priced in `price_of`.
    """

    kind: Kind
    resource: str | None = None
    price: float = 0.0


def _pure() -> Operation:
    return Operation(Kind.PURE)


def _read(resource: str, price: float = 0.0) -> Operation:
    return Operation(Kind.READ, resource, price)


def _change(resource: str, price: float = 0.0) -> Operation:
    return Operation(Kind.CHANGE, resource, price)


def _create(resource: str, price: float = 0.0) -> Operation:
    return Operation(Kind.CREATE, resource, price)


# List prices of single requests in us-east-1, in US dollars, of the date in components/prices.json.
# Source: https://aws.amazon.com/pricing/ (Amazon SQS, SNS, S3, EventBridge, Secrets Manager).
_SQS, _SNS, _EVENT = 0.40 / 1e6, 0.50 / 1e6, 1.00 / 1e6
_S3_WRITE, _S3_READ = 0.005 / 1e3, 0.0004 / 1e3
_SECRET = 0.05 / 1e4
# An hour of a month, for what is deleted within the hour.
_HOUR = 1 / prices.HOURS_PER_MONTH
_ALARM_HOUR = prices.ALARM_METRIC_MONTH * _HOUR
_SECRET_HOUR = 0.40 * _HOUR

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "cloudformation": {
        "ValidateTemplate": _pure(),
        "GetTemplateSummary": _pure(),
        "CreateStack": _create("StackName"),
        "CreateChangeSet": _create("StackName"),
        "UpdateStack": _change("StackName"),
        "DeleteStack": _change("StackName"),
        "DeleteChangeSet": _change("StackName"),
        "DescribeStacks": _read("StackName"),
        "DescribeStackEvents": _read("StackName"),
        "DescribeStackResource": _read("StackName"),
        "DescribeChangeSet": _read("StackName"),
        "GetTemplate": _read("StackName"),
        "GetStackPolicy": _read("StackName"),
        "ListChangeSets": _read("StackName"),
        "ListStackResources": _read("StackName"),
    },
    "cloudwatch": {
        "PutMetricAlarm": _create("AlarmName", _ALARM_HOUR),
        "DeleteAlarms": _change("AlarmNames[]"),
        "DescribeAlarms": _read("AlarmNames[]"),
        "SetAlarmState": _change("AlarmName"),
        "GetDashboard": _read("DashboardName"),
    },
    "codebuild": {
        "CreateProject": _create("name"),
        "DeleteProject": _change("name"),
        "StartBuild": _change("projectName", prices.BUILD_MINUTE),
    },
    "codecommit": {
        "CreateRepository": _create("repositoryName"),
        "GetRepository": _read("repositoryName"),
        "DeleteRepository": _change("repositoryName"),
    },
    "codepipeline": {
        # It starts; a minute of each of its actions, of which there are at most ten.
        "CreatePipeline": _create("pipeline.name", 10 * prices.PIPELINE_ACTION_MINUTE),
        "UpdatePipeline": _change("pipeline.name"),
        "GetPipeline": _read("name"),
        "GetPipelineState": _read("name"),
        "DeletePipeline": _change("name"),
        "StartPipelineExecution": _change("name", 10 * prices.PIPELINE_ACTION_MINUTE),
    },
    "ecr": {
        "CreateRepository": _create("repositoryName"),
        "DescribeRepositories": _read("repositoryNames[]"),
        "DeleteRepository": _change("repositoryName"),
    },
    "events": {
        "TestEventPattern": _pure(),
        "PutRule": _create("Name"),
        "DeleteRule": _change("Name"),
        "DescribeRule": _read("Name"),
        "ListRules": _read("NamePrefix"),
        "PutTargets": _change("Rule"),
        "RemoveTargets": _change("Rule"),
        "ListTargetsByRule": _read("Rule"),
        "PutEvents": _change("Entries[].Source", _EVENT),
    },
    "iam": {
        "SimulateCustomPolicy": _pure(),
        "GetContextKeysForCustomPolicy": _pure(),
        "SimulatePrincipalPolicy": _read("PolicySourceArn"),
        "CreateRole": _create("RoleName"),
        "GetRole": _read("RoleName"),
        "PutRolePolicy": _change("RoleName"),
        "DeleteRolePolicy": _change("RoleName"),
        "DeleteRole": _change("RoleName"),
    },
    "lambda": {
        "CreateFunction": _create("FunctionName"),
        "GetFunction": _read("FunctionName"),
        "GetPolicy": _read("FunctionName"),
        "DeleteFunction": _change("FunctionName"),
        "Invoke": _change("FunctionName", 0.20 / 1e6),
    },
    "logs": {
        "CreateLogGroup": _create("logGroupName"),
        "DescribeLogGroups": _read("logGroupNamePrefix"),
        "DescribeLogStreams": _read("logGroupName"),
        "DeleteLogGroup": _change("logGroupName"),
    },
    "s3": {
        "CreateBucket": _create("Bucket", _S3_WRITE),
        "DeleteBucket": _change("Bucket"),
        "HeadBucket": _read("Bucket", _S3_READ),
        "GetBucketVersioning": _read("Bucket", _S3_READ),
        "PutBucketVersioning": _change("Bucket", _S3_WRITE),
        "PutObject": _change("Bucket", _S3_WRITE),
        "GetObject": _read("Bucket", _S3_READ),
        "HeadObject": _read("Bucket", _S3_READ),
        "DeleteObject": _change("Bucket"),
        "ListObjectsV2": _read("Bucket", _S3_WRITE),
    },
    "sagemaker": {
        "CreateModel": _create("ModelName"),
        "DescribeModel": _read("ModelName"),
        "DeleteModel": _change("ModelName"),
        "CreateEndpointConfig": _create("EndpointConfigName"),
        "DescribeEndpointConfig": _read("EndpointConfigName"),
        "DeleteEndpointConfig": _change("EndpointConfigName"),
        "CreateEndpoint": _create("EndpointName"),
        "DescribeEndpoint": _read("EndpointName"),
        "DeleteEndpoint": _change("EndpointName"),
        "CreateModelPackageGroup": _create("ModelPackageGroupName"),
        "DescribeModelPackageGroup": _read("ModelPackageGroupName"),
        "DeleteModelPackageGroup": _change("ModelPackageGroupName"),
        "CreateTrainingJob": _create("TrainingJobName"),
        "DescribeTrainingJob": _read("TrainingJobName"),
        "StopTrainingJob": _change("TrainingJobName"),
        "ListTags": _read("ResourceArn"),
        "AddTags": _change("ResourceArn"),
        "DeleteTags": _change("ResourceArn"),
    },
    # An endpoint's hour is priced at its creation.
    "sagemaker-runtime": {"InvokeEndpoint": _change("EndpointName")},
    "secretsmanager": {
        "CreateSecret": _create("Name", _SECRET + _SECRET_HOUR),
        "DescribeSecret": _read("SecretId", _SECRET),
        "DeleteSecret": _change("SecretId", _SECRET),
    },
    "sns": {
        "CreateTopic": _create("Name", _SNS),
        "GetTopicAttributes": _read("TopicArn", _SNS),
        "ListSubscriptionsByTopic": _read("TopicArn", _SNS),
        "Publish": _change("TopicArn", _SNS),
        "DeleteTopic": _change("TopicArn", _SNS),
    },
    "sqs": {
        "CreateQueue": _create("QueueName", _SQS),
        "GetQueueUrl": _read("QueueName", _SQS),
        "GetQueueAttributes": _read("QueueUrl", _SQS),
        "SendMessage": _change("QueueUrl", _SQS),
        "ReceiveMessage": _read("QueueUrl", _SQS),
        "DeleteQueue": _change("QueueUrl", _SQS),
    },
    "ssm": {
        "PutParameter": _create("Name"),
        "GetParameter": _read("Name"),
        "GetParameters": _read("Names[]"),
        "DescribeParameters": _read("ParameterFilters[].Values[]"),
        "DeleteParameter": _change("Name"),
        "DeleteParameters": _change("Names[]"),
    },
}

# The tiers of tests, by what they cost. All but the first are recorded only if they are named.
TIERS = {
    "calls": "control-plane calls, which cost nothing or cents",
    "training": "training jobs, priced at their instances' full running time",
    "endpoints": "endpoints, priced at one hour of each instance",
}


# The price of a configuration whose instances are not in components/prices.json.
UNPRICED = -1.0


def price_of(
    service: str, operation: str, request: Mapping[str, Any], configs: dict[str, float]
) -> float:
    """Return the list price of a call in US dollars, with an hour of what it starts.

    Args:
        service: the service, in botocore's name.
        operation: the operation.
        request: its parameters.
        configs: the price of an hour of each endpoint configuration, kept from call to call.

    Raises:
        Refused: the operation is not listed, or its instance type has no price.
    """
    found = OPERATIONS.get(service, {}).get(operation)
    if found is None:
        raise Refused(f"{service}:{operation} is not in tests/recorder/operations.py")
    if (service, operation) == ("sagemaker", "CreateTrainingJob"):
        resources = request.get("ResourceConfig", {})
        seconds = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
        hours = seconds / 3600 * resources.get("InstanceCount", 1)
        return float(hours * _hour(resources.get("InstanceType")))
    if (service, operation) == ("sagemaker", "CreateEndpointConfig"):
        # It costs nothing itself, so that an instance type without a price matters later only.
        variants = request.get("ProductionVariants", [])
        kinds = [(v.get("InstanceType"), v.get("InitialInstanceCount", 1)) for v in variants]
        known = all(kind in prices.INSTANCE_HOUR for kind, _ in kinds)
        hour = sum(_hour(kind) * count for kind, count in kinds) if known else UNPRICED
        configs[str(request.get("EndpointConfigName"))] = hour
        return 0.0
    if (service, operation) == ("sagemaker", "CreateEndpoint"):
        name = str(request.get("EndpointConfigName"))
        price = configs.get(name, 0.0)  # AWS refuses one that does not exist
        if price < 0:
            raise Refused(f"the instances of {name} have no price in components/prices.json")
        return price
    return found.price


def _hour(kind: Any) -> float:
    if kind not in prices.INSTANCE_HOUR:
        raise Refused(f"components/prices.json has no price of {kind!r} in INSTANCE_HOUR")
    return prices.INSTANCE_HOUR[kind]


def named(operation: Operation, request: Any) -> list[str]:
    """Return the names that a request gives to its resource; none if the member is absent."""
    return list(_at((operation.resource or "").split("."), request))


def _at(path: list[str], value: Any) -> Iterator[str]:
    if not path:
        yield value if isinstance(value, str) else ""
        return
    member = path[0].removesuffix("[]")
    found = value.get(member) if isinstance(value, Mapping) else None
    if found is None:
        return
    for each in found if path[0].endswith("[]") and isinstance(found, list) else [found]:
        yield from _at(path[1:], each)


def check(service: str, name: str, request: Mapping[str, Any], prefix: str, model: Any) -> None:
    """Refuse a call that could reach anything but the recording's own resources.

    A name without the prefix is let through only where AWS's model forbids it (too short, too long,
    or required and absent), so that it can be nobody's.

    Raises:
        Refused: the operation is not listed, or its resource is not the recording's.
    """
    operation = OPERATIONS.get(service, {}).get(name)
    if operation is None:
        raise Refused(
            f"{service}:{name} is not among the operations that a recording may call; "
            "add it to tests/recorder/operations.py with its resource and its price"
        )
    if operation.kind is Kind.PURE:
        return
    names = named(operation, request)
    shape, required = _shape(model.input_shape, (operation.resource or "").split("."))
    if not names and not required:
        raise Refused(f"{service}:{name} without {operation.resource} is about what others own")
    for given in names:
        limits = shape.metadata if shape is not None else {}
        forbidden = not limits.get("min", 0) <= len(given) <= limits.get("max", 1 << 30)
        if prefix not in given and not forbidden:
            raise Refused(
                f"{service}:{name} names {given!r}, which does not begin with {prefix!r}: take the "
                "name from cloud.name(...)"
            )
    if service == "cloudformation":
        _check_template(request, prefix)


def _shape(shape: Any, path: list[str]) -> tuple[Any, bool]:
    """Return the shape at a path, and whether all of the path is required."""
    required = True
    for member in path:
        if shape is None or shape.type_name != "structure":
            return None, False
        required = required and member.removesuffix("[]") in shape.required_members
        shape = shape.members.get(member.removesuffix("[]"))
        if member.endswith("[]") and shape is not None and shape.type_name == "list":
            shape = shape.member
    return shape, required


# A name that a template gives, in JSON or YAML: a text, and no function.
_PHYSICAL_NAME = re.compile(r"""["']?\b(\w*Name)["']?\s*:\s*["']?([^"'\s,{}\[\]!][^"'\n,{}]*)""")
_TYPE = re.compile(r"\bAWS::\w+::\w+(?:::\w+)?")
# Types of resources that cost nothing. `AWS::SSM::Parameter::Value` is a type of a parameter.
FREE_TYPES = {
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::Events::Rule",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
    "AWS::SSM::Parameter::Value",
}


def _check_template(request: Mapping[str, Any], prefix: str) -> None:
    """Refuse a template that cannot be read here, that costs something, or that names others'."""
    if request.get("TemplateURL") is not None:
        raise Refused("a template at a URL cannot be checked; give it as TemplateBody")
    body = str(request.get("TemplateBody", ""))
    dear = sorted(set(_TYPE.findall(body)) - FREE_TYPES)
    if dear:
        raise Refused(f"a template has {', '.join(dear)}, which is not in FREE_TYPES")
    for member, given in _PHYSICAL_NAME.findall(body):
        if prefix not in given:
            raise Refused(
                f"a template has {member} {given!r}, which does not begin with {prefix!r}"
            )
