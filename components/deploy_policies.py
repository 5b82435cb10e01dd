"""The policy of the role that CloudFormation deploys an endpoint with. Pure: names in, policy out.

Must not: register resources.
"""

from collections.abc import Sequence

from components.naming import Names
from components.policies import SAGEMAKER, Statement, allow, document, pass_role


def deploy_role(
    names: Names,
    environment: str,
    execution_role_arn: str,
    *,
    rollback_alarms: Sequence[str],
    own_alarms: Sequence[str],
    scaling: bool,
    versions_of: Names | None,
) -> str:
    """Return the policy of an environment's deploy role.

    Args:
        names: the account's names.
        environment: ``dev`` or ``prd``.
        execution_role_arn: role that CloudFormation passes to SageMaker.
        rollback_alarms: names of the alarms that SageMaker reads during a deployment.
        own_alarms: names of the alarms in the endpoint's stack.
        scaling: allow managing the endpoint's scaling.
        versions_of: names in the account with the registry, whose versions are deployed; None if
            the image and the model are.
    """
    endpoint = names.arn("sagemaker", f"endpoint/{names.endpoint(environment)}")
    # CloudFormation names models and configurations itself, after their logical ids.
    generated = [names.arn("sagemaker", "model/*"), names.arn("sagemaker", "endpoint-config/*")]
    statements = [
        allow(
            [
                "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateModel",
                "sagemaker:DeleteEndpointConfig",
                "sagemaker:DeleteModel",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:DescribeModel",
            ],
            generated,
        ),
        allow(
            ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"],
            [endpoint, names.arn("sagemaker", "endpoint-config/*")],
        ),
        allow(["sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint"], [endpoint]),
        allow(
            ["sagemaker:AddTags", "sagemaker:DeleteTags", "sagemaker:ListTags"],
            [endpoint, *generated],
        ),
        pass_role(execution_role_arn, SAGEMAKER),
    ]
    if versions_of is not None:
        # In another account, the policy of the versions' group has to allow it, too.
        # Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
        version = versions_of.arn("sagemaker", f"model-package/{versions_of.model}/*")
        statements.append(
            allow(["sagemaker:CreateModel", "sagemaker:DescribeModelPackage"], [version])
        )
    if rollback_alarms:
        # SageMaker reads them while traffic shifts.
        arns = [names.arn("cloudwatch", f"alarm:{alarm}") for alarm in rollback_alarms]
        statements.append(allow(["cloudwatch:DescribeAlarms"], arns))
    if own_alarms:
        statements.append(
            allow(
                [
                    "cloudwatch:DeleteAlarms",
                    "cloudwatch:DescribeAlarms",
                    "cloudwatch:ListTagsForResource",
                    "cloudwatch:PutMetricAlarm",
                    "cloudwatch:TagResource",
                    "cloudwatch:UntagResource",
                ],
                [names.arn("cloudwatch", f"alarm:{alarm}") for alarm in own_alarms],
            )
        )
    return document(statements, _scale_endpoint(names, endpoint) if scaling else [])


def _scale_endpoint(names: Names, endpoint_arn: str) -> list[Statement]:
    linked_role = (
        "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
        "/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    return [
        # Application Auto Scaling gives scalable targets random ids.
        allow(
            [
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeleteScheduledAction",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:ListTagsForResource",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:TagResource",
            ],
            [names.arn("application-autoscaling", "scalable-target/*")],
        ),
        # These actions do not support resource-level permissions.
        allow(
            [
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
            ["*"],
        ),
        allow(["sagemaker:UpdateEndpointWeightsAndCapacities"], [endpoint_arn]),
        allow(
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            [names.arn("cloudwatch", "alarm:TargetTracking-*")],
        ),
        allow(
            ["iam:CreateServiceLinkedRole"],
            [names.iam_arn(linked_role)],
            {
                "StringEquals": {
                    "iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"
                }
            },
        ),
    ]
