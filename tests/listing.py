"""Lists what exists on a cloud in every service, to prove that nothing is left behind.

What AWS makes by itself is left out: service-linked roles, the keys and aliases of services, and
the log groups that SageMaker's jobs and endpoints write (`/aws/sagemaker/...`): on AWS too these
belong to no stack and outlive it.
"""

from __future__ import annotations

from typing import Any

from localcloud.deploy.stacks import aws_at
from tests.cloud import ACCOUNT, REGION, TestCloud

WRITTEN_BY_SERVICES = ("/aws/sagemaker/",)


def resources(cloud: TestCloud) -> dict[str, list[str]]:
    """Return the names of all resources by kind; a kind of which there are none is left out."""
    client = aws_at(cloud.url, REGION).client
    cloudwatch, sagemaker, kms = client("cloudwatch"), client("sagemaker"), client("kms")
    alarms = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    groups = client("logs").describe_log_groups()["logGroups"]
    roles = client("iam").list_roles()["Roles"]
    found = {
        "buckets": names(client("s3").list_buckets()["Buckets"], "Name"),
        "roles": [r["RoleName"] for r in roles if not r["Path"].startswith("/aws-service-role/")],
        "policies": names(client("iam").list_policies(Scope="Local")["Policies"], "PolicyName"),
        "functions": names(client("lambda").list_functions()["Functions"], "FunctionName"),
        "rules": names(client("events").list_rules()["Rules"], "Name"),
        "topics": names(client("sns").list_topics()["Topics"], "TopicArn"),
        "subscriptions": names(client("sns").list_subscriptions()["Subscriptions"], "TopicArn"),
        "queues": list(client("sqs").list_queues().get("QueueUrls", [])),
        "parameters": names(client("ssm").describe_parameters()["Parameters"], "Name"),
        "secrets": names(client("secretsmanager").list_secrets()["SecretList"], "Name"),
        "keys": [
            key["KeyId"]
            for key in kms.list_keys()["Keys"]
            if _is_live(kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"])
        ],
        "aliases": [
            alias["AliasName"]
            for alias in kms.list_aliases()["Aliases"]
            if not alias["AliasName"].startswith("alias/aws/")
        ],
        "images": names(client("ecr").describe_repositories()["repositories"], "repositoryName"),
        "log groups": [
            group["logGroupName"]
            for group in groups
            if not group["logGroupName"].startswith(WRITTEN_BY_SERVICES)
        ],
        "alarms": names([*alarms["MetricAlarms"], *alarms["CompositeAlarms"]], "AlarmName"),
        "dashboards": names(cloudwatch.list_dashboards()["DashboardEntries"], "DashboardName"),
        "pipelines": names(client("codepipeline").list_pipelines()["pipelines"], "name"),
        "git": names(client("codecommit").list_repositories()["repositories"], "repositoryName"),
        "approval rules": list(
            client("codecommit").list_approval_rule_templates()["approvalRuleTemplateNames"]
        ),
        "connections": names(
            client("codeconnections").list_connections()["Connections"], "ConnectionName"
        ),
        "builds": list(client("codebuild").list_projects()["projects"]),
        "budgets": names(
            client("budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"], "BudgetName"
        ),
        "models": names(sagemaker.list_models()["Models"], "ModelName"),
        "endpoint configs": names(
            sagemaker.list_endpoint_configs()["EndpointConfigs"], "EndpointConfigName"
        ),
        "endpoints": names(sagemaker.list_endpoints()["Endpoints"], "EndpointName"),
        "stacks": [s["StackName"] for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"],
        "scalable targets": names(
            client("application-autoscaling").describe_scalable_targets(
                ServiceNamespace="sagemaker"
            )["ScalableTargets"],
            "ResourceId",
        ),
    }
    return {kind: sorted(listed) for kind, listed in found.items() if listed}


def names(listed: list[dict[str, Any]], key: str) -> list[str]:
    """Return one member of each."""
    return [str(item[key]) for item in listed]


def _is_live(metadata: dict[str, Any]) -> bool:
    # A key is never deleted at once: it waits out its window.
    return bool(metadata["KeyManager"] == "CUSTOMER" and metadata["KeyState"] != "PendingDeletion")
