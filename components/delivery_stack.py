"""What the dev stack has beside its endpoint environment: data, image, delivery.

Owns how these components are wired to one another. Must not: decide anything of AWS.

    DataLake ──────────────────────────────► DeliveryPipeline ─► FailureNotice
    ImageBuild ─► ImageRepository ─(parameter)─┘  │
         └────────── artifact store ──────────────┘
"""

import pulumi

from components import resource_policies
from components.data_lake import DataLake
from components.data_protection import DataProtection
from components.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.failure_notice import FailureNotice
from components.image_build import ImageBuild, ImageBuildArgs
from components.image_repository import ImageRepository
from components.naming import DATASET_KEY, Names
from components.pipeline_stages import DeployTarget
from components.private_bucket import PrivateBucket
from components.production_stack import production_target
from components.settings import StackSettings


def deploy(
    settings: StackSettings,
    names: Names,
    protection: DataProtection,
    notification_topic_arn: pulumi.Input[str],
    development: pulumi.Output[DeployTarget],
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Input[object]]:
    """Make the data lake, the image's build and the delivery pipeline; return their exports."""
    delivery_settings, tags = settings.delivery, settings.tags
    exports: dict[str, pulumi.Input[object]] = {}
    production, elsewhere = None, None
    if delivery_settings.production_account is not None:
        elsewhere = names.in_account(delivery_settings.production_account)
    if delivery_settings.production_stack is not None:
        production = production_target(
            delivery_settings.production_stack, names, delivery_settings, settings.safety
        )
        exports["productionEndpointName"] = production.apply(lambda to: to.endpoint_name)

    data_lake = DataLake("lake", names, safety=protection.buckets, tags=tags, opts=opts)
    artifacts = PrivateBucket(
        "artifacts",
        names.artifact_bucket,
        names,
        safety=protection.buckets,
        tags=tags,
        statements=resource_policies.share_artifacts(names, elsewhere) if elsewhere else (),
        opts=opts,
    )
    images = ImageRepository(
        "images",
        names,
        key_arn=protection.key_arn,
        share_with=elsewhere,
        tags=tags,
        opts=opts,
    )
    build = ImageBuild(
        "image-build",
        names,
        ImageBuildArgs(
            branch=delivery_settings.source_branch,
            artifacts=artifacts,
            images=images,
            key_arn=protection.key_arn,
            tags=tags,
        ),
        opts,
    )
    delivery = DeliveryPipeline(
        "delivery",
        names,
        DeliveryPipelineArgs(
            settings=delivery_settings,
            data_lake=data_lake,
            artifacts=artifacts,
            image_parameter=images.parameter,
            key_arn=protection.key_arn,
            development=development,
            production=production,
            tags=tags,
        ),
        opts,
    )
    FailureNotice(
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
        "sourceCloneUrl": build.clone_url,
        "approvalTopicArn": delivery.approval_topic.arn,
    }
