"""The policies of the image build's roles. Pure: names in, policy documents out.

Must not: register resources.
"""

from collections.abc import Sequence

from components.naming import Names
from components.policies import Statement, allow, document, use_artifact_store, use_key


def pipeline_role(
    names: Names, key_arn: str | None, connection_arn: str | None, *, arm64: bool
) -> str:
    """Return the policy of the image's pipeline: fetch the source, start the build.

    Args:
        names: the account's names.
        key_arn: KMS key of the artifacts; None for S3's own encryption.
        connection_arn: connection to the source repository; None for CodeCommit.
        arm64: allow starting the build for arm64, too.
    """
    projects = [names.image_build, *([names.arm64_image_build] if arm64 else [])]
    return document(
        use_artifact_store(names, key_arn),
        _read_repository(names) if connection_arn is None else _use_connection(connection_arn),
        allow(
            ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
            [names.arn("codebuild", f"project/{project}") for project in projects],
        ),
    )


def _read_repository(names: Names) -> Statement:
    return allow(
        [
            "codecommit:CancelUploadArchive",
            "codecommit:GetBranch",
            "codecommit:GetCommit",
            "codecommit:GetUploadArchiveStatus",
            "codecommit:UploadArchive",
        ],
        [names.arn("codecommit", names.source_repository)],
    )


def _use_connection(arn: str) -> Statement:
    """Grant the use of a connection under both names of the service.

    AWS's guide says that the prefix of the action must match that of the connection. Users report
    that CodePipeline requires the former one for connections of the new name, too.
    Source: https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html
    """
    return allow(["codeconnections:UseConnection", "codestar-connections:UseConnection"], [arn])


def build_role(
    names: Names, key_arn: str | None, project: str, *, scans: bool, releases: Sequence[str]
) -> str:
    """Return the policy of a build: write logs, push the image, release it.

    Args:
        names: the account's names.
        key_arn: KMS key of the artifacts; None for S3's own encryption.
        project: the project's name.
        scans: allow reading the findings of an image's scan.
        releases: the SSM parameters that it may write; none if it only builds.
    """
    parameters = [names.arn("ssm", f"parameter{name}") for name in releases]
    repository = names.arn("ecr", f"repository/{names.repository}")
    group = names.arn("logs", f"log-group:/aws/codebuild/{project}")
    artifacts = names.s3_arn(names.artifact_bucket)
    return document(
        allow(["s3:GetBucketAcl", "s3:GetBucketLocation"], [artifacts]),
        allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], [f"{artifacts}/*"]),
        use_key(names, key_arn, "s3"),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"]),
        # GetAuthorizationToken has no resource level.
        allow(["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [repository],
        ),
        allow(["ecr:DescribeImageScanFindings"], [repository]) if scans else [],
        allow(["ssm:PutParameter"], parameters) if parameters else [],
    )
