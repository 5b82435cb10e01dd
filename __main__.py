"""The lab's stacks: read the settings, wire the components, export what others need.

prd   the production EndpointEnvironment
dev   DataLake ─► DeliveryPipeline ─► DEV EndpointEnvironment
      ImageRepository ─┘        └───► PRD, by a reference to stack prd
"""

import os

import pulumi
import pulumi_aws as aws

from components import settings as stack_settings
from components.data_lake import DataLake
from components.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.endpoint_environment import EndpointEnvironment, EndpointEnvironmentArgs
from components.image_repository import ImageRepository
from components.naming import DATASET_KEY, Names
from components.production_stack import production_target
from components.provider import endpoint_provider
from components.settings import Environment

settings = stack_settings.read()
provider = endpoint_provider(os.environ, settings.region)
opts = pulumi.ResourceOptions(providers=[provider] if provider else None)
invoke_opts = pulumi.InvokeOptions(provider=provider)
names = Names(
    model=settings.model_name,
    account=aws.get_caller_identity(opts=invoke_opts).account_id,
    region=settings.region,
    partition=aws.get_partition(opts=invoke_opts).partition,
)

environment = EndpointEnvironment(
    settings.environment.value,
    names,
    EndpointEnvironmentArgs(settings.environment, settings.endpoint, settings.tags),
    opts,
)
for key, value in environment.outputs.items():
    pulumi.export(key, value)

if settings.environment is Environment.DEV:
    production = None
    if settings.delivery.production_stack is not None:
        production = production_target(settings.delivery.production_stack, names)
        pulumi.export("productionEndpointName", production.apply(lambda to: to.endpoint_name))

    data_lake = DataLake("lake", names, tags=settings.tags, opts=opts)
    images = ImageRepository("images", names, tags=settings.tags, opts=opts)
    delivery = DeliveryPipeline(
        "delivery",
        names,
        DeliveryPipelineArgs(
            settings=settings.delivery,
            data_lake=data_lake,
            image_repository=images.name,
            development=environment.target,
            production=production,
            tags=settings.tags,
        ),
        opts,
    )
    pulumi.export("modelName", settings.model_name)
    pulumi.export("pipelineName", delivery.pipeline_name)
    pulumi.export("dataBucket", data_lake.bucket_name)
    pulumi.export("datasetKey", DATASET_KEY)
    pulumi.export("artifactBucket", delivery.artifacts.name)
    pulumi.export("repositoryName", images.name)
    pulumi.export("repositoryUrl", images.url)
    pulumi.export("imageTag", settings.delivery.training.image_tag)
    pulumi.export("approvalTopicArn", delivery.approval_topic.arn)
