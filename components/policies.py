"""IAM policy documents, one function per grant.

Owns every ``Allow`` of the project. Pure: names in, statements out. Must not: register
resources.

The tests enforce these rules: no action is a wildcard; ``Resource: "*"`` appears only for actions
without resource-level permissions, with a comment; ``iam:PassRole`` always names its service; a
trust policy names the account that the service acts for, if the service sends it.
"""

import json
from collections.abc import Sequence
from typing import Any

from components.naming import CAPTURE_PREFIX, REPORT_PREFIX, TRAINING_PREFIX, Names
from components.settings import NetworkSettings

# JSON in IAM's own vocabulary.
Statement = dict[str, Any]

SAGEMAKER = "sagemaker.amazonaws.com"
CLOUDFORMATION = "cloudformation.amazonaws.com"
CODEPIPELINE = "codepipeline.amazonaws.com"
EVENTS = "events.amazonaws.com"
LAMBDA = "lambda.amazonaws.com"
CODEBUILD = "codebuild.amazonaws.com"
# Services whose guides show aws:SourceAccount in a role's trust policy.
SENDS_SOURCE_ACCOUNT = frozenset({CODEBUILD, EVENTS, SAGEMAKER})

_ARTIFACT_READ = ["s3:GetObject", "s3:GetObjectVersion"]


def document(*statements: Statement | Sequence[Statement]) -> str:
    """Return a policy document with these statements, as compact JSON."""
    flat: list[Statement] = []
    for statement in statements:
        flat.extend([statement] if isinstance(statement, dict) else statement)
    return json.dumps({"Version": "2012-10-17", "Statement": flat}, separators=(",", ":"))


def allow(
    actions: Sequence[str],
    resources: Sequence[str],
    condition: dict[str, dict[str, str | list[str]]] | None = None,
) -> Statement:
    """Return a statement that allows actions on resources."""
    statement: Statement = {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    if condition:
        statement["Condition"] = condition
    return statement


# Trust


def trust(names: Names, service: str) -> str:
    """Return the trust policy of a role that a service assumes.

    If the service sends the account that it acts for, it must be this account. That prevents the
    confused deputy problem. For other services, iam:PassRole gives the protection, because it does
    not work across accounts.
    """
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if service in SENDS_SOURCE_ACCOUNT:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": names.account}}
    return document(statement)


def trust_role(names: Names, purpose: str) -> str:
    """Return the trust policy of a role that one role of another account may assume.

    The principal is the account, and a condition names the role: IAM refuses a role as principal
    that does not exist yet, and no longer matches one that was deleted and created again.

    Args:
        names: names in the other account.
        purpose: the purpose in the other role's name.
    """
    return document(
        {
            "Effect": "Allow",
            "Principal": {"AWS": names.iam_arn("root")},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": names.role_arn(purpose)}},
        }
    )


def pass_role(role_arn: str, service: str) -> Statement:
    """Allow passing a role to one service only."""
    return allow(["iam:PassRole"], [role_arn], {"StringEquals": {"iam:PassedToService": service}})


def assume_roles(role_arns: Sequence[str]) -> Statement:
    """Allow assuming roles of another account."""
    return allow(["sts:AssumeRole"], role_arns)


# KMS keys


def use_key(
    names: Names, key_arn: str | None, *services: str, read: bool = True, write: bool = True
) -> list[Statement]:
    """Allow using a key through services; return no statement without a key.

    Args:
        names: the region's names.
        key_arn: the key; None if the data is encrypted with the service's own keys.
        services: ``s3`` or ``sns``; the key may be used only through these.
        read: allow decryption.
        write: allow encryption.
    """
    if not key_arn:
        return []
    via = [f"{service}.{names.region}.amazonaws.com" for service in services]
    actions = ["kms:Decrypt"] * read + ["kms:GenerateDataKey"] * write
    return [allow(actions, [key_arn], {"StringEquals": {"kms:ViaService": via}})]


def use_key_for_volumes(key_arn: str | None) -> list[Statement]:
    """Allow SageMaker to encrypt storage volumes; return no statement without a key.

    SageMaker attaches a volume with a grant, which it may only give to an AWS resource.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html
    """
    if not key_arn:
        return []
    return [allow(["kms:CreateGrant"], [key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})]


def decrypt_delivered_artifacts(delivery: Names) -> Statement:
    """Allow decrypting the delivery account's artifacts, which are under its own key.

    Production is deployed before the delivery account's key exists, so the key's ARN is not known
    here. Its alias is known, and the key's own policy names the roles that may use it.
    """
    return allow(
        ["kms:Decrypt"],
        [delivery.arn("kms", "key/*")],
        {
            "StringEquals": {"kms:ViaService": f"s3.{delivery.region}.amazonaws.com"},
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": delivery.key_alias("dev")},
        },
    )


# Containers of SageMaker


def pull_image(names: Names) -> list[Statement]:
    """Allow pulling the model image."""
    return [
        # GetAuthorizationToken does not support resource-level permissions.
        allow(["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [names.arn("ecr", f"repository/{names.repository}")],
        ),
    ]


def write_container_logs(names: Names, log_group: str) -> list[Statement]:
    """Allow writing a container's logs to the SageMaker log groups that match ``log_group``.

    CreateLogGroup is included because SageMaker creates the group at its first use.
    """
    group = names.arn("logs", f"log-group:{log_group}")
    return [
        # For the same actions, AWS's pages show a group's ARN with and without `:*`.
        allow(["logs:CreateLogGroup", "logs:DescribeLogStreams"], [group, f"{group}:*"]),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:log-stream:*"]),
    ]


def publish_metrics(namespace: str) -> Statement:
    """Allow publishing CloudWatch metrics in one namespace."""
    # PutMetricData does not support resource-level permissions; the condition limits it instead.
    return allow(
        ["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": namespace}}
    )


# What each service does with the network interfaces of a VPC.
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
_INTERFACES_OF = {
    SAGEMAKER: (
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
    ),
    LAMBDA: (
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
    ),
}
# These have no resource level.
_DESCRIPTIONS_OF = {
    SAGEMAKER: (
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    ),
    LAMBDA: ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
}


def join_vpc(names: Names, network: NetworkSettings, service: str) -> list[Statement]:
    """Allow a service to connect to the VPC of the settings; return no statement without one.

    Args:
        names: the region's names.
        network: the subnets and the security groups.
        service: ``SAGEMAKER`` for containers, ``LAMBDA`` for functions.
    """
    if network.vpc_config is None:
        return []
    return [
        allow(_INTERFACES_OF[service], [names.arn("ec2", "*/*")]),
        allow(_DESCRIPTIONS_OF[service], ["*"]),
    ]


def run_job(
    names: Names,
    key_arn: str | None,
    network: NetworkSettings,
    *,
    images: Names,
    logs: str,
) -> list[Statement]:
    """Allow what every training or processing job does besides its own reads and writes.

    Args:
        names: names in the job's account.
        key_arn: KMS key of what it writes and of its volumes; None for the services' own keys.
        network: the network of its container.
        images: names in the account with the image.
        logs: name of its log group below ``/aws/sagemaker/``.
    """
    return [
        *use_key(names, key_arn, "s3"),
        # SageMaker requires it of the role of a job whose output is under a key.
        # Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputDataConfig.html
        *([allow(["kms:Encrypt"], [key_arn])] if key_arn else []),
        *use_key_for_volumes(key_arn),
        *join_vpc(names, network, SAGEMAKER),
        *pull_image(images),
        *write_container_logs(names, f"/aws/sagemaker/{logs}"),
    ]


def training_role(names: Names, key_arn: str | None, network: NetworkSettings) -> str:
    """Return the policy of training jobs: read the dataset artifact, write the model."""
    bucket = names.artifact_bucket
    return document(
        allow(["s3:ListBucket"], [names.s3_arn(bucket)]),
        # CodePipeline stores artifacts under the pipeline's name, truncated to 20 characters.
        allow(["s3:GetObject"], [names.s3_arn(bucket, f"{names.model}-*")]),
        allow(["s3:PutObject"], [names.s3_arn(bucket, f"{TRAINING_PREFIX}/*")]),
        run_job(names, key_arn, network, images=names, logs="TrainingJobs"),
        publish_metrics("/aws/sagemaker/TrainingJobs"),
    )


def processing_role(
    names: Names,
    key_arn: str | None,
    network: NetworkSettings,
    *,
    captures: bool = False,
    capture_key_arn: str | None = None,
) -> str:
    """Return the policy of processing jobs: read datasets, models and reports, write reports.

    Args:
        names: names in the account of the pipeline.
        key_arn: KMS key of the artifact store and of the volumes; None for the services' own keys.
        network: the network of the containers.
        captures: whether the jobs read what production's endpoint was asked.
        capture_key_arn: KMS key of the captures; None for S3's own.
    """
    bucket = names.artifact_bucket
    read = (f"{names.model}-*", f"{TRAINING_PREFIX}/*", f"{REPORT_PREFIX}/*")
    return document(
        allow(["s3:ListBucket"], [names.s3_arn(bucket)]),
        allow(["s3:GetObject"], [names.s3_arn(bucket, key) for key in read]),
        [
            allow(
                ["s3:GetObject"], [names.s3_arn(names.capture_bucket("prd"), f"{CAPTURE_PREFIX}/*")]
            ),
            *use_key(names, capture_key_arn, "s3", write=False),
        ]
        if captures
        else [],
        allow(["s3:PutObject"], [names.s3_arn(bucket, f"{REPORT_PREFIX}/*")]),
        run_job(names, key_arn, network, images=names, logs="ProcessingJobs"),
    )


def execution_role(
    names: Names,
    environment: str,
    *,
    delivery: Names,
    delivered_under_key: bool,
    capture_bucket: str | None,
    key_arn: str | None,
    network: NetworkSettings,
) -> str:
    """Return the policy of an endpoint's containers: load the trained model, capture data.

    Args:
        names: names in the endpoint's account.
        environment: ``dev`` or ``prd``.
        delivery: names in the account with the artifact store and the image.
        delivered_under_key: the artifact store is encrypted with a KMS key.
        capture_bucket: bucket for captured requests and responses; None without data capture.
        key_arn: KMS key of ``capture_bucket`` and of the volumes; None for the services' own keys.
        network: the network of the containers.
    """
    capture = []
    if capture_bucket is not None:
        capture = [
            allow(["s3:PutObject"], [names.s3_arn(capture_bucket, f"{CAPTURE_PREFIX}/*")]),
            *use_key(names, key_arn, "s3"),
        ]
    return document(
        allow(["s3:GetObject"], [names.s3_arn(delivery.artifact_bucket, f"{TRAINING_PREFIX}/*")]),
        [decrypt_delivered_artifacts(delivery)] if delivered_under_key else [],
        capture,
        use_key_for_volumes(key_arn),
        join_vpc(names, network, SAGEMAKER),
        pull_image(delivery),
        write_container_logs(names, names.endpoint_log_group(environment)),
        publish_metrics("/aws/sagemaker/Endpoints"),
    )


# Functions of the pipeline


def write_function_logs(names: Names, function: str) -> Statement:
    """Allow writing to the log group that is created with the function."""
    group = names.arn("logs", f"log-group:/aws/lambda/{function}")
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"])


def write_traces() -> Statement:
    """Allow sending traces to X-Ray."""
    # Traces have no ARN.
    return allow(["xray:PutTelemetryRecords", "xray:PutTraceSegments"], ["*"])


def report_job_results() -> Statement:
    """Allow reporting a job's result to CodePipeline."""
    # Jobs have no ARN.
    return allow(
        ["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
        ["*"],
    )


def run_training(names: Names, training_role_arn: str, *, arm64: bool) -> list[Statement]:
    """Allow starting and polling the model's training jobs, with the released image.

    Args:
        names: the account's names.
        training_role_arn: role of the jobs.
        arm64: allow reading which image is released for arm64, too.
    """
    released = [names.image_parameter, *([names.arm64_image_parameter] if arm64 else [])]
    return [
        allow(
            ["sagemaker:AddTags", "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
            [names.arn("sagemaker", f"training-job/{names.model}-*")],
        ),
        allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{name}") for name in released]),
        pass_role(training_role_arn, SAGEMAKER),
    ]


def run_processing(names: Names, role_arn: str) -> list[Statement]:
    """Allow starting and polling the model's processing jobs, with the released image."""
    return [
        allow(
            [
                "sagemaker:AddTags",
                "sagemaker:CreateProcessingJob",
                "sagemaker:DescribeProcessingJob",
            ],
            [names.arn("sagemaker", f"processing-job/{names.model}-*")],
        ),
        allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.image_parameter}")]),
        pass_role(role_arn, SAGEMAKER),
        *read_versions(names),
    ]


def list_captures(names: Names, key_arn: str | None) -> list[Statement]:
    """Allow listing what production's endpoint captured, and naming files of it in a manifest."""
    manifests = names.s3_arn(names.artifact_bucket, f"{REPORT_PREFIX}/*/captures.manifest")
    return [
        allow(["s3:ListBucket"], [names.s3_arn(names.capture_bucket("prd"))]),
        allow(["s3:PutObject"], [manifests]),
        *use_key(names, key_arn, "s3", read=False),
    ]


def register_versions(names: Names, *, shared: bool) -> list[Statement]:
    """Allow making the model's group in the registry, and versions of it.

    Args:
        names: the account's names.
        shared: allow sharing the group with another account, too.
    """
    share = ["sagemaker:PutModelPackageGroupPolicy"] if shared else []
    return [
        allow(["sagemaker:CreateModelPackageGroup", *share], [_model_group(names)]),
        allow(["sagemaker:CreateModelPackage"], [_model_group(names), _model_versions(names)]),
    ]


def decide_on_versions(names: Names) -> list[Statement]:
    """Allow setting a version to approved or rejected, and reading why from the pipeline."""
    return [
        allow(["sagemaker:UpdateModelPackage"], [_model_versions(names)]),
        allow(["codepipeline:ListActionExecutions"], [names.arn("codepipeline", names.pipeline)]),
    ]


def collect_evidence(names: Names, key_arn: str | None) -> list[Statement]:
    """Allow reading what is known of a model, writing its evidence, and naming that in its version.

    Args:
        names: names in the account of the pipeline.
        key_arn: KMS key of the artifact store; None for S3's own.
    """

    def reports(folder: str, *files: str) -> list[str]:
        keys = [f"{REPORT_PREFIX}/{folder}/{file}" for file in files]
        return [names.s3_arn(names.artifact_bucket, key) for key in keys]

    return [
        allow(
            ["codepipeline:GetPipelineExecution", "codepipeline:ListActionExecutions"],
            [names.arn("codepipeline", names.pipeline)],
        ),
        allow(
            ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
            [_model_versions(names)],
        ),
        allow(
            ["sagemaker:DescribeTrainingJob"],
            [names.arn("sagemaker", f"training-job/{names.model}-*")],
        ),
        allow(["ecr:DescribeImages"], [names.arn("ecr", f"repository/{names.repository}")]),
        allow(["s3:GetObject"], reports("*", "check.json", "evaluation.json", "rehearsal.json")),
        allow(["s3:PutObject"], reports("version-*", "evidence.json", "evidence.html")),
        *use_key(names, key_arn, "s3"),
    ]


def read_versions(names: Names) -> list[Statement]:
    """Allow listing the versions of the model and reading each of them."""
    return [
        allow(
            ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
            [_model_versions(names)],
        ),
    ]


def read_executions(names: Names) -> list[Statement]:
    """Allow reading the status of the pipeline's executions."""
    return [
        allow(["codepipeline:GetPipelineExecution"], [names.arn("codepipeline", names.pipeline)])
    ]


def _model_group(names: Names) -> str:
    return names.arn("sagemaker", f"model-package-group/{names.model}")


def _model_versions(names: Names) -> str:
    return names.arn("sagemaker", f"model-package/{names.model}/*")


def invoke_endpoints(names: Names, endpoints: Sequence[str]) -> Statement:
    """Allow invoking endpoints, and reading which configuration they have."""
    arns = [names.arn("sagemaker", f"endpoint/{endpoint}") for endpoint in endpoints]
    return allow(["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"], arns)


def retrain(names: Names) -> list[Statement]:
    """Allow starting the pipeline, and reading what started it before."""
    actions = (
        "codepipeline:GetPipelineExecution",
        "codepipeline:ListPipelineExecutions",
        "codepipeline:StartPipelineExecution",
    )
    return [allow(actions, [names.arn("codepipeline", names.pipeline)])]


# The pipeline itself


def start_pipeline(names: Names, pipeline: str) -> str:
    """Return the policy of an EventBridge rule that starts a pipeline."""
    return document(
        allow(["codepipeline:StartPipelineExecution"], [names.arn("codepipeline", pipeline)])
    )


def use_artifact_store(names: Names, key_arn: str | None) -> list[Statement]:
    """Allow reading and writing a pipeline's artifact store."""
    artifacts = names.s3_arn(names.artifact_bucket)
    return [
        _inspect_buckets([artifacts]),
        allow([*_ARTIFACT_READ, "s3:PutObject"], [f"{artifacts}/*"]),
        *use_key(names, key_arn, "s3"),
    ]


def read_sources(names: Names, objects: Sequence[tuple[str, str]]) -> list[Statement]:
    """Allow reading a pipeline's source objects, each given as a bucket and a key."""
    return [
        _inspect_buckets([names.s3_arn(bucket) for bucket, _ in objects]),
        allow(
            [*_ARTIFACT_READ, "s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
            [names.s3_arn(bucket, key) for bucket, key in objects],
        ),
    ]


def deploy_stacks(
    names: Names,
    stacks: Sequence[str],
    deploy_role_arns: Sequence[str],
    *,
    replaced: Sequence[str] = (),
) -> list[Statement]:
    """Allow deploying CloudFormation stacks, and passing the deploy roles to CloudFormation.

    Args:
        names: names in the account of the stacks.
        stacks: names of the stacks.
        deploy_role_arns: the roles that CloudFormation deploys them with.
        replaced: names of the stacks that may be deleted after a failed creation.
    """
    delete = [
        allow(
            ["cloudformation:DeleteStack"],
            [names.arn("cloudformation", f"stack/{stack}/*") for stack in replaced],
        )
    ]
    return [
        *(delete if replaced else []),
        allow(
            [
                "cloudformation:CreateStack",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStackResources",
                "cloudformation:DescribeStacks",
                "cloudformation:UpdateStack",
            ],
            [names.arn("cloudformation", f"stack/{stack}/*") for stack in stacks],
        ),
        *(pass_role(arn, CLOUDFORMATION) for arn in deploy_role_arns),
    ]


def _inspect_buckets(bucket_arns: Sequence[str]) -> Statement:
    return allow(["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"], bucket_arns)
