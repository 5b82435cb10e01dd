"""The rules that every stack keeps to, over the resources that its program registers.

Pure, and written once: the unit tests run them over both stacks, ``policy/__main__.py`` runs
them in ``pulumi preview --policy-pack policy``. Must not: import pulumi or the components, so
that the pack needs an environment of its own only.

Each rule takes all resources, since a bucket's safeguards are resources beside it, and yields
what is wrong. What is not known yet, in a preview before the first deployment, is not judged.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
REPOSITORY = "aws:ecr/repository:Repository"
TOPIC = "aws:sns/topic:Topic"
TAGS = ("project", "stack", "owner", "cost-centre")
# These have no tags of their own on AWS, or are found and billed with what holds them.
UNTAGGED = frozenset(
    {
        "aws:cloudwatch/dashboard:Dashboard",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:kms/alias:Alias",
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
# Actions that AWS gives no resource level, so that their resource can only be "*".
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCE = frozenset(
    {
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
        "cloudwatch:PutMetricData",
        "codepipeline:PutJobFailureResult",
        "codepipeline:PutJobSuccessResult",
        "ecr:GetAuthorizationToken",
    }
)
# Environment → instance types that may be used in it. Burstable ones do not scale.
INSTANCE_TYPES = {
    "dev": re.compile(r"ml\.(t2|t3|m5|m6i|c5|c6i)\.(medium|large|xlarge|2xlarge)"),
    "prd": re.compile(r"ml\.(m5|m6i|m7i|c5|c6i|c7i|r5)\.(large|xlarge|2xlarge|4xlarge)"),
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
    """What is wrong with a resource, and how to mend it."""

    urn: str
    message: str


Check = Callable[[Sequence[Resource]], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    description: str
    check: Check


def _of(resources: Sequence[Resource], type_: str) -> list[Resource]:
    return [resource for resource in resources if resource.type == type_]


def _beside(resources: Sequence[Resource], kind: str) -> dict[Any, Properties]:
    """Return the properties of what is set on buckets, by bucket."""
    type_ = f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}"
    return {r.properties.get("bucket"): r.properties for r in _of(resources, type_)}


def encryption(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Buckets and repositories are encrypted; where the stack has a key, topics too."""
    set_on = _beside(resources, "BucketServerSideEncryptionConfiguration")
    for bucket in _of(resources, BUCKET):
        rules = set_on.get(bucket.properties.get("bucket"), {}).get("rules") or []
        default = rules[0].get("applyServerSideEncryptionByDefault", {}) if rules else {}
        if default.get("sseAlgorithm") not in ("AES256", "aws:kms"):
            yield Violation(bucket.urn, "encrypt the bucket: make it a PrivateBucket")
    for repository in _of(resources, REPOSITORY):
        if not repository.properties.get("encryptionConfigurations"):
            yield Violation(repository.urn, "give the repository an encryption configuration")
    if _of(resources, KEY):
        for topic in _of(resources, TOPIC):
            if not topic.properties.get("kmsMasterKeyId"):
                yield Violation(topic.urn, "encrypt the topic with the stack's key")


def public_access(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Buckets block public access, refuse plain HTTP, and no policy names everybody."""
    blocks = _beside(resources, "BucketPublicAccessBlock")
    documents = _beside(resources, "BucketPolicy")
    for bucket in _of(resources, BUCKET):
        name = bucket.properties.get("bucket")
        block = blocks.get(name, {})
        wanted = (
            "blockPublicAcls",
            "blockPublicPolicy",
            "ignorePublicAcls",
            "restrictPublicBuckets",
        )
        if not all(block.get(key) is True for key in wanted):
            yield Violation(bucket.urn, f"block public access: set {', '.join(wanted)}")
        statements = _statements(documents.get(name, {}).get("policy"))
        if not any(_refuses_plain_http(statement) for statement in statements):
            yield Violation(bucket.urn, "deny requests without TLS in the bucket's policy")
    for resource in resources:
        for key in ("policy", "assumeRolePolicy"):
            for statement in _statements(resource.properties.get(key)):
                if statement.get("Effect") == "Allow" and _is_everybody(statement):
                    yield Violation(resource.urn, 'name the principal: "*" is everybody')


def _refuses_plain_http(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement.get("Effect") == "Deny" and condition.get("aws:SecureTransport") == "false"


def _is_everybody(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    return any("*" in (one if isinstance(one, list) else [one]) for one in named)


def wildcard_iam(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Roles name their actions and resources, and the service that they pass a role to."""
    for policy in _of(resources, "aws:iam/rolePolicy:RolePolicy"):
        for statement in _statements(policy.properties.get("policy")):
            if statement.get("Effect") != "Allow":
                continue
            actions = _listed(statement.get("Action"))
            if "NotAction" in statement or any("*" in action for action in actions):
                yield Violation(
                    policy.urn, f"name each action, not {', '.join(actions) or 'NotAction'}"
                )
            if "NotResource" in statement or "*" in _listed(statement.get("Resource")):
                for action in sorted(set(actions) - WITHOUT_RESOURCE):
                    yield Violation(policy.urn, f"name the resources of {action}")
            if "iam:PassRole" in actions:
                condition = statement.get("Condition", {}).get("StringEquals", {})
                if "iam:PassedToService" not in condition:
                    yield Violation(policy.urn, "limit iam:PassRole by iam:PassedToService")


def tags(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Every resource says its project, stack, owner and cost-centre."""
    for resource in resources:
        if not resource.type.startswith("aws:") or resource.type in UNTAGGED:
            continue
        found = resource.properties.get("tags") or {}
        missing = [tag for tag in TAGS if not found.get(tag)]
        if missing:
            yield Violation(resource.urn, f"tag it with {', '.join(missing)}")


def protected_production(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Production's data is protected, so that one command cannot delete it."""
    for resource in resources:
        if resource.type not in (BUCKET, KEY, REPOSITORY) or resource.protect:
            continue
        if (resource.properties.get("tags") or {}).get("environment") == "prd":
            yield Violation(resource.urn, "protect it: pulumi.ResourceOptions(protect=True)")


def instance_types(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Endpoints and training jobs run on instance types that are allowed in their environment."""
    for resource in resources:
        for environment, instance_type in _instances(resource):
            allowed = INSTANCE_TYPES.get(environment)
            if allowed is None or not allowed.fullmatch(instance_type):
                yield Violation(
                    resource.urn,
                    f"{instance_type} is not allowed in {environment}; allowed: "
                    f"{allowed.pattern if allowed else 'none, there is no such environment'}",
                )


def _instances(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield environment and type of each instance that a resource will have made."""
    if resource.type == "aws:codepipeline/pipeline:Pipeline":
        environment = (resource.properties.get("tags") or {}).get("environment", "")
        for stage in resource.properties.get("stages") or []:
            for action in stage.get("actions") or []:
                parameters = _json((action.get("configuration") or {}).get("UserParameters"))
                if "instanceType" in parameters:
                    yield environment, parameters["instanceType"]
    elif resource.type == "aws:s3/bucketObjectv2:BucketObjectv2":
        template = _json(_file(resource.properties.get("source"), "template.json"))
        for made in template.get("Resources", {}).values():
            properties = made.get("Properties", {})
            found = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
            for variant in properties.get("ProductionVariants", []):
                yield found.get("environment", ""), variant["InstanceType"]


def _file(archive: Any, name: str) -> Any:
    """Return the text of a file of an archive: of the SDK's object, or of its wire form."""
    assets = (
        archive.get("assets") if isinstance(archive, Mapping) else getattr(archive, "assets", None)
    )
    asset = (assets or {}).get(name)
    return asset.get("text") if isinstance(asset, Mapping) else getattr(asset, "text", None)


def _statements(document: Any) -> list[dict[str, Any]]:
    found = _json(document).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def _json(text: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one for what is not there, or not known yet."""
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
