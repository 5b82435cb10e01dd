"""The services of the local cloud, and how they depend on one another.

The order matters twice. A request is offered to `handle` in it: invocations come first, because
theirs is the hot path. `resume` is called in it, too: an action of a pipeline looks at the stack
that it deployed, so CloudFormation resumes before CodePipeline.

A new service is a folder with a `service.py`, a line in SERVICES, a field, and its construction.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from localcloud.autoscaling.service import AutoScalingService
from localcloud.cloudformation.service import CloudFormationService
from localcloud.cloudwatch.service import CloudWatchService
from localcloud.codebuild.service import CodeBuildService
from localcloud.codecommit.service import CodeCommitService
from localcloud.codeconnections.api import ConnectionsApi
from localcloud.codeconnections.service import CodeConnectionsService
from localcloud.codepipeline.service import CodePipelineService
from localcloud.eventbridge.service import EventBridgeService
from localcloud.iam.service import IamService
from localcloud.lambda_.service import LambdaService
from localcloud.sagemaker.service import SageMakerService
from localcloud.service import Service
from localcloud.service_context import ServiceContext

SERVICES: tuple[type[Service], ...] = (
    SageMakerService,
    LambdaService,
    CodeCommitService,
    CodeConnectionsService,
    CodeBuildService,
    CloudFormationService,
    CodePipelineService,
    AutoScalingService,
    CloudWatchService,
    EventBridgeService,
    IamService,
)


@dataclass(frozen=True, slots=True)
class Services:
    """One instance of each class in SERVICES, in the same order."""

    sagemaker: SageMakerService
    functions: LambdaService
    codecommit: CodeCommitService
    codeconnections: CodeConnectionsService
    codebuild: CodeBuildService
    cloudformation: CloudFormationService
    codepipeline: CodePipelineService
    autoscaling: AutoScalingService
    cloudwatch: CloudWatchService
    eventbridge: EventBridgeService
    iam: IamService

    def all(self) -> tuple[Service, ...]:
        """Return every service, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


def build(context: ServiceContext, invocation_limit_bytes: int) -> Services:
    """Construct the services; call it in the event loop that they will run in.

    Args:
        context: what services share.
        invocation_limit_bytes: the longest body of an InvokeEndpoint request.
    """
    functions = LambdaService(context)
    codecommit = CodeCommitService(context)
    connections = ConnectionsApi(context)
    codebuild = CodeBuildService(context)
    codepipeline = CodePipelineService(
        context, functions, codecommit.repositories, connections, codebuild.builds
    )
    autoscaling = AutoScalingService(context)
    return Services(
        sagemaker=SageMakerService(context, invocation_limit_bytes),
        functions=functions,
        codecommit=codecommit,
        codeconnections=CodeConnectionsService(connections, codepipeline.pipelines.start_by_push),
        codebuild=codebuild,
        cloudformation=CloudFormationService(context),
        codepipeline=codepipeline,
        autoscaling=autoscaling,
        cloudwatch=CloudWatchService(context, autoscaling.targets.engine.on_alarm),
        eventbridge=EventBridgeService(context, codepipeline.pipelines, functions),
        iam=IamService(context),
    )
