"""The permissions that an operation requires. Pure.

This module owns the table from operations to IAM actions and resources. Most operations require the
action `service:Operation` on one resource; a function covers each exception. Must not: know the
caller or its policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
Differs: an operation without an entry, which only moto's have, requires its action on any resource;
only the condition keys that are named here are known.
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.aws.routing import Scope
from localcloud.iam.delivery import DELIVERY, STACK_OPERATIONS
from localcloud.iam.functions import FUNCTIONS
from localcloud.iam.permission import Parameters, Permission, Rule
from localcloud.iam.s3 import S3_RULES
from localcloud.iam.sagemaker import SAGEMAKER_RESOURCES, definitions, deployed_packages, named

# IAM's name of a service, if botocore has another one.
_PREFIX = {"sagemaker-runtime": "sagemaker"}
SAGEMAKER, CLOUDFORMATION = "sagemaker.amazonaws.com", "cloudformation.amazonaws.com"
CODEPIPELINE = "codepipeline.amazonaws.com"

# The resources of an operation, each as the last part of an ARN of the service, a whole ARN, or
# `*`.
_RESOURCES: dict[str, tuple[str, ...]] = {
    **DELIVERY,
    "application-autoscaling:DeleteScheduledAction": ("scalable-target/*",),
    "application-autoscaling:ListTagsForResource": ("{ResourceARN}",),
    "application-autoscaling:PutScheduledAction": ("scalable-target/*",),
    "application-autoscaling:DescribeScalableTargets": ("*",),
    "application-autoscaling:DescribeScalingActivities": ("*",),
    "application-autoscaling:DescribeScalingPolicies": ("*",),
    "application-autoscaling:DescribeScheduledActions": ("*",),
    "application-autoscaling:TagResource": ("{ResourceARN}",),
    "application-autoscaling:UntagResource": ("{ResourceARN}",),
    "ecr:DescribeImageScanFindings": ("repository/{repositoryName}",),
    "ecr:DescribeImages": ("repository/{repositoryName}",),
    "ecr:GetAuthorizationToken": ("*",),
    "ecr:PutImage": ("repository/{repositoryName}",),
    "events:PutEvents": ("*",),
    "iam:GetContextKeysForCustomPolicy": ("*",),
    "iam:GetContextKeysForPrincipalPolicy": ("{PolicySourceArn}",),
    "iam:SimulateCustomPolicy": ("*",),
    "iam:SimulatePrincipalPolicy": ("{PolicySourceArn}",),
    "kms:Decrypt": ("{KeyId}",),
    "kms:GenerateDataKey": ("{KeyId}",),
    "logs:CreateLogGroup": ("log-group:{logGroupName}",),
    "logs:CreateLogStream": ("log-group:{logGroupName}:log-stream:{logStreamName}",),
    "logs:DeleteLogGroup": ("log-group:{logGroupName}",),
    "logs:DescribeLogStreams": ("log-group:{logGroupName}",),
    "logs:PutLogEvents": ("log-group:{logGroupName}:log-stream:{logStreamName}",),
    "logs:PutRetentionPolicy": ("log-group:{logGroupName}",),
    **SAGEMAKER_RESOURCES,
    "sns:CreateTopic": ("{Name}",),
    "sns:DeleteTopic": ("{TopicArn}",),
    "sns:Publish": ("{TopicArn}",),
    "sts:GetCallerIdentity": (),
}


def permissions(
    service: str, operation: str, parameters: Parameters, scope: Scope
) -> list[Permission]:
    """Return every permission that an operation requires of its caller.

    Args:
        service: botocore's name of the service.
        operation: the name in botocore's model; for S3 see `requests.py`.
        parameters: the parameters by their names in the model.
        scope: the account and region of the call.
    """
    prefix = _PREFIX.get(service, service)
    name = f"{prefix}:{operation}"
    if name in _RULES:
        return _RULES[name](scope, parameters)
    if prefix == "sagemaker":
        parameters = named(parameters)
    found = _plain(name, scope, parameters)
    if prefix == "sagemaker":
        for part in definitions(parameters):
            found += _handed_over(part, SAGEMAKER, "RoleArn", "ExecutionRoleArn")
        if parameters.get("Tags") and operation.startswith("Create"):
            found.append(Permission("sagemaker:AddTags", found[0].resource))
        found += _rollback_alarms(scope, parameters)
        if operation == "CreateModel":
            found += deployed_packages(scope, parameters)
    return found


def use_of_key(
    action: str, key_arn: str, aliases: tuple[str, ...], service: str, scope: Scope
) -> Permission:
    """Return the permission to use a KMS key through another service.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html

    Args:
        action: `kms:Decrypt` or `kms:GenerateDataKey`.
        key_arn: the key.
        aliases: all aliases of the key, as `alias/NAME`.
        service: `s3` or `sns`.
        scope: the account and region of that service.
    """
    via = f"{service}.{scope.region}.amazonaws.com"
    return Permission(action, key_arn, {"kms:ViaService": (via,), "kms:ResourceAliases": aliases})


def use_of_connection(arn: str, repository: str, branch: str) -> Permission:
    """Return the permission to use a connection for a branch of a repository.

    The action has the same service prefix as the connection's ARN.
    Source: https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html
    """
    prefix = arn.split(":")[2] if arn.count(":") >= 5 else "codeconnections"
    context = {
        f"{prefix}:FullRepositoryId": (repository,),
        f"{prefix}:BranchName": (branch,),
    }
    return Permission(f"{prefix}:UseConnection", arn, context)


def push_of_image(registry: Scope, repository: str) -> list[Permission]:
    """Return the permissions that `docker push` requires.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    arn = registry.arn("ecr", f"repository/{repository}")
    names = (
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "CompleteLayerUpload",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    )
    return [
        Permission("ecr:GetAuthorizationToken", "*"),
        *(Permission(f"ecr:{name}", arn) for name in names),
    ]


def pull_of_image(registry: Scope, repository: str) -> list[Permission]:
    """Return the permissions that pulling a container's image requires.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    """
    arn = registry.arn("ecr", f"repository/{repository}")
    names = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    return [
        Permission("ecr:GetAuthorizationToken", "*"),
        *(Permission(f"ecr:{name}", arn) for name in names),
    ]


def writing_logs(
    scope: Scope, group: str, stream: str, new_group: bool, new_stream: bool
) -> list[Permission]:
    """Return the permissions to write to a log stream; SageMaker first looks for the stream."""
    operations = ["PutLogEvents"]
    if new_stream:
        looks = group.startswith("/aws/sagemaker/")
        operations = [*["DescribeLogStreams"] * looks, "CreateLogStream", *operations]
    if new_group:
        operations = ["CreateLogGroup", *operations]
    where = {"logGroupName": group, "logStreamName": stream}
    return [p for name in operations for p in permissions("logs", name, where, scope)]


def metrics_in(namespace: str) -> list[Permission]:
    """Return the permission to publish metrics in a namespace."""
    return [Permission("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": (namespace,)})]


def _plain(name: str, scope: Scope, parameters: Parameters) -> list[Permission]:
    if name not in _RESOURCES:
        return [Permission(name, None)]
    return [Permission(name, _arn(name, r, scope, parameters)) for r in _RESOURCES[name]]


def _arn(name: str, template: str, scope: Scope, parameters: Parameters) -> str | None:
    if template == "*":
        return template
    service = name.partition(":")[0]
    try:
        text = template.format_map(parameters)
    except KeyError:
        return None
    before, whole, rest = text.partition("arn:")
    if whole and (not before or before.endswith("/")):
        return whole + rest
    # SageMaker's ARNs are in lower case, even if the name is not.
    return scope.arn(service, text.lower() if service == "sagemaker" else text)


def _rollback_alarms(scope: Scope, parameters: Parameters) -> list[Permission]:
    """Return the permissions to read the alarms that roll a deployment back.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """
    rollback = (parameters.get("DeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return [
        Permission(
            "cloudwatch:DescribeAlarms", scope.arn("cloudwatch", f"alarm:{alarm['AlarmName']}")
        )
        for alarm in rollback.get("Alarms", [])
    ]


def _handed_over(parameters: Parameters, service: str, *names: str) -> list[Permission]:
    """Return iam:PassRole for each role that the parameters hand to a service."""
    return [
        Permission("iam:PassRole", parameters[name], {"iam:PassedToService": (service,)})
        for name in names
        if parameters.get(name)
    ]


def _stack(name: str) -> Rule:
    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        stack = parameters.get("StackName")
        if stack is None:
            return [Permission(name, "*")]
        whole = str(stack).startswith("arn:")
        arn = str(stack) if whole else scope.arn("cloudformation", f"stack/{stack}/*")
        return [Permission(name, arn), *_handed_over(parameters, CLOUDFORMATION, "RoleARN")]

    return rule


def _change_set(name: str) -> Rule:
    """Return the rule of an operation on a change set, whose resource is the stack.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    """

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        named = str(parameters.get("ChangeSetName"))
        own = named.split("/")[1] if named.startswith("arn:") and "/" in named else named
        context = {"cloudformation:ChangeSetName": (own,)}
        if not parameters.get("StackName"):
            return [Permission(name, None, context)]
        first, *others = _stack(name)(scope, parameters)
        return [Permission(name, first.resource, context), *others]

    return rule


def _parameter(name: str) -> Rule:
    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        path = str(parameters.get("Name", "*")).lstrip("/")
        return [Permission(name, scope.arn("ssm", f"parameter/{path}"))]

    return rule


def _scaling(operation: str) -> Rule:
    """Return the rule of an operation that scales: its own permissions and those for its effects.

    Source: https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    Differs: does not require iam:CreateServiceLinkedRole, because the role always exists.
    """

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        target = scope.arn("application-autoscaling", "scalable-target/*")
        found = [Permission(f"application-autoscaling:{operation}", target)]
        kind, _, rest = str(parameters.get("ResourceId", "")).partition("/")
        if operation == "RegisterScalableTarget":
            if parameters.get("Tags"):
                found.append(Permission("application-autoscaling:TagResource", target))
            if parameters.get("ServiceNamespace") == "sagemaker" and kind == "endpoint":
                endpoint = {"EndpointName": rest.partition("/")[0], "EndpointConfigName": "*"}
                for name in (
                    "DescribeEndpoint",
                    "DescribeEndpointConfig",
                    "UpdateEndpointWeightsAndCapacities",
                ):
                    found += permissions("sagemaker", name, endpoint, scope)
        elif operation == "PutScalingPolicy":
            if parameters.get("PolicyType") == "TargetTrackingScaling":
                found += _tracking_alarms(scope, parameters, "DescribeAlarms", "PutMetricAlarm")
        else:
            found += _tracking_alarms(scope, parameters, "DeleteAlarms")
        return found

    return rule


def _tracking_alarms(scope: Scope, parameters: Parameters, *operations: str) -> list[Permission]:
    arn = scope.arn("cloudwatch", f"alarm:TargetTracking-{parameters.get('ResourceId')}-*")
    return [Permission(f"cloudwatch:{operation}", arn) for operation in operations]


def _builds(name: str, ids: Callable[[Parameters], list[str]]) -> Rule:
    """Return the rule of an operation on builds, `PROJECT:UUID`; its resource is the project."""

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        projects = dict.fromkeys(str(id_).partition(":")[0] for id_ in ids(parameters))
        return [Permission(name, scope.arn("codebuild", f"project/{p}")) for p in projects]

    return rule


def _pipeline(name: str) -> Rule:
    """Return the rule of an operation with a pipeline declaration, which passes a role."""

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        declaration = parameters.get("pipeline") or {}
        arn = scope.arn("codepipeline", str(declaration.get("name", "*")))
        return [
            Permission(name, arn),
            *_handed_over(declaration, CODEPIPELINE, "roleArn"),
            *_passed_connections(declaration),
        ]

    return rule


def _passed_connections(declaration: Parameters) -> list[Permission]:
    """Return the permission to pass each connection that a declaration's actions have.

    Source: https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html
    """
    arns = [
        str(action["configuration"]["ConnectionArn"])
        for stage in declaration.get("stages") or []
        for action in stage.get("actions") or []
        if "ConnectionArn" in (action.get("configuration") or {})
    ]
    return [
        Permission(f"{prefix}:PassConnection", arn, {f"{prefix}:PassedToService": (CODEPIPELINE,)})
        for arn in dict.fromkeys(arns)
        for prefix in arn.split(":")[2:3]
    ]


def _delete_alarms(scope: Scope, parameters: Parameters) -> list[Permission]:
    return [
        Permission("cloudwatch:DeleteAlarms", scope.arn("cloudwatch", f"alarm:{name}"))
        for name in parameters.get("AlarmNames", [])
    ]


def _publish_metrics(scope: Scope, parameters: Parameters) -> list[Permission]:
    del scope
    return metrics_in(str(parameters.get("Namespace", "")))


def _assume_role(scope: Scope, parameters: Parameters) -> list[Permission]:
    del scope
    keys = {"sts:ExternalId": "ExternalId", "sts:RoleSessionName": "RoleSessionName"}
    context = {key: (str(parameters[name]),) for key, name in keys.items() if name in parameters}
    return [Permission("sts:AssumeRole", parameters.get("RoleArn"), context)]


def known(service: str, operation: str) -> bool:
    """Return whether an operation has an entry; arguments as those of `permissions`."""
    name = f"{_PREFIX.get(service, service)}:{operation}"
    return name in _RULES or name in _RESOURCES


def operations_with_an_entry() -> set[str]:
    """Return every `service:Operation` that `known` knows, by IAM's name of the service."""
    return {*_RULES, *_RESOURCES}


_RULES: dict[str, Rule] = {
    **{f"cloudformation:{name}": _stack(f"cloudformation:{name}") for name in STACK_OPERATIONS},
    **{
        f"cloudformation:{name}": _change_set(f"cloudformation:{name}")
        for name in (
            "CreateChangeSet",
            "DeleteChangeSet",
            "DescribeChangeSet",
            "ExecuteChangeSet",
        )
    },
    **{
        f"application-autoscaling:{name}": _scaling(name)
        for name in (
            "DeleteScalingPolicy",
            "DeregisterScalableTarget",
            "PutScalingPolicy",
            "RegisterScalableTarget",
        )
    },
    "codebuild:BatchGetBuilds": _builds("codebuild:BatchGetBuilds", lambda p: p.get("ids", [])),
    "codebuild:StopBuild": _builds("codebuild:StopBuild", lambda p: [p.get("id", "*")]),
    "codepipeline:CreatePipeline": _pipeline("codepipeline:CreatePipeline"),
    "codepipeline:UpdatePipeline": _pipeline("codepipeline:UpdatePipeline"),
    "cloudwatch:DeleteAlarms": _delete_alarms,
    "cloudwatch:PutMetricData": _publish_metrics,
    **FUNCTIONS,
    "ssm:GetParameter": _parameter("ssm:GetParameter"),
    "ssm:PutParameter": _parameter("ssm:PutParameter"),
    **S3_RULES,
    "sts:AssumeRole": _assume_role,
}
