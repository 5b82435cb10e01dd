"""The lab's stacks: read the settings, wire the components, export what others need.

prd   the production EndpointEnvironment
dev   DataLake ─────► DeliveryPipeline ─► DEV EndpointEnvironment
      ImageBuild ─► ImageRepository ┘└──► PRD, by a reference to stack prd
both  DataProtection, NotificationTopic, MonthlyBudget
"""

import os
from datetime import date

import pulumi
import pulumi_aws as aws

from components import costs, delivery_stack, deployed_endpoint, settings_loader
from components.budget import MonthlyBudget
from components.data_protection import DataProtection
from components.endpoint_environment import EndpointEnvironment, EndpointEnvironmentArgs
from components.naming import Names
from components.notification_topic import NotificationTopic
from components.production_stack import production_target
from components.provider import endpoint_provider
from components.resource_policies import PUBLISHERS
from components.settings import Environment

settings = settings_loader.load()
environment_name, tags = settings.environment.value, settings.tags
provider = endpoint_provider(os.environ, settings.region)
opts = pulumi.ResourceOptions(providers=[provider] if provider else None)
invoke_opts = pulumi.InvokeOptions(provider=provider)
names = Names(
    model=settings.model_name,
    account=aws.get_caller_identity(opts=invoke_opts).account_id,
    region=settings.region,
    partition=aws.get_partition(opts=invoke_opts).partition,
    role_path=settings.roles.path,
    permissions_boundary=settings.roles.permissions_boundary,
)

# A production or an endpoint that does not fit ends the program here, before anything is
# registered.
production = None
if settings.environment is Environment.DEV and settings.delivery.production_stack is not None:
    production = production_target(
        settings.delivery.production_stack, names, settings.delivery, settings.safety
    )
deployed_endpoint.check(
    names.cloudformation_stack(environment_name),
    names.endpoint(environment_name),
    settings.endpoint,
    invoke_opts,
)
production_account = settings.delivery.production_account
protection = DataProtection(
    "protection",
    names,
    environment_name,
    settings.safety,
    tags=tags,
    share_with=names.in_account(production_account) if production_account else None,
    opts=opts,
)
notifications = NotificationTopic(
    "notifications",
    names,
    purpose=f"notifications-{environment_name}",
    email=settings.ownership.notification_email,
    key_arn=protection.key_arn,
    publishers=PUBLISHERS,
    tags=tags,
    opts=opts,
)
environment = EndpointEnvironment(
    environment_name,
    names,
    EndpointEnvironmentArgs(
        environment=settings.environment,
        endpoint=settings.endpoint,
        network=settings.network,
        functions=settings.functions,
        protection=protection,
        log_retention_days=settings.log_retention_days,
        delivery=names.in_account(settings.delivery_account),
        notification_topic_arn=notifications.arn,
        tags=tags,
    ),
    opts,
)
estimate = costs.estimate(settings, date.today())
if estimate["warning"]:
    pulumi.log.warn(estimate["warning"])
exports: dict[str, pulumi.Input[object]] = {
    **environment.outputs,
    "notificationTopicArn": notifications.arn,
    "monthlyCostEstimate": estimate,
}
if settings.ownership.monthly_budget_usd and settings.ownership.notification_email:
    MonthlyBudget(
        "budget",
        names,
        settings.stack,
        limit_usd=settings.ownership.monthly_budget_usd,
        email=settings.ownership.notification_email,
        tags=tags,
        opts=opts,
    )
if settings.environment is Environment.DEV:
    exports |= delivery_stack.deploy(
        settings, names, protection, notifications.arn, environment.target, production, opts
    )
for key, value in exports.items():
    pulumi.export(key, value)
