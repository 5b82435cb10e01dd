"""The rules for every stack, checked on the resources that its program registers.

The rules are pure and used twice: the unit tests check both stacks, and ``policy/__main__.py``
checks them in ``pulumi preview --policy-pack policy``. Must not: import pulumi or the components,
so that the policy pack needs only its own small environment.

Each rule takes all resources, because the safeguards of a bucket are separate resources, and yields
violations. Values that are unknown in a preview before the first deployment are not checked; what
depends on the settings alone, such as an instance type, is an input of a component and known.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BUCKET = "aws:s3/bucket:Bucket"
# The component of an endpoint. Its inputs are known when its template is not.
ENVIRONMENT = "mlops:index:EndpointEnvironment"
KEY = "aws:kms/key:Key"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
REPOSITORY = "aws:ecr/repository:Repository"
TOPIC = "aws:sns/topic:Topic"
TAGS = ("project", "stack", "owner", "cost-centre")
# These types have no tags on AWS, or belong to a tagged resource and are billed with it.
UNTAGGED = frozenset(
    {
        "aws:cloudwatch/dashboard:Dashboard",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:kms/alias:Alias",
        "aws:lambda/permission:Permission",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketNotification:BucketNotification",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sns/topicSubscription:TopicSubscription",
    }
)
# Actions without resource-level permissions, whose resource can only be "*".
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCE = frozenset(
    {
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
        "cloudwatch:PutMetricData",
        "codepipeline:PutJobFailureResult",
        "codepipeline:PutJobSuccessResult",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecr:GetAuthorizationToken",
        "sagemaker:ListProcessingJobs",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
)
# Environment → allowed instance types. SageMaker does not scale burstable types.
INSTANCE_TYPES = {
    "dev": re.compile(
        r"ml\.(t[23]\.(medium|large|xlarge|2xlarge)"
        r"|[mc](5|6i|7i|6g|8g)\.(large|xlarge|2xlarge)|c7g\.(large|xlarge|2xlarge))"
    ),
    "prd": re.compile(
        r"ml\.(m5|m6i|m7i|m6g|m8g|c5|c6i|c7i|c6g|c7g|c8g|r5)\.(large|xlarge|2xlarge|4xlarge)"
    ),
}

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as the program registered it; ``properties`` are Pulumi's, in camelCase."""

    type: str
    name: str
    urn: str
    properties: Properties
    protect: bool = False


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation of a rule.

    Attributes:
        urn: URN of the resource.
        message: the way to fix it.
    """

    urn: str
    message: str


Check = Callable[[Sequence[Resource]], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: name of the policy in Pulumi's output.
        description: the requirement, in one sentence.
        check: yields the violations of all resources of a stack.
    """

    name: str
    description: str
    check: Check


def _of(resources: Sequence[Resource], type_: str) -> list[Resource]:
    return [resource for resource in resources if resource.type == type_]


def _by_bucket(resources: Sequence[Resource], kind: str) -> dict[Any, Properties]:
    """Return the properties of the bucket resources of a kind, by bucket name."""
    type_ = f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}"
    return {r.properties.get("bucket"): r.properties for r in _of(resources, type_)}


def encryption(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Buckets and repositories are encrypted, and topics are if the stack has a KMS key."""
    encryptions = _by_bucket(resources, "BucketServerSideEncryptionConfiguration")
    for bucket in _of(resources, BUCKET):
        rules = encryptions.get(bucket.properties.get("bucket"), {}).get("rules") or []
        default = rules[0].get("applyServerSideEncryptionByDefault", {}) if rules else {}
        if default.get("sseAlgorithm") not in ("AES256", "aws:kms"):
            yield Violation(bucket.urn, "encrypt the bucket: create it as a PrivateBucket")
    for repository in _of(resources, REPOSITORY):
        if not repository.properties.get("encryptionConfigurations"):
            yield Violation(repository.urn, "add an encryption configuration to the repository")
    if _of(resources, KEY):
        for topic in _of(resources, TOPIC):
            if not topic.properties.get("kmsMasterKeyId"):
                yield Violation(topic.urn, "encrypt the topic with the stack's key")


def public_access(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Buckets block public access and refuse plain HTTP, and no policy allows everyone."""
    blocks = _by_bucket(resources, "BucketPublicAccessBlock")
    documents = _by_bucket(resources, "BucketPolicy")
    for bucket in _of(resources, BUCKET):
        name = bucket.properties.get("bucket")
        block = blocks.get(name, {})
        required = (
            "blockPublicAcls",
            "blockPublicPolicy",
            "ignorePublicAcls",
            "restrictPublicBuckets",
        )
        if not all(block.get(key) is True for key in required):
            yield Violation(bucket.urn, f"block public access: set {', '.join(required)}")
        statements = _statements(documents.get(name, {}).get("policy"))
        if not any(_refuses_plain_http(statement) for statement in statements):
            yield Violation(bucket.urn, "deny requests without TLS in the bucket's policy")
    for resource in resources:
        for key in ("policy", "assumeRolePolicy"):
            for statement in _statements(resource.properties.get(key)):
                if statement.get("Effect") == "Allow" and _is_for_everyone(statement):
                    yield Violation(resource.urn, 'name the principal: "*" means everyone')


def _refuses_plain_http(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement.get("Effect") == "Deny" and condition.get("aws:SecureTransport") == "false"


def _is_for_everyone(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    return any("*" in (one if isinstance(one, list) else [one]) for one in named)


def wildcard_iam(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Role policies name their actions and resources, and the service that a role is passed to."""
    for policy in _of(resources, "aws:iam/rolePolicy:RolePolicy"):
        for statement in _statements(policy.properties.get("policy")):
            if statement.get("Effect") != "Allow":
                continue
            actions = _listed(statement.get("Action"))
            if "NotAction" in statement or any("*" in action for action in actions):
                yield Violation(
                    policy.urn,
                    f"name each action instead of {', '.join(actions) or 'NotAction'}",
                )
            if "NotResource" in statement or "*" in _listed(statement.get("Resource")):
                for action in sorted(set(actions) - WITHOUT_RESOURCE):
                    yield Violation(policy.urn, f"name the resources of {action}")
            if "iam:PassRole" in actions:
                condition = statement.get("Condition", {}).get("StringEquals", {})
                if "iam:PassedToService" not in condition:
                    yield Violation(policy.urn, "limit iam:PassRole by iam:PassedToService")


def tags(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Every resource has the tags project, stack, owner and cost-centre."""
    for resource in resources:
        if not resource.type.startswith("aws:") or resource.type in UNTAGGED:
            continue
        found = resource.properties.get("tags") or {}
        missing = [tag for tag in TAGS if not found.get(tag)]
        if missing:
            yield Violation(resource.urn, f"tag it with {', '.join(missing)}")


def protected_production(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Production's data is protected, so a single command cannot delete it."""
    for resource in resources:
        if resource.type not in (BUCKET, KEY, REPOSITORY) or resource.protect:
            continue
        if (resource.properties.get("tags") or {}).get("environment") == "prd":
            yield Violation(resource.urn, "protect it: pulumi.ResourceOptions(protect=True)")


def instance_types(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Endpoints and training jobs use instance types that are allowed in their environment."""
    declared = {pair for resource in _of(resources, ENVIRONMENT) for pair in _instances(resource)}
    for resource in resources:
        for environment, instance_type in _instances(resource):
            # A component and its template name the same instances; one violation is enough.
            if resource.type == OBJECT and (environment, instance_type) in declared:
                continue
            allowed = INSTANCE_TYPES.get(environment)
            if allowed is None or not allowed.fullmatch(instance_type):
                yield Violation(
                    resource.urn,
                    f"{instance_type} is not allowed in {environment}; allowed: "
                    f"{allowed.pattern if allowed else 'none: the environment is unknown'}",
                )


def _instances(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield the environment and the type of the instances that a resource creates."""
    if resource.type == ENVIRONMENT:
        found = resource.properties
        if isinstance(found.get("instanceType"), str):
            yield str(found.get("environment", "")), found["instanceType"]
    elif resource.type == PIPELINE:
        environment = (resource.properties.get("tags") or {}).get("environment", "")
        for stage in resource.properties.get("stages") or []:
            for action in stage.get("actions") or []:
                parameters = _json((action.get("configuration") or {}).get("UserParameters"))
                if "instanceType" in parameters:
                    yield environment, parameters["instanceType"]
    elif resource.type == OBJECT:
        template = _json(_file(resource.properties.get("source"), "template.json"))
        for made in template.get("Resources", {}).values():
            properties = made.get("Properties", {})
            tagged = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
            for variant in properties.get("ProductionVariants", []):
                yield tagged.get("environment", ""), variant["InstanceType"]


def _file(archive: Any, name: str) -> Any:
    """Return the text of a file in an archive, which is an SDK object or its wire format."""
    assets = (
        archive.get("assets") if isinstance(archive, Mapping) else getattr(archive, "assets", None)
    )
    asset = (assets or {}).get(name)
    return asset.get("text") if isinstance(asset, Mapping) else getattr(asset, "text", None)


def _statements(document: Any) -> list[dict[str, Any]]:
    found = _json(document).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def _json(text: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one if the text is missing or not known yet."""
    if not isinstance(text, str):
        return {}
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


RULES = tuple(
    Rule(check.__name__.replace("_", "-"), (check.__doc__ or "").strip(), check)
    for check in (
        encryption,
        public_access,
        wildcard_iam,
        tags,
        protected_production,
        instance_types,
    )
)
