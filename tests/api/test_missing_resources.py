"""Resources that do not exist, and the smallest ones that do: errors and shapes of each service.

All of it can be recorded on AWS for less than a cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, REGION, TestCloud

# Service, operation, the request with NAME for the name, status, code and message.
MISSING: list[tuple[str, str, dict[str, Any], int, str, str]] = [
    (
        "cloudformation",
        "get_template",
        {"StackName": "NAME"},
        400,
        "ValidationError",
        "Stack with id NAME does not exist",
    ),
    (
        "cloudwatch",
        "get_dashboard",
        {"DashboardName": "NAME"},
        404,
        "ResourceNotFound",
        "Dashboard NAME does not exist",
    ),
    (
        "codecommit",
        "get_repository",
        {"repositoryName": "NAME"},
        400,
        "RepositoryDoesNotExistException",
        "NAME does not exist",
    ),
    (
        "codepipeline",
        "get_pipeline",
        {"name": "NAME"},
        400,
        "PipelineNotFoundException",
        f"Account '{ACCOUNT}' does not have a pipeline with name 'NAME'",
    ),
    (
        "ecr",
        "describe_repositories",
        {"repositoryNames": ["NAME"]},
        400,
        "RepositoryNotFoundException",
        f"The repository with name 'NAME' does not exist in the registry with id '{ACCOUNT}'",
    ),
    (
        "events",
        "describe_rule",
        {"Name": "NAME"},
        400,
        "ResourceNotFoundException",
        "Rule NAME does not exist on EventBus default.",
    ),
    (
        "iam",
        "get_role",
        {"RoleName": "NAME"},
        404,
        "NoSuchEntity",
        "The role with name NAME cannot be found.",
    ),
    (
        "lambda",
        "get_function",
        {"FunctionName": "NAME"},
        404,
        "ResourceNotFoundException",
        f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:NAME",
    ),
    (
        "logs",
        "describe_log_streams",
        {"logGroupName": "NAME"},
        400,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    ),
    (
        "s3",
        "get_object",
        {"Bucket": "NAME", "Key": "k"},
        404,
        "NoSuchBucket",
        "The specified bucket does not exist",
    ),
    (
        "sagemaker",
        "describe_model",
        {"ModelName": "NAME"},
        400,
        "ValidationException",
        f'Could not find model "arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/NAME".',
    ),
    (
        "secretsmanager",
        "describe_secret",
        {"SecretId": "NAME"},
        400,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    ),
    (
        "sns",
        "get_topic_attributes",
        {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:NAME"},
        404,
        "NotFound",
        "Topic does not exist",
    ),
    (
        "sqs",
        "get_queue_url",
        {"QueueName": "NAME"},
        400,
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    ),
]


def given(value: Any, name: str) -> Any:
    """Return a request with its name."""
    if isinstance(value, dict):
        return {key: given(each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [given(each, name) for each in value]
    return value.replace("NAME", name)


@pytest.mark.recordable
@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("service", "operation", "request_", "status", "code", "message"),
    MISSING,
    ids=[f"{row[0]}-{row[1]}" for row in MISSING],
)
def test_what_does_not_exist_is_an_error_of_its_service(
    cloud: TestCloud,
    service: str,
    operation: str,
    request_: dict[str, Any],
    status: int,
    code: str,
    message: str,
) -> None:
    name = cloud.name("missing")
    with pytest.raises(ClientError) as caught:
        getattr(cloud.client(service), operation)(**given(request_, name))
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    found = response["Error"]["Code"], response["Error"]["Message"]
    assert found == (code, message.replace("NAME", name))


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html"
)
def test_a_parameter_has_versions_and_is_found_by_its_name(cloud: TestCloud) -> None:
    ssm, name = cloud.client("ssm"), cloud.name("parameter")
    first = ssm.put_parameter(Name=name, Value="a,b", Type="StringList")
    assert (first["Version"], first["Tier"]) == (1, "Standard")
    with pytest.raises(ssm.exceptions.ParameterAlreadyExists):
        ssm.put_parameter(Name=name, Value="c", Type="String")
    assert ssm.put_parameter(Name=name, Value="c", Overwrite=True)["Version"] == 2
    found = ssm.get_parameter(Name=name)["Parameter"]
    assert found["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name}"
    wanted = {"Name": name, "Type": "StringList", "Value": "c", "Version": 2, "DataType": "text"}
    assert wanted.items() <= found.items()
    ssm.delete_parameter(Name=name)
    assert ssm.get_parameters(Names=[name])["InvalidParameters"] == [name]
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name=name)


@pytest.fixture
def queue(cloud: TestCloud) -> Iterator[str]:
    sqs = cloud.client("sqs")
    url: str = sqs.create_queue(QueueName=cloud.name("queue"))["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"
    "API_SetQueueAttributes.html"
)
def test_a_new_queue_has_the_documented_attributes(cloud: TestCloud, queue: str) -> None:
    sqs, name = cloud.client("sqs"), cloud.name("queue")
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    wanted = {
        "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
    }
    assert wanted.items() <= attributes.items()
    # Both are whole seconds.
    assert attributes["CreatedTimestamp"].isdigit()
    assert attributes["LastModifiedTimestamp"].isdigit()


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html"
)
def test_a_new_topic_has_no_subscriptions_and_its_attributes(cloud: TestCloud) -> None:
    sns, name = cloud.client("sns"), cloud.name("topic")
    arn = sns.create_topic(Name=name)["TopicArn"]
    assert arn == f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    # A topic of the same name and attributes is the same one.
    assert sns.create_topic(Name=name)["TopicArn"] == arn
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    wanted = {
        "TopicArn": arn,
        "Owner": ACCOUNT,
        "DisplayName": "",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsPending": "0",
        "SubscriptionsDeleted": "0",
    }
    assert wanted.items() <= attributes.items()
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    sns.delete_topic(TopicArn=arn)


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html"
)
def test_a_bucket_without_versions_keeps_the_last_object(cloud: TestCloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.name("bucket")
    s3.create_bucket(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for body in (b"first", b"second"):
        put = s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert "VersionId" not in put
    found = s3.get_object(Bucket=bucket, Key="k")
    assert (found["Body"].read(), found["ContentType"]) == (b"second", "binary/octet-stream")
    assert found["ETag"] == put["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=bucket)
    assert caught.value.response["Error"]["Code"] == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html"
)
def test_a_group_of_model_packages_exists_once(cloud: TestCloud) -> None:
    sagemaker, name = cloud.client("sagemaker"), cloud.name("group")
    arn = sagemaker.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
    assert arn == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/{name}"
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.create_model_package_group(ModelPackageGroupName=name)
    found = sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    assert found["ModelPackageGroupStatus"] == "Completed"
    assert "ModelPackageGroupDescription" not in found
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)


@pytest.mark.recordable
@pytest.mark.botocore_modelled
def test_an_endpoint_configuration_needs_its_model(cloud: TestCloud) -> None:
    sagemaker, name = cloud.client("sagemaker"), cloud.name("no-model")
    variant = {
        "VariantName": "v",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    with pytest.raises(ClientError) as caught:
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/{name}"
    assert caught.value.response["Error"]["Message"] == f'Could not find model "{arn}".'


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"
)
def test_a_new_alarm_has_the_settings_that_it_was_given_and_the_defaults(cloud: TestCloud) -> None:
    cloudwatch, name = cloud.client("cloudwatch"), cloud.name("alarm")
    given_settings = {
        "AlarmName": name,
        "Namespace": "mlops-lab/recorded",
        "MetricName": "M",
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    cloudwatch.put_metric_alarm(**given_settings)
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    defaults = {
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}",
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "Dimensions": [],
        "StateValue": "INSUFFICIENT_DATA",
    }
    assert (given_settings | defaults).items() <= found.items()
    assert "DatapointsToAlarm" not in found
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
