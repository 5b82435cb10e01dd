"""The policies of the monitor: of the function that runs it, and of its processing jobs.

Pure: names in, statements out. Must not: register resources.
"""

from components.endpoint_alarms import NAMESPACE_OF_MONITOR
from components.naming import CAPTURE_PREFIX, REPORT_PREFIX, TRAINING_PREFIX, Names
from components.policies import (
    SAGEMAKER,
    Statement,
    allow,
    decrypt_delivered_artifacts,
    document,
    pass_role,
    publish_metrics,
    run_job,
    use_key,
)
from components.settings import NetworkSettings

MONITOR_PREFIX = "monitor"
LABEL_PREFIX = "ground-truth"


def job_name(names: Names, environment: str) -> str:
    """Return what the names of an environment's monitoring jobs begin with."""
    return f"{names.endpoint(environment)}-monitor-"


def run_monitor(
    names: Names,
    environment: str,
    *,
    delivery: Names,
    bucket: str,
    key_arn: str | None,
    job_role_arn: str,
) -> list[Statement]:
    """Allow reading what the endpoint serves and captured, starting jobs, publishing metrics.

    Args:
        names: names in the endpoint's account.
        environment: ``dev`` or ``prd``.
        delivery: names in the account with the model registry.
        bucket: the bucket of the captures.
        key_arn: KMS key of the bucket; None for S3's own.
        job_role_arn: role of the processing jobs.
    """
    return [
        allow(
            ["sagemaker:DescribeEndpoint"],
            [names.arn("sagemaker", f"endpoint/{names.endpoint(environment)}")],
        ),
        # CloudFormation names models and configurations itself.
        allow(["sagemaker:DescribeEndpointConfig"], [names.arn("sagemaker", "endpoint-config/*")]),
        allow(
            ["sagemaker:DescribeModel", "sagemaker:ListTags"], [names.arn("sagemaker", "model/*")]
        ),
        allow(
            ["sagemaker:DescribeModelPackage"],
            [delivery.arn("sagemaker", f"model-package/{delivery.model}/*")],
        ),
        # ListProcessingJobs does not support resource-level permissions.
        allow(["sagemaker:ListProcessingJobs"], ["*"]),
        allow(
            ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"],
            [names.arn("sagemaker", f"processing-job/{job_name(names, environment)}*")],
        ),
        pass_role(job_role_arn, SAGEMAKER),
        allow(["s3:ListBucket"], [names.s3_arn(bucket)]),
        allow(["s3:GetObject", "s3:PutObject"], [names.s3_arn(bucket, f"{MONITOR_PREFIX}/*")]),
        *use_key(names, key_arn, "s3"),
        publish_metrics(NAMESPACE_OF_MONITOR),
    ]


def monitor_job(
    names: Names,
    *,
    delivery: Names,
    delivered_under_key: bool,
    bucket: str,
    key_arn: str | None,
    network: NetworkSettings,
) -> str:
    """Return the policy of the monitor's jobs: read captures, labels and the model, write reports.

    Args:
        names: names in the endpoint's account.
        delivery: names in the account with the models, their baselines and the image.
        delivered_under_key: these are encrypted with a KMS key.
        bucket: the bucket of the captures.
        key_arn: KMS key of the bucket and of the volumes; None for the services' own keys.
        network: the network of the jobs.
    """
    read = (f"{CAPTURE_PREFIX}/*", f"{LABEL_PREFIX}/*", f"{MONITOR_PREFIX}/*")
    delivered = (f"{TRAINING_PREFIX}/*", f"{REPORT_PREFIX}/*")
    return document(
        allow(["s3:ListBucket"], [names.s3_arn(bucket), names.s3_arn(delivery.artifact_bucket)]),
        allow(
            ["s3:GetObject"],
            [
                *(names.s3_arn(bucket, key) for key in read),
                *(names.s3_arn(delivery.artifact_bucket, key) for key in delivered),
            ],
        ),
        allow(["s3:PutObject"], [names.s3_arn(bucket, f"{MONITOR_PREFIX}/*")]),
        [decrypt_delivered_artifacts(delivery)] if delivered_under_key else [],
        run_job(names, key_arn, network, images=delivery, logs="ProcessingJobs"),
    )
