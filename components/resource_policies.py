"""Policies that a resource carries: buckets, keys, topics, the image repository.

Owns who else than their own account's roles may use them. Pure: names in, documents out.
Must not: register resources.
"""

from collections.abc import Sequence

from components.naming import TRAINING_PREFIX, Names
from components.policies import Statement, document

# What publishes to a topic of the project by itself.
ALARMS = "cloudwatch.amazonaws.com"
RULES = "events.amazonaws.com"
PUBLISHERS = (ALARMS, RULES)


def bucket(bucket_arn: str, *statements: Statement) -> str:
    """Return a bucket policy that refuses requests without TLS, and what is added to it."""
    tls_only: Statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return document(tls_only, statements)


def receive_access_logs(names: Names, bucket_arn: str) -> Statement:
    """Let S3 deliver the access logs of this account's buckets."""
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": [f"{bucket_arn}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
    }


def share_artifacts(names: Names, production: Names) -> list[Statement]:
    """Let another account's production read artifacts and load trained models."""
    arn = names.s3_arn(names.artifact_bucket)
    delivery = _role(production, "prd-delivery")
    return [
        {
            "Sid": "ProductionDelivery",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            "Resource": [f"{arn}/*"],
        },
        {
            "Sid": "ProductionDeliveryLooks",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
            "Resource": [arn],
        },
        {
            "Sid": "ProductionModels",
            "Effect": "Allow",
            "Principal": _role(production, "prd-execution"),
            "Action": ["s3:GetObject"],
            "Resource": [f"{arn}/{TRAINING_PREFIX}/*"],
        },
    ]


def image_repository(production: Names) -> str:
    """Return a repository policy that lets another account's endpoints pull the image."""
    return document(
        {
            "Sid": "ProductionPulls",
            "Effect": "Allow",
            "Principal": _role(production, "prd-execution"),
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
        }
    )


def key(names: Names, *, share_with: Names | None) -> str:
    """Return a key's policy: IAM decides in its own account, publishers may use topics.

    Args:
        names: the key's account.
        share_with: the account of another production that reads what lies under the key.
    """
    statements: list[Statement] = [
        {
            # Without it IAM policies of the account would have no say, and nobody could mend it.
            "Sid": "AccountDecidesByIam",
            "Effect": "Allow",
            "Principal": {"AWS": names.iam_arn("root")},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            # As AWS's pages on encrypted topics have it: they show no condition that both services
            # are known to send with a key.
            "Sid": "PublishersToTopics",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
    ]
    if share_with is not None:
        roles = [share_with.iam_arn(f"role/{share_with.role(r)}") for r in _SHARED_ROLES]
        statements.append(
            {
                "Sid": "ProductionReadsArtifacts",
                "Effect": "Allow",
                "Principal": {"AWS": roles},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"kms:ViaService": f"s3.{names.region}.amazonaws.com"}
                },
            }
        )
    return document(statements)


def topic(names: Names, topic_arn: str, publishers: Sequence[str]) -> str:
    """Return a topic's policy: what services may publish.

    Alarms must be this account's. A rule's delivery to SNS is not known to carry its source:
    AWS's own statement for it has no condition, and with one the message could be lost.
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    ours = {"ArnLike": {"aws:SourceArn": names.arn("cloudwatch", "alarm:*")}}
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": publisher},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                **({"Condition": ours} if publisher == ALARMS else {}),
            }
            for publisher in publishers
        ]
    )


_SHARED_ROLES = ("prd-delivery", "prd-execution")


def _role(names: Names, purpose: str) -> dict[str, str]:
    return {"AWS": names.iam_arn(f"role/{names.role(purpose)}")}
