"""S3: buckets, their settings, and objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from localcloud.deploy.archives import content_of, is_asset
from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Find,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    completing,
    fields,
    made,
    only,
    optional,
    put,
    split_id,
    tag_list,
    tags_of,
)


def _bucket_of(inputs: Inputs) -> str:
    return str(inputs["bucket"])


def _create_bucket(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["bucket"]
    location = (
        {}
        if aws.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    )
    aws.call("s3", "create_bucket", Bucket=name, **location)
    with completing(name, {"bucket": name, **_bucket_outputs(aws, name)}):
        return name, _update_bucket(aws, name, inputs, {})


def _update_bucket(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    if inputs.get("tags"):
        aws.call("s3", "put_bucket_tagging", Bucket=id_, Tagging={"TagSet": tag_list(inputs)})
    elif outputs.get("tags"):
        aws.call("s3", "delete_bucket_tagging", Bucket=id_)
    return {**inputs, **_bucket_outputs(aws, id_)}


def _bucket_outputs(aws: Aws, id_: str) -> Outputs:
    return {
        "arn": f"arn:aws:s3:::{id_}",
        "bucketDomainName": f"{id_}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{id_}.s3.{aws.region}.amazonaws.com",
        "region": aws.region,
    }


def _find_bucket(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    aws.client("s3").head_bucket(Bucket=id_)
    tagging = optional(lambda: aws.ask("s3", "get_bucket_tagging", Bucket=id_)) or {}
    return {"bucket": id_, "tags": tags_of(tagging.get("tagSet"))}, _bucket_outputs(aws, id_)


def _delete_bucket(aws: Aws, id_: str, outputs: Outputs) -> None:
    if outputs.get("forceDestroy"):
        pages = aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=id_)
        for page in pages:
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                aws.call(
                    "s3",
                    "delete_object",
                    Bucket=id_,
                    Key=entry["Key"],
                    VersionId=entry["VersionId"],
                )
    aws.call("s3", "delete_bucket", Bucket=id_)


def _body(inputs: Inputs) -> bytes:
    source = inputs.get("source")
    return content_of(source) if is_asset(source) else str(inputs.get("content", "")).encode()


def _put_object(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    body = _body(inputs)
    optional = {"ContentType": inputs["contentType"]} if inputs.get("contentType") else {}
    if inputs.get("tags"):
        optional["Tagging"] = urlencode(inputs["tags"])
    answer = aws.call(
        "s3", "put_object", Bucket=inputs["bucket"], Key=inputs["key"], Body=body, **optional
    )
    outputs = {k: v for k, v in inputs.items() if k != "source"}
    return inputs["key"], {**outputs, **_object_outputs(answer)}


def _update_object(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    same = hashlib.md5(_body(inputs), usedforsecurity=False).hexdigest() == outputs.get("etag")
    if not same or inputs.get("contentType") != outputs.get("contentType"):
        return _put_object(aws, inputs)[1]
    # Tags belong to the version: a new version of the same content would start the pipeline.
    aws.call(
        "s3",
        "put_object_tagging",
        Bucket=inputs["bucket"],
        Key=id_,
        Tagging={"TagSet": tag_list(inputs)},
    )
    rest = {key: value for key, value in inputs.items() if key != "source"}
    return made(outputs, rest, "versionId", "etag")


def _find_object(aws: Aws, id_: str, known: Inputs) -> Answer:
    bucket, key = known.get("bucket"), id_
    if not bucket:
        bucket, key = split_id(id_.removeprefix("s3://"), "/", "BUCKET/KEY")
    of = {"Bucket": bucket, "Key": key}
    head = aws.client("s3").head_object(**of)
    etag = head["ETag"].strip('"')
    tags = tags_of(aws.ask("s3", "get_object_tagging", **of).get("tagSet"))
    inputs = {"bucket": bucket, "key": key, "contentType": head["ContentType"], "tags": tags}
    if etag == known.get("etag"):
        return {**inputs, **only(known, ("source", "content"))}, _object_outputs(head)
    body = aws.client("s3").get_object(**of)["Body"].read()
    if "content" in known:
        inputs["content"] = body.decode(errors="replace")
    else:
        inputs["source"] = {"sha256": hashlib.sha256(body).hexdigest()}
    return inputs, _object_outputs(head)


def _object_outputs(answer: dict[str, Any]) -> Outputs:
    return {"versionId": answer.get("VersionId", ""), "etag": answer["ETag"].strip('"')}


def _delete_object(aws: Aws, id_: str, outputs: Outputs) -> None:
    aws.call("s3", "delete_object", Bucket=outputs["bucket"], Key=id_)


def _put_logging(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    status = {key: value for key, value in inputs.items() if key != "bucket"}
    aws.call(
        "s3",
        "put_bucket_logging",
        Bucket=inputs["bucket"],
        BucketLoggingStatus={"LoggingEnabled": status},
    )
    return inputs["bucket"], inputs


def _update_logging(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_logging(aws, inputs)[1]


def _delete_logging(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("s3", "put_bucket_logging", Bucket=id_, BucketLoggingStatus={})


def _find_setting(
    operation: str, inputs: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> Find:
    """Return a reader of one setting of a bucket.

    Args:
        operation: boto3's name of the operation.
        inputs: returns the inputs besides the bucket for an answer; None if it is not set.
    """

    def find(aws: Aws, id_: str, known: Inputs) -> Answer | None:
        del known
        found = inputs(aws.ask("s3", operation, Bucket=id_))
        return None if found is None else ({"bucket": id_, **found}, {})

    return find


def _versioning(answer: dict[str, Any]) -> dict[str, Any] | None:
    found = only(answer, ("status", "mfaDelete"))
    return {"versioningConfiguration": found} if found else None


def _notification_inputs(answer: dict[str, Any]) -> dict[str, Any] | None:
    return {"eventbridge": True} if "eventBridgeConfiguration" in answer else None


def _notification(inputs: Inputs) -> dict[str, Any]:
    wanted: dict[str, Any] = {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
    return {"Bucket": inputs["bucket"], "NotificationConfiguration": wanted}


TYPES: dict[str, ResourceType] = {
    "aws:s3/bucket:Bucket": ResourceType(
        _create_bucket,
        _delete_bucket,
        _update_bucket,
        fields("bucket"),
        fields("bucket forceDestroy tags"),
        fields("bucket"),
        reader=Reader(_find_bucket, Terms(unread=fields("forceDestroy"))),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": put(
        "s3",
        "put_bucket_versioning",
        lambda i: {
            "Bucket": i["bucket"],
            "VersioningConfiguration": i["versioningConfiguration"],
        },
        _bucket_of,
        # Versioning cannot be removed from a bucket, only suspended.
        delete="put_bucket_versioning",
        delete_parameters=lambda o: {
            "Bucket": o["bucket"],
            "VersioningConfiguration": {"Status": "Suspended"},
        },
        accepts="bucket versioningConfiguration",
        find=_find_setting("get_bucket_versioning", _versioning),
        terms=Terms({"versioningConfiguration.mfaDelete": "Disabled"}),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": put(
        "s3",
        "put_bucket_encryption",
        lambda i: {
            "Bucket": i["bucket"],
            "ServerSideEncryptionConfiguration": {"Rules": i["rules"]},
        },
        _bucket_of,
        delete="delete_bucket_encryption",
        accepts="bucket rules",
        find=_find_setting(
            "get_bucket_encryption",
            lambda a: {"rules": a["serverSideEncryptionConfiguration"]["rules"]},
        ),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": put(
        "s3",
        "put_public_access_block",
        lambda i: {
            "Bucket": i["bucket"],
            "PublicAccessBlockConfiguration": {k: v for k, v in i.items() if k != "bucket"},
        },
        _bucket_of,
        delete="delete_public_access_block",
        find=_find_setting(
            "get_public_access_block", lambda a: dict(a["publicAccessBlockConfiguration"])
        ),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": put(
        "s3",
        "put_bucket_ownership_controls",
        lambda i: {"Bucket": i["bucket"], "OwnershipControls": {"Rules": [i["rule"]]}},
        _bucket_of,
        delete="delete_bucket_ownership_controls",
        accepts="bucket rule",
        find=_find_setting(
            "get_bucket_ownership_controls", lambda a: {"rule": a["ownershipControls"]["rules"][0]}
        ),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": put(
        "s3",
        "put_bucket_lifecycle_configuration",
        lambda i: {"Bucket": i["bucket"], "LifecycleConfiguration": {"Rules": i["rules"]}},
        _bucket_of,
        delete="delete_bucket_lifecycle",
        accepts="bucket rules",
        find=_find_setting(
            "get_bucket_lifecycle_configuration", lambda a: {"rules": a.get("rules") or []}
        ),
    ),
    "aws:s3/bucketLogging:BucketLogging": ResourceType(
        _put_logging,
        _delete_logging,
        _update_logging,
        fields("bucket"),
        fields("bucket targetBucket targetPrefix"),
        reader=Reader(_find_setting("get_bucket_logging", lambda a: a.get("loggingEnabled"))),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": put(
        "s3",
        "put_bucket_policy",
        lambda i: {"Bucket": i["bucket"], "Policy": i["policy"]},
        _bucket_of,
        delete="delete_bucket_policy",
        accepts="bucket policy",
        find=_find_setting("get_bucket_policy", lambda a: {"policy": a["policy"]}),
    ),
    "aws:s3/bucketNotification:BucketNotification": put(
        "s3",
        "put_bucket_notification_configuration",
        _notification,
        _bucket_of,
        delete="put_bucket_notification_configuration",
        delete_parameters=lambda o: {"Bucket": o["bucket"], "NotificationConfiguration": {}},
        accepts="bucket eventbridge",
        find=_find_setting("get_bucket_notification_configuration", _notification_inputs),
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": ResourceType(
        _put_object,
        _delete_object,
        _update_object,
        fields("bucket key"),
        fields("bucket key source content contentType tags"),
        volatile=fields("versionId etag"),
        reader=Reader(_find_object, Terms({"contentType": "binary/octet-stream"})),
    ),
}
