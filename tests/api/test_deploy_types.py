"""The deployer's create, read, update and delete of each Pulumi type, read back by boto3.

The types are driven as the deployer drives them, with Pulumi's input names and numbers as floats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.deploy.archives import with_digests
from localcloud.deploy.stacks import aws_at
from localcloud.deploy.types import TYPES, Aws, Inputs, Outputs
from tests.cloud import ACCOUNT, REGION, TRUST, TestCloud

pytestmark = pytest.mark.emulator_only


def policy(resource: str = "*", action: str = "s3:*", principal: Any = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Principal": principal, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Deployer:
    """Makes resources by their types, and ends what is left."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.made: list[tuple[str, str, Outputs]] = []

    def create(self, type_: str, inputs: Inputs) -> tuple[str, Outputs]:
        kind = TYPES[type_]
        assert [] == kind.refused(inputs)
        id_, outputs = kind.create(self.aws, inputs)
        self.made.append((type_, id_, outputs))
        self.reads_back(inputs)
        return id_, outputs

    def update(self, inputs: Inputs, **written: Any) -> Outputs:
        """Change the resource that was made last; `written` is what somebody else wrote."""
        type_, id_, outputs = self.made.pop()
        update = TYPES[type_].update
        assert update is not None
        changed = update(self.aws, id_, inputs, outputs)
        self.made.append((type_, id_, changed))
        self.reads_back(inputs, **written)
        return changed

    def reads_back(self, inputs: Inputs, **written: Any) -> None:
        """Assert that the resource that was made last reads back as it was made."""
        type_, id_, outputs = self.made[-1]
        known = with_digests(inputs)
        found = TYPES[type_].read(self.aws, id_, known, outputs)
        assert ({**known, **written}, {**with_digests(outputs), **written}) == found

    def delete(self) -> None:
        """Delete the resource that was made last."""
        type_, id_, outputs = self.made.pop()
        TYPES[type_].delete(self.aws, id_, outputs)


@pytest.fixture
def deployer(cloud: TestCloud) -> Iterator[Deployer]:
    if not cloud.ours:
        pytest.skip("the deployer deploys to a local cloud")
    made = Deployer(aws_at(cloud.url, REGION))
    yield made
    while made.made:
        made.delete()


def test_a_kms_key_rotates_and_is_scheduled_for_deletion(
    cloud: TestCloud, deployer: Deployer
) -> None:
    kms = cloud.client("kms")
    inputs = {
        "description": "one",
        "enableKeyRotation": True,
        "deletionWindowInDays": 7.0,
        "policy": policy(action="kms:*"),
        "tags": {"a": "1", "b": "2"},
    }
    id_, outputs = deployer.create("aws:kms/key:Key", inputs)
    assert outputs["arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id_}"
    assert kms.get_key_rotation_status(KeyId=id_)["KeyRotationEnabled"] is True
    new = policy(action="kms:Encrypt")
    deployer.update({"description": "two", "policy": new, "tags": {"b": "3"}})
    described = kms.describe_key(KeyId=id_)["KeyMetadata"]
    assert described["Description"] == "two"
    assert kms.get_key_policy(KeyId=id_, PolicyName="default")["Policy"] == new
    assert kms.get_key_rotation_status(KeyId=id_)["KeyRotationEnabled"] is False
    assert kms.list_resource_tags(KeyId=id_)["Tags"] == [{"TagKey": "b", "TagValue": "3"}]
    deployer.delete()
    assert kms.describe_key(KeyId=id_)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_an_alias_moves_to_another_key(cloud: TestCloud, deployer: Deployer) -> None:
    kms = cloud.client("kms")
    one, two = (deployer.create("aws:kms/key:Key", {})[0] for _ in range(2))
    deployer.create("aws:kms/alias:Alias", {"name": "alias/types", "targetKeyId": one})
    outputs = deployer.update({"name": "alias/types", "targetKeyId": two})
    assert kms.describe_key(KeyId="alias/types")["KeyMetadata"]["KeyId"] == two
    assert outputs["targetKeyArn"].endswith(f"key/{two}")
    deployer.delete()
    assert [a for a in kms.list_aliases()["Aliases"] if a["AliasName"] == "alias/types"] == []


def test_an_alarm_has_percentiles_dimensions_and_actions(
    cloud: TestCloud, deployer: Deployer
) -> None:
    cloudwatch = cloud.client("cloudwatch")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    inputs = {
        "name": "slow",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 3.0,
        "datapointsToAlarm": 2.0,
        "metricName": "ModelLatency",
        "namespace": "AWS/SageMaker",
        "period": 60.0,
        "extendedStatistic": "p99",
        "threshold": 250000.0,
        "treatMissingData": "notBreaching",
        "dimensions": {"EndpointName": "e", "VariantName": "AllTraffic"},
        "alarmActions": [topic],
        "okActions": [topic],
        "tags": {"a": "1"},
    }
    deployer.create("aws:cloudwatch/metricAlarm:MetricAlarm", inputs)
    outputs = deployer.update({**inputs, "threshold": 3.0, "tags": {"b": "2"}})
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"]
    assert (alarm["ExtendedStatistic"], alarm["Threshold"]) == ("p99", 3)
    assert alarm["OKActions"] == alarm["AlarmActions"] == [topic]
    assert alarm["Dimensions"] == [
        {"Name": "EndpointName", "Value": "e"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    assert outputs["arn"] == alarm["AlarmArn"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "b", "Value": "2"}]
    deployer.delete()
    assert cloudwatch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"] == []


def test_an_alarm_may_compute_its_metric(cloud: TestCloud, deployer: Deployer) -> None:
    cloudwatch = cloud.client("cloudwatch")
    metric = {
        "metricName": "Invocation5XXErrors",
        "namespace": "AWS/SageMaker",
        "period": 60.0,
        "stat": "Sum",
        "dimensions": {"EndpointName": "e"},
    }
    inputs = {
        "name": "share",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1.0,
        "threshold": 0.05,
        "metricQueries": [
            {"id": "share", "expression": "errors / 2", "label": "Share", "returnData": True},
            {"id": "errors", "metric": metric},
        ],
    }
    deployer.create("aws:cloudwatch/metricAlarm:MetricAlarm", inputs)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["share"])["MetricAlarms"]
    by_id = {query["Id"]: query for query in alarm["Metrics"]}
    assert by_id["share"]["Expression"] == "errors / 2"
    assert by_id["errors"]["MetricStat"]["Metric"] == {
        "MetricName": "Invocation5XXErrors",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "e"}],
    }
    assert by_id["errors"]["MetricStat"]["Stat"] == "Sum"


def test_a_composite_alarm_is_kept_with_its_rule(cloud: TestCloud, deployer: Deployer) -> None:
    cloudwatch = cloud.client("cloudwatch")
    inputs = {"alarmName": "any", "alarmRule": "ALARM(slow)", "tags": {"a": "1"}}
    deployer.create("aws:cloudwatch/compositeAlarm:CompositeAlarm", inputs)
    deployer.update({"alarmName": "any", "alarmRule": "ALARM(slow) OR ALARM(share)"})
    answer = cloudwatch.describe_alarms(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"])
    (alarm,) = answer["CompositeAlarms"]
    assert alarm["AlarmRule"] == "ALARM(slow) OR ALARM(share)"
    assert cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"] == []


def test_a_dashboard_holds_its_body(cloud: TestCloud, deployer: Deployer) -> None:
    cloudwatch = cloud.client("cloudwatch")
    type_ = "aws:cloudwatch/dashboard:Dashboard"
    deployer.create(type_, {"dashboardName": "types", "dashboardBody": '{"widgets": []}'})
    body = '{"widgets": [{"type": "text"}]}'
    outputs = deployer.update({"dashboardName": "types", "dashboardBody": body})
    kept = cloudwatch.get_dashboard(DashboardName="types")
    assert json.loads(kept["DashboardBody"]) == json.loads(body)
    assert kept["DashboardArn"] == outputs["dashboardArn"]
    deployer.delete()
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []


def test_a_topic_changes_its_key_and_tags(cloud: TestCloud, deployer: Deployer) -> None:
    sns = cloud.client("sns")
    inputs = {"name": "types", "kmsMasterKeyId": "alias/aws/sns", "tags": {"a": "1"}}
    arn, _ = deployer.create("aws:sns/topic:Topic", inputs)
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["KmsMasterKeyId"] == "alias/aws/sns"
    deployer.update({"name": "types", "displayName": "Types"})
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert "KmsMasterKeyId" not in attributes
    assert attributes["DisplayName"] == "Types"
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == []


def test_a_topics_policy_goes_back_to_the_default(cloud: TestCloud, deployer: Deployer) -> None:
    sns = cloud.client("sns")
    arn, _ = deployer.create("aws:sns/topic:Topic", {"name": "types"})
    wanted = policy(arn, "SNS:Publish", {"Service": "cloudwatch.amazonaws.com"})
    deployer.create("aws:sns/topicPolicy:TopicPolicy", {"arn": arn, "policy": wanted})
    kept = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    assert json.loads(kept) == json.loads(wanted)
    deployer.delete()
    kept = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    assert kept["Statement"][0]["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}


def test_a_parameter_keeps_the_value_that_somebody_else_wrote(
    cloud: TestCloud, deployer: Deployer
) -> None:
    ssm = cloud.client("ssm")
    inputs = {"name": "/types/model", "type": "String", "value": "none", "tags": {"a": "1"}}
    deployer.create("aws:ssm/parameter:Parameter", inputs)
    ssm.put_parameter(Name="/types/model", Value="v7", Overwrite=True)
    outputs = deployer.update({**inputs, "description": "Approved", "tags": {"b": "2"}}, value="v7")
    assert ssm.get_parameter(Name="/types/model")["Parameter"]["Value"] == "v7"
    assert outputs["version"] == 3
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/types/model")
    assert tags["TagList"] == [{"Key": "b", "Value": "2"}]
    deployer.update({**inputs, "value": "v8"})
    assert ssm.get_parameter(Name="/types/model")["Parameter"]["Value"] == "v8"


def test_a_repository_changes_scanning_mutability_and_policy(
    cloud: TestCloud, deployer: Deployer
) -> None:
    ecr = cloud.client("ecr")
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x"
    inputs = {
        "name": "types",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": key}],
        "tags": {"a": "1"},
    }
    _, outputs = deployer.create("aws:ecr/repository:Repository", inputs)
    deployer.update({**inputs, "imageTagMutability": "IMMUTABLE", "tags": {}})
    (kept,) = ecr.describe_repositories(repositoryNames=["types"])["repositories"]
    assert kept["imageTagMutability"] == "IMMUTABLE"
    assert kept["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
    assert ecr.list_tags_for_resource(resourceArn=outputs["arn"])["tags"] == []
    pull = {"repository": "types", "policy": policy(action="ecr:BatchGetImage")}
    deployer.create("aws:ecr/repositoryPolicy:RepositoryPolicy", pull)
    text = ecr.get_repository_policy(repositoryName="types")["policyText"]
    assert json.loads(text)["Statement"][0]["Action"] == "ecr:BatchGetImage"
    deployer.delete()
    with pytest.raises(ClientError, match="RepositoryPolicyNotFound"):
        ecr.get_repository_policy(repositoryName="types")


def test_a_bucket_is_encrypted_logged_and_tidied(cloud: TestCloud, deployer: Deployer) -> None:
    s3 = cloud.client("s3")
    deployer.create("aws:s3/bucket:Bucket", {"bucket": "types-logs", "forceDestroy": True})
    grant = policy(
        "arn:aws:s3:::types-logs/*", "s3:PutObject", {"Service": "logging.s3.amazonaws.com"}
    )
    deployer.create("aws:s3/bucketPolicy:BucketPolicy", {"bucket": "types-logs", "policy": grant})
    deployer.create("aws:s3/bucket:Bucket", {"bucket": "types", "tags": {"a": "1"}})
    deployer.update({"bucket": "types"})
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket="types")
    rule = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "k"},
        "bucketKeyEnabled": True,
    }
    name = "BucketServerSideEncryptionConfiguration"
    deployer.create(f"aws:s3/b{name[1:]}:{name}", {"bucket": "types", "rules": [rule]})
    kept = s3.get_bucket_encryption(Bucket="types")["ServerSideEncryptionConfiguration"]["Rules"]
    assert kept == [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "k",
            },
            "BucketKeyEnabled": True,
        }
    ]
    expiry = {"id": "old", "status": "Enabled", "filter": {}, "expiration": {"days": 30.0}}
    lifecycle = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    deployer.create(lifecycle, {"bucket": "types", "rules": [expiry]})
    (rule_kept,) = s3.get_bucket_lifecycle_configuration(Bucket="types")["Rules"]
    assert rule_kept["Expiration"] == {"Days": 30}
    logging = {"bucket": "types", "targetBucket": "types-logs", "targetPrefix": "one/"}
    deployer.create("aws:s3/bucketLogging:BucketLogging", logging)
    deployer.update({**logging, "targetPrefix": "two/"})
    enabled = s3.get_bucket_logging(Bucket="types")["LoggingEnabled"]
    assert (enabled["TargetBucket"], enabled["TargetPrefix"]) == ("types-logs", "two/")
    deployer.delete()
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="types")


def test_versioning_and_events_end_with_their_resources(
    cloud: TestCloud, deployer: Deployer
) -> None:
    s3 = cloud.client("s3")
    deployer.create("aws:s3/bucket:Bucket", {"bucket": "types", "forceDestroy": True})
    deployer.create(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "types", "versioningConfiguration": {"status": "Enabled"}},
    )
    deployer.delete()
    assert s3.get_bucket_versioning(Bucket="types")["Status"] == "Suspended"
    deployer.create(
        "aws:s3/bucketNotification:BucketNotification", {"bucket": "types", "eventbridge": True}
    )
    deployer.delete()
    kept = s3.get_bucket_notification_configuration(Bucket="types")
    assert "EventBridgeConfiguration" not in kept


def test_an_objects_tags_change_without_a_new_version(cloud: TestCloud, deployer: Deployer) -> None:
    import pulumi

    s3 = cloud.client("s3")
    deployer.create("aws:s3/bucket:Bucket", {"bucket": "types", "forceDestroy": True})
    versioned = {"bucket": "types", "versioningConfiguration": {"status": "Enabled"}}
    deployer.create("aws:s3/bucketVersioning:BucketVersioning", versioned)
    inputs = {
        "bucket": "types",
        "key": "k",
        "source": pulumi.StringAsset("one"),
        "tags": {"a": "1"},
    }
    _, outputs = deployer.create("aws:s3/bucketObjectv2:BucketObjectv2", inputs)
    retagged = deployer.update({**inputs, "tags": {"b": "2"}})
    assert retagged["versionId"] == outputs["versionId"]
    tags = s3.get_object_tagging(Bucket="types", Key="k")["TagSet"]
    assert tags == [{"Key": "b", "Value": "2"}]
    changed = deployer.update({**inputs, "source": pulumi.StringAsset("two")})
    assert changed["versionId"] != outputs["versionId"]
    assert s3.get_object(Bucket="types", Key="k")["Body"].read() == b"two"


def test_a_budget_changes_limit_notifications_and_tags(deployer: Deployer) -> None:
    # localstack-client does not know this service.
    budgets = deployer.aws.client("budgets")

    def at(threshold: float, address: str) -> dict[str, Any]:
        return {
            "comparisonOperator": "GREATER_THAN",
            "notificationType": "ACTUAL",
            "threshold": threshold,
            "thresholdType": "PERCENTAGE",
            "subscriberEmailAddresses": [address],
        }

    inputs = {
        "name": "types",
        "budgetType": "COST",
        "limitAmount": "100",
        "limitUnit": "USD",
        "timeUnit": "MONTHLY",
        "costFilters": [{"name": "TagKeyValue", "values": ["user:Project$lab"]}],
        "notifications": [at(80.0, "a@example.com"), at(100.0, "a@example.com")],
        "tags": {"a": "1"},
    }
    id_, outputs = deployer.create("aws:budgets/budget:Budget", inputs)
    assert id_ == f"{ACCOUNT}:types"
    changed = [at(80.0, "b@example.com")]
    deployer.update({**inputs, "limitAmount": "50", "notifications": changed, "tags": {}})
    of = {"AccountId": ACCOUNT, "BudgetName": "types"}
    kept = budgets.describe_budget(**of)["Budget"]
    assert (kept["BudgetLimit"]["Amount"], kept["CostFilters"]) == (
        "50",
        {"TagKeyValue": ["user:Project$lab"]},
    )
    (notification,) = budgets.describe_notifications_for_budget(**of)["Notifications"]
    subscribers = budgets.describe_subscribers_for_notification(**of, Notification=notification)
    assert [s["Address"] for s in subscribers["Subscribers"]] == ["b@example.com"]
    assert budgets.list_tags_for_resource(ResourceARN=outputs["arn"])["ResourceTags"] == []
    deployer.delete()
    assert budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"] == []


def test_a_git_repository_changes_its_description_and_tags(
    cloud: TestCloud, deployer: Deployer
) -> None:
    codecommit = cloud.client("codecommit")
    inputs = {"repositoryName": "types", "description": "one", "tags": {"a": "1", "b": "2"}}
    _, outputs = deployer.create("aws:codecommit/repository:Repository", inputs)
    assert outputs["cloneUrlHttp"].endswith("/us-east-1/types")
    deployer.update({"repositoryName": "types", "description": "two", "tags": {"b": "3"}})
    kept = codecommit.get_repository(repositoryName="types")["repositoryMetadata"]
    assert kept["repositoryDescription"] == "two"
    tags = codecommit.list_tags_for_resource(resourceArn=outputs["arn"])["tags"]
    assert tags == {"b": "3"}
    deployer.delete()
    left = [r["repositoryName"] for r in codecommit.list_repositories()["repositories"]]
    assert "types" not in left


def test_a_build_project_of_a_pipeline_is_changed_and_deleted_by_its_arn(
    cloud: TestCloud, deployer: Deployer
) -> None:
    codebuild = cloud.client("codebuild")
    inputs = {
        "name": "types",
        "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/build",
        "source": {"type": "CODEPIPELINE", "buildspec": "version: 0.2"},
        "artifacts": {"type": "CODEPIPELINE"},
        "environment": {
            "computeType": "BUILD_GENERAL1_SMALL",
            "image": "aws/codebuild/standard:7.0",
            "type": "LINUX_CONTAINER",
            "environmentVariables": [{"name": "A", "value": "1"}],
        },
        "logsConfig": {"cloudwatchLogs": {"groupName": "/aws/codebuild/types"}},
        "encryptionKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x",
        "buildTimeout": 15.0,
        "queuedTimeout": 60.0,
        "tags": {"a": "1"},
    }
    arn, _ = deployer.create("aws:codebuild/project:Project", inputs)
    deployer.update({**inputs, "buildTimeout": 20.0, "description": "Builds", "tags": {"b": "2"}})
    (kept,) = codebuild.batch_get_projects(names=["types"])["projects"]
    assert kept["arn"] == arn
    assert (kept["timeoutInMinutes"], kept["queuedTimeoutInMinutes"]) == (20, 60)
    assert kept["source"] == {"type": "CODEPIPELINE", "buildspec": "version: 0.2"}
    assert kept["artifacts"] == {"type": "CODEPIPELINE"}
    assert kept["logsConfig"]["cloudWatchLogs"]["groupName"] == "/aws/codebuild/types"
    assert kept["encryptionKey"] == inputs["encryptionKey"]
    assert kept["tags"] == [{"key": "b", "value": "2"}]
    deployer.delete()
    assert codebuild.list_projects()["projects"] == []


def test_a_role_has_a_boundary_while_it_is_asked_for(cloud: TestCloud, deployer: Deployer) -> None:
    iam = cloud.client("iam")
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    inputs = {"name": "types", "assumeRolePolicy": TRUST, "tags": {"a": "1"}}
    deployer.create("aws:iam/role:Role", {**inputs, "permissionsBoundary": boundary})
    kept = iam.get_role(RoleName="types")["Role"]
    assert kept["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    deployer.update({**inputs, "tags": {"b": "2"}})
    kept = iam.get_role(RoleName="types")["Role"]
    assert "PermissionsBoundary" not in kept
    assert kept["Tags"] == [{"Key": "b", "Value": "2"}]


def test_a_log_group_changes_its_key_retention_and_tags(
    cloud: TestCloud, deployer: Deployer
) -> None:
    logs = cloud.client("logs")
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x"
    inputs = {"name": "/types", "retentionInDays": 30.0, "kmsKeyId": key, "tags": {"a": "1"}}
    _, outputs = deployer.create("aws:cloudwatch/logGroup:LogGroup", inputs)
    (kept,) = logs.describe_log_groups(logGroupNamePrefix="/types")["logGroups"]
    assert (kept["retentionInDays"], kept["kmsKeyId"]) == (30, key)
    deployer.update({"name": "/types", "tags": {"b": "2"}})
    (kept,) = logs.describe_log_groups(logGroupNamePrefix="/types")["logGroups"]
    assert "retentionInDays" not in kept
    assert "kmsKeyId" not in kept
    assert logs.list_tags_for_resource(resourceArn=outputs["arn"])["tags"] == {"b": "2"}


def test_a_rule_and_a_function_lose_the_tags_that_are_gone(
    cloud: TestCloud, deployer: Deployer
) -> None:
    import pulumi

    events, functions = cloud.client("events"), cloud.client("lambda")
    rule = {"name": "types", "scheduleExpression": "rate(1 day)", "tags": {"a": "1"}}
    _, outputs = deployer.create("aws:cloudwatch/eventRule:EventRule", rule)
    deployer.update({**rule, "tags": {"b": "2"}})
    tags = events.list_tags_for_resource(ResourceARN=outputs["arn"])["Tags"]
    assert tags == [{"Key": "b", "Value": "2"}]
    role, made = deployer.create("aws:iam/role:Role", {"name": "types", "assumeRolePolicy": TRUST})
    function = {
        "name": "types",
        "role": made["arn"],
        "handler": "a.handler",
        "runtime": "python3.12",
        "code": pulumi.AssetArchive({"a.py": pulumi.StringAsset("")}),
        "tags": {"a": "1"},
    }
    assert role == "types"
    _, outputs = deployer.create("aws:lambda/function:Function", function)
    deployer.update({**function, "tags": {"b": "2"}})
    assert functions.list_tags(Resource=outputs["arn"])["Tags"] == {"b": "2"}


def test_a_function_loses_the_reservation_tracing_and_vpc_that_are_gone(
    cloud: TestCloud, deployer: Deployer
) -> None:
    import pulumi

    functions = cloud.client("lambda")
    _, made = deployer.create("aws:iam/role:Role", {"name": "types", "assumeRolePolicy": TRUST})
    plain = {
        "name": "types",
        "role": made["arn"],
        "handler": "a.handler",
        "runtime": "python3.12",
        "code": pulumi.AssetArchive({"a.py": pulumi.StringAsset("")}),
    }
    network = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
    more = {
        "reservedConcurrentExecutions": 3.0,
        "tracingConfig": {"mode": "Active"},
        "vpcConfig": network,
    }

    def kept() -> tuple[Any, ...]:
        found = functions.get_function(FunctionName="types")
        shown = found["Configuration"]
        return (
            found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            shown["TracingConfig"]["Mode"],
            shown.get("VpcConfig", {}).get("SubnetIds"),
        )

    deployer.create("aws:lambda/function:Function", {**plain, **more})
    assert kept() == (3, "Active", ["subnet-01234567"])
    deployer.update(plain)
    assert kept() == (None, "PassThrough", None)
    deployer.update({**plain, **more})
    assert kept() == (3, "Active", ["subnet-01234567"])
    wrong = {**more, "vpcConfig": {**network, "subnetIds": ["subnet-1"]}}
    with pytest.raises(Exception, match="The subnet ID 'subnet-1' is malformed"):
        deployer.update({**plain, **wrong})


def test_a_pipeline_encrypts_its_artifacts_and_acts_by_other_roles(
    cloud: TestCloud, deployer: Deployer
) -> None:
    codepipeline = cloud.client("codepipeline")
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x"
    deployer.create("aws:s3/bucket:Bucket", {"bucket": "types", "forceDestroy": True})
    _, role = deployer.create("aws:iam/role:Role", {"name": "types", "assumeRolePolicy": TRUST})
    source = {
        "name": "Source",
        "category": "Source",
        "owner": "AWS",
        "provider": "S3",
        "version": "1",
        "outputArtifacts": ["data"],
        "roleArn": role["arn"],
        "configuration": {
            "S3Bucket": "types",
            "S3ObjectKey": "k.zip",
            "PollForSourceChanges": "false",
        },
    }
    approve = {
        "name": "Approve",
        "category": "Approval",
        "owner": "AWS",
        "provider": "Manual",
        "version": "1",
        "region": REGION,
        "timeoutInMinutes": 60.0,
    }
    inputs = {
        "name": "types",
        "pipelineType": "V2",
        "roleArn": role["arn"],
        "artifactStores": [
            {"location": "types", "type": "S3", "encryptionKey": {"id": key, "type": "KMS"}}
        ],
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Approve", "actions": [approve]},
        ],
        "tags": {"a": "1"},
    }
    _, outputs = deployer.create("aws:codepipeline/pipeline:Pipeline", inputs)
    deployer.update({**inputs, "tags": {"b": "2"}})
    kept = codepipeline.get_pipeline(name="types")["pipeline"]
    assert kept["artifactStore"]["encryptionKey"] == {"id": key, "type": "KMS"}
    assert kept["stages"][0]["actions"][0]["roleArn"] == role["arn"]
    action = kept["stages"][1]["actions"][0]
    assert (action["region"], action["timeoutInMinutes"]) == (REGION, 60)
    tags = codepipeline.list_tags_for_resource(resourceArn=outputs["arn"])["tags"]
    assert tags == [{"key": "b", "value": "2"}]


def test_an_input_that_would_be_dropped_is_refused() -> None:
    kind = TYPES["aws:sns/topic:Topic"]
    assert kind.refused({"name": "a", "fifoTopic": True}) == ["fifoTopic"]


def test_an_approval_rule_is_made_changed_and_associated(
    cloud: TestCloud, deployer: Deployer
) -> None:
    codecommit = cloud.client("codecommit")
    template = "aws:codecommit/approvalRuleTemplate:ApprovalRuleTemplate"
    repository = {"repositoryName": "ruled"}
    deployer.create("aws:codecommit/repository:Repository", repository)

    def content(approvals: int) -> str:
        statement = {"Type": "Approvers", "NumberOfApprovalsNeeded": approvals}
        return json.dumps({"Version": "2018-11-08", "Statements": [statement]})

    _, made = deployer.create(template, {"name": "rule", "content": content(1)})
    changed = deployer.update({"name": "rule", "content": content(2), "description": "Two"})
    assert made["ruleContentSha256"] != changed["ruleContentSha256"]
    found = codecommit.get_approval_rule_template(approvalRuleTemplateName="rule")
    assert found["approvalRuleTemplate"]["approvalRuleTemplateContent"] == content(2)
    id_, _ = deployer.create(
        "aws:codecommit/approvalRuleTemplateAssociation:ApprovalRuleTemplateAssociation",
        {"approvalRuleTemplateName": "rule", **repository},
    )
    assert id_ == "rule,ruled"
    listed = codecommit.list_associated_approval_rule_templates_for_repository(**repository)
    assert listed["approvalRuleTemplateNames"] == ["rule"]
    deployer.delete()
    listed = codecommit.list_associated_approval_rule_templates_for_repository(**repository)
    assert listed["approvalRuleTemplateNames"] == []
