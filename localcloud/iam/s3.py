"""The permissions that S3's operations require. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from localcloud.aws.routing import Scope
from localcloud.iam.permission import Parameters, Permission, Rule


def _objects(*actions: str) -> Rule:
    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        del scope
        arn = f"arn:aws:s3:::{parameters['Bucket']}"
        if "Key" in parameters:
            arn += f"/{parameters['Key']}"
        return [Permission(f"s3:{action}", arn) for action in actions]

    return rule


def _versioned(action: str) -> Rule:
    """Return the rule of an action on an object, or of the one on a version of an object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    """

    def rule(scope: Scope, parameters: Parameters) -> list[Permission]:
        versioned = action.replace("Object", "ObjectVersion")
        name = versioned if parameters.get("VersionId") else action
        return _objects(name)(scope, parameters)

    return rule


def _copy_object(scope: Scope, parameters: Parameters) -> list[Permission]:
    source = _versioned("GetObject")(scope, parameters["CopySource"])
    return [*source, *_put_object(scope, parameters)]


def _put_object(scope: Scope, parameters: Parameters) -> list[Permission]:
    tagged = ("PutObjectTagging",) if parameters.get("Tagging") else ()
    return _objects("PutObject", *tagged)(scope, parameters)


S3_RULES: dict[str, Rule] = {
    **{
        f"s3:{operation}": _objects(action)
        for operation, action in {
            "CreateBucket": "CreateBucket",
            "AbortMultipartUpload": "AbortMultipartUpload",
            "DeleteBucket": "DeleteBucket",
            "GetBucketAcl": "GetBucketAcl",
            "GetBucketEncryption": "GetEncryptionConfiguration",
            "GetBucketLocation": "GetBucketLocation",
            "GetBucketNotificationConfiguration": "GetBucketNotification",
            "GetBucketPolicy": "GetBucketPolicy",
            "GetBucketTagging": "GetBucketTagging",
            "GetBucketVersioning": "GetBucketVersioning",
            "HeadBucket": "ListBucket",
            "ListMultipartUploads": "ListBucketMultipartUploads",
            "ListObjects": "ListBucket",
            "ListObjectVersions": "ListBucketVersions",
        }.items()
    },
    "s3:CopyObject": _copy_object,
    "s3:DeleteObject": _versioned("DeleteObject"),
    "s3:GetObject": _versioned("GetObject"),
    "s3:GetObjectAcl": _versioned("GetObjectAcl"),
    "s3:GetObjectTagging": _versioned("GetObjectTagging"),
    "s3:ListBuckets": lambda scope, parameters: [Permission("s3:ListAllMyBuckets", "*")],
    "s3:PutObject": _put_object,
    "s3:PutObjectTagging": _versioned("PutObjectTagging"),
}
