"""The dev stack's components besides its endpoint environment: data, image and delivery.

Owns the wiring of these components. Must not: decide the properties of AWS resources.

    DataLake ──────────────────────────────► DeliveryPipeline ─► FailureNotification
    ImageBuild ─► ImageRepository ─(parameter)─┘  │
         └────────── artifact store ──────────────┘
"""

import pulumi

from components import resource_policies
from components.data_lake import DataLake
from components.data_protection import DataProtection
from components.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.failure_notification import FailureNotification
from components.image_build import ConnectedRepository, ImageBuild, ImageBuildArgs
from components.image_repository import ImageRepository
from components.naming import DATASET_KEY, Names
from components.pipeline_stages import DeployTarget
from components.private_bucket import PrivateBucket
from components.settings import DeliverySettings, StackSettings

ARTIFACT_DAYS = 30


def deploy(
    settings: StackSettings,
    names: Names,
    protection: DataProtection,
    notification_topic_arn: pulumi.Input[str],
    development: pulumi.Output[DeployTarget],
    production: pulumi.Output[DeployTarget] | None,
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Input[object]]:
    """Create the data lake, the image build and the delivery pipeline; return their exports.

    Args:
        settings: the stack's settings.
        names: the account's names.
        protection: encryption, access logs and deletion protection.
        notification_topic_arn: topic that receives failure notifications.
        development: the DEV target.
        production: the production target; None if the pipeline ends after DEV.
        opts: resource options of the components.
    """
    delivery_settings, tags = settings.delivery, settings.tags
    exports: dict[str, pulumi.Input[object]] = {}
    other_account = None
    if delivery_settings.production_account is not None:
        other_account = names.in_account(delivery_settings.production_account)
    if production is not None:
        exports["productionEndpointName"] = production.apply(lambda target: target.endpoint_name)

    data_lake = DataLake("lake", names, safety=protection.buckets, tags=tags, opts=opts)
    artifacts = PrivateBucket(
        "artifacts",
        names.artifact_bucket,
        names,
        safety=protection.buckets,
        tags=tags,
        # An approval waits for seven days at most. Trained models are not among these.
        expire_prefixes=dict.fromkeys(names.artifact_prefixes, ARTIFACT_DAYS),
        statements=resource_policies.share_artifacts(names, other_account) if other_account else (),
        opts=opts,
    )
    images = ImageRepository(
        "images",
        names,
        key_arn=protection.key_arn,
        share_with=other_account,
        arm64=delivery_settings.arm64_image,
        tags=tags,
        opts=opts,
    )
    build = ImageBuild(
        "image-build",
        names,
        ImageBuildArgs(
            branch=delivery_settings.source_branch,
            approvals=delivery_settings.source_approvals,
            connected=_connected(delivery_settings),
            arm64=delivery_settings.arm64_image,
            scan_severity=delivery_settings.image_scan_severity,
            artifacts=artifacts,
            images=images,
            key_arn=protection.key_arn,
            log_retention_days=settings.log_retention_days,
            tags=tags,
        ),
        opts,
    )
    delivery = DeliveryPipeline(
        "delivery",
        names,
        DeliveryPipelineArgs(
            settings=delivery_settings,
            network=settings.network,
            functions=settings.functions,
            data_lake=data_lake,
            artifacts=artifacts,
            image_parameter=images.parameter,
            key_arn=protection.key_arn,
            log_retention_days=settings.log_retention_days,
            development=development,
            production=production,
            tags=tags,
        ),
        opts,
    )
    FailureNotification(
        "failure-notice",
        names,
        pipelines=[names.pipeline, names.image_pipeline],
        topic_arn=notification_topic_arn,
        tags=tags,
        opts=opts,
    )
    return {
        **exports,
        "modelName": settings.model_name,
        "pipelineName": delivery.pipeline_name,
        "dataBucket": data_lake.bucket_name,
        "datasetKey": DATASET_KEY,
        "artifactBucket": artifacts.name,
        "repositoryName": images.name,
        "repositoryUrl": images.url,
        "imageParameter": images.parameter,
        "imagePipelineName": build.pipeline.name,
        **build.outputs,
        "approvalTopicArn": delivery.approval_topic.arn,
    }


def _connected(settings: DeliverySettings) -> ConnectedRepository | None:
    name, arn = settings.source_repository, settings.source_connection_arn
    return ConnectedRepository(name, arn) if name is not None and arn is not None else None
