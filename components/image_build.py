"""ImageBuild: builds and releases the model container's image on each push to the repository.

git push ─► CodeCommit ─► EventBridge ─► pipeline: Source ─► (BuildArm64) ─► Build (CodeBuild)
         └► GitHub ─────► connection ──┘                       │ model/buildspec.yml
                                          ECR, by digest  ◄────┤
                                          SSM parameter   ◄────┘ read by training
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.codepipeline import PipelineStageActionArgsDict, PipelineStageArgsDict

from components import build_policies, policies
from components.artifact_store import artifact_store
from components.image_repository import NO_IMAGE, ImageRepository
from components.instance_types import AMD64, ARM64
from components.log_group import log_group
from components.naming import Names
from components.pipeline_trigger import start_on_event
from components.private_bucket import PrivateBucket
from components.service_role import service_role
from components.settings import ImageScanSeverity

BUILDSPEC = "model/buildspec.yml"
# Docker comes with CodeBuild's own images. Each builds for its own architecture, without emulation.
# Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
BUILD_IMAGES = {
    AMD64: ("LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:6.0"),
    ARM64: ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:4.0"),
}
BUILD_TIMEOUT_MINUTES = 30
# https://docs.aws.amazon.com/codecommit/latest/userguide/how-to-create-template.html
APPROVAL_RULE_VERSION = "2018-11-08"
SOURCE_ARTIFACT = "SourceArtifact"
IMAGE_ARTIFACT = "ImageArtifact"
ARM64_ARTIFACT = "Arm64ImageArtifact"


@dataclass(frozen=True, slots=True)
class ConnectedRepository:
    """A repository of GitHub or its like.

    Attributes:
        full_name: ``ORG/REPO``.
        connection_arn: the connection through which the pipeline reads it.
    """

    full_name: str
    connection_arn: str


@dataclass(frozen=True, slots=True)
class ImageBuildArgs:
    """The source, the target repository and the artifact store.

    Attributes:
        branch: branch whose pushes are built.
        approvals: approvals that a pull request into the branch needs, in CodeCommit; 0 for none.
        connected: repository with the source; None for a CodeCommit repository of the stack.
        arm64: build for arm64, too; both images are released together.
        scan_severity: least severity of a finding that stops the release of an image.
        artifacts: the pipeline's artifact store.
        images: the repository of the built images.
        key_arn: KMS key of the artifacts; None for S3's own encryption.
        log_retention_days: days after which lines of the build's log expire.
        tags: tags for each resource.
    """

    branch: str
    approvals: int
    connected: ConnectedRepository | None
    arm64: bool
    scan_severity: ImageScanSeverity
    artifacts: PrivateBucket
    images: ImageRepository
    key_arn: pulumi.Input[str] | None
    log_retention_days: int
    tags: Mapping[str, str]


class ImageBuild(pulumi.ComponentResource):
    """The source repository, the build project, and the pipeline that connects them.

    Attributes:
        source: the CodeCommit repository; None if the source is behind a connection.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        args: ImageBuildArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:ImageBuild", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._name, self._names, self._args = name, names, args
        self.source: aws.codecommit.Repository | None = None
        if args.connected is None:
            self.source = aws.codecommit.Repository(
                f"{name}-source",
                repository_name=names.source_repository,
                description=f"Source of {names.model}; pushes to {args.branch} build its container",
                tags=dict(args.tags),
                opts=child,
            )
            self._approval_rule(self.source)
        releases = [names.image_parameter, *([names.arm64_image_parameter] if args.arm64 else [])]
        projects = [self._project(AMD64, names.image_build, releases)]
        if args.arm64:
            projects.append(self._project(ARM64, names.arm64_image_build, []))
        key_arn = args.key_arn
        role, policy = service_role(
            f"{name}-pipeline",
            names,
            "image-pipeline",
            trust=policies.trust(names, policies.CODEPIPELINE),
            description=f"Permissions of pipeline {names.image_pipeline}",
            policy=pulumi.Output.from_input(key_arn).apply(
                lambda key: build_policies.pipeline_role(
                    names,
                    key,
                    args.connected.connection_arn if args.connected else None,
                    arm64=args.arm64,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        self.pipeline = aws.codepipeline.Pipeline(
            f"{name}-pipeline",
            name=names.image_pipeline,
            pipeline_type="V2",
            # The image of an older push must not be released after that of a newer one.
            execution_mode="SUPERSEDED",
            role_arn=role.arn,
            artifact_stores=[artifact_store(args.artifacts.name, key_arn)],
            stages=stages(names, args.branch, args.connected, arm64=args.arm64),
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[
                    *(policy, *projects, *args.artifacts.ready),
                    *([self.source] if self.source else []),
                ],
            ),
        )
        # A connection starts the pipeline itself, by the webhook of the provider.
        if self.source is not None:
            self._trigger()
        self.register_outputs(self.outputs)

    @property
    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """The source as the stack exports it: the repository's name, or the URL to push to."""
        if self._args.connected is not None:
            return {"sourceRepository": self._args.connected.full_name}
        return {"sourceCloneUrl": self.source.clone_url_http} if self.source else {}

    def _approval_rule(self, source: aws.codecommit.Repository) -> None:
        """Require approvals of pull requests into the branch that is built."""
        if not self._args.approvals:
            return
        rule = {
            "Version": APPROVAL_RULE_VERSION,
            "DestinationReferences": [f"refs/heads/{self._args.branch}"],
            # Without a pool, anyone but the author may approve.
            "Statements": [{"Type": "Approvers", "NumberOfApprovalsNeeded": self._args.approvals}],
        }
        template = aws.codecommit.ApprovalRuleTemplate(
            f"{self._name}-approvals",
            name=self._names.source_approval_rule,
            description=f"Pull requests into {self._args.branch} of {self._names.model}",
            content=json.dumps(rule),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.codecommit.ApprovalRuleTemplateAssociation(
            f"{self._name}-approvals",
            approval_rule_template_name=template.name,
            repository_name=source.repository_name,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _project(
        self, architecture: str, project: str, releases: Sequence[str]
    ) -> aws.codebuild.Project:
        """Create the project that builds for an architecture.

        Args:
            architecture: ``amd64`` or ``arm64``.
            project: the project's name.
            releases: the SSM parameters that it writes; none if another one releases its image.
        """
        names, args = self._names, self._args
        suffix = "" if architecture == AMD64 else f"-{architecture}"
        kind, build_image = BUILD_IMAGES[architecture]
        logs = log_group(
            f"{self._name}-logs{suffix}",
            f"/aws/codebuild/{project}",
            retention_days=args.log_retention_days,
            key_arn=args.key_arn,
            tags=args.tags,
            parent=self,
        )
        role, policy = service_role(
            f"{self._name}-project{suffix}",
            names,
            f"image-build{suffix}",
            trust=policies.trust(names, policies.CODEBUILD),
            description=f"Permissions of build project {project}",
            policy=pulumi.Output.from_input(args.key_arn).apply(
                lambda key: build_policies.build_role(
                    names,
                    key,
                    project,
                    scans=args.scan_severity is not ImageScanSeverity.NONE,
                    releases=releases,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        purpose = "and releases it" if releases else f"for {architecture}"
        return aws.codebuild.Project(
            f"{self._name}-project{suffix}",
            name=project,
            description=f"Builds the model container of {names.model} {purpose}",
            service_role=role.arn,
            build_timeout=BUILD_TIMEOUT_MINUTES,
            encryption_key=args.key_arn,
            source={"type": "CODEPIPELINE", "buildspec": BUILDSPEC},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": kind,
                "compute_type": "BUILD_GENERAL1_SMALL",
                "image": build_image,
                # Docker needs it.
                "privileged_mode": True,
                "environment_variables": [
                    {"name": "IMAGE_REPOSITORY", "value": args.images.url},
                    {"name": "IMAGE_ARCHITECTURE", "value": architecture},
                    {
                        "name": "IMAGE_PARAMETER",
                        "value": args.images.parameter if releases else NO_IMAGE,
                    },
                    # The action of the pipeline gives the image that was built before.
                    {"name": "ARM64_IMAGE", "value": NO_IMAGE},
                    {"name": "IMAGE_SCAN_SEVERITY", "value": args.scan_severity.value},
                ],
            },
            logs_config={"cloudwatch_logs": {"group_name": logs.name}},
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _trigger(self) -> None:
        names, args = self._names, self._args
        event_pattern = {
            "source": ["aws.codecommit"],
            "detail-type": ["CodeCommit Repository State Change"],
            "resources": [names.arn("codecommit", names.source_repository)],
            "detail": {
                "event": ["referenceCreated", "referenceUpdated"],
                "referenceType": ["branch"],
                "referenceName": [args.branch],
            },
        }
        start_on_event(
            "source-pushed",
            names,
            self.pipeline,
            names.image_pipeline,
            event_pattern=json.dumps(event_pattern),
            description=f"Starts {names.image_pipeline} on a push to {args.branch}",
            role_name=f"{self._name}-trigger",
            role_purpose="image-trigger",
            tags=args.tags,
            parent=self,
        )


def stages(
    names: Names, branch: str, connected: ConnectedRepository | None, *, arm64: bool
) -> list[PipelineStageArgsDict]:
    """Return the stages of the image's pipeline: fetch the source, build and release.

    Args:
        names: the account's names.
        branch: the branch whose pushes are built.
        connected: repository with the source; None for CodeCommit.
        arm64: build for arm64 first, so that the build for amd64 can release both.
    """
    provider, source = _source(names, branch, connected)
    builds = [_build("Build", names.image_build, IMAGE_ARTIFACT, 2 if arm64 else 1)]
    if arm64:
        variables = [{"name": "ARM64_IMAGE", "value": "#{BuildArm64.IMAGE_URI}"}]
        builds[0]["configuration"] = {
            "ProjectName": names.image_build,
            "EnvironmentVariables": json.dumps(variables, separators=(",", ":")),
        }
        builds.insert(0, _build("BuildArm64", names.arm64_image_build, ARM64_ARTIFACT, 1))
    return [
        {
            "name": "Source",
            "actions": [
                {
                    "name": "Source",
                    "category": "Source",
                    "owner": "AWS",
                    "provider": provider,
                    "version": "1",
                    "namespace": "Source",
                    "configuration": source,
                    "output_artifacts": [SOURCE_ARTIFACT],
                }
            ],
        },
        {"name": "Build", "actions": builds},
    ]


def _build(name: str, project: str, artifact: str, order: int) -> PipelineStageActionArgsDict:
    return {
        "name": name,
        "category": "Build",
        "owner": "AWS",
        "provider": "CodeBuild",
        "version": "1",
        "run_order": order,
        "namespace": name,
        "configuration": {"ProjectName": project},
        "input_artifacts": [SOURCE_ARTIFACT],
        "output_artifacts": [artifact],
    }


def _source(
    names: Names, branch: str, connected: ConnectedRepository | None
) -> tuple[str, dict[str, str]]:
    """Return the provider of the source action and its configuration."""
    if connected is None:
        return "CodeCommit", {
            "RepositoryName": names.source_repository,
            "BranchName": branch,
            "PollForSourceChanges": "false",
        }
    return "CodeStarSourceConnection", {
        "ConnectionArn": connected.connection_arn,
        "FullRepositoryId": connected.full_name,
        "BranchName": branch,
        "DetectChanges": "true",
        "OutputArtifactFormat": "CODE_ZIP",
    }
