"""The S3 source action: copies the newest version of an object into an artifact.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
"""

from __future__ import annotations

from typing import Any

from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, ActionOutcome


async def fetch_object(context: ActionContext) -> ActionOutcome:
    """Copy the object into the artifact store.

    Raises:
        ActionFailed: the bucket is not versioned, or the object does not exist.
    """
    bucket, key = context.require("S3Bucket"), context.require("S3ObjectKey")
    version_id = None
    for revision in context.execution.source_revisions:
        if revision.get("actionName") == context.run.name:
            if revision.get("revisionType") == "S3_OBJECT_KEY":
                key = revision["revisionValue"]
            else:
                version_id = revision["revisionValue"]
    wanted: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if version_id is not None:
        wanted["VersionId"] = version_id
    if (await _call(context, "get_bucket_versioning", Bucket=bucket)).get("Status") != "Enabled":
        raise ActionFailed(
            "ConfigurationError",
            f"The bucket '{bucket}' is not versioned; an S3 source requires versioning.",
        )
    try:
        head = await context.api("s3", "head_object", **wanted)
    except Exception as error:
        raise ActionFailed(
            "ConfigurationError",
            f"The object with key '{key}' does not exist in the bucket '{bucket}', or the "
            f"pipeline's role may not read it. ({error})",
        ) from error
    version = head["VersionId"]
    outcome = ActionOutcome(
        summary=f"Amazon S3 version id: {version}",
        variables={
            "VersionId": version,
            "ETag": head["ETag"].strip('"'),
            "BucketName": bucket,
            "ObjectKey": key,
        },
    )
    for output in context.declaration.get("outputArtifacts", []):
        location = context.output_location(output["name"])
        location.revision = version
        location.revision_summary = outcome.summary
        await _call(
            context,
            "copy_object",
            Bucket=location.bucket,
            Key=location.key,
            CopySource={"Bucket": bucket, "Key": key, "VersionId": version},
        )
        outcome.artifacts[output["name"]] = location
    return outcome


async def _call(context: ActionContext, operation: str, **parameters: Any) -> dict[str, Any]:
    try:
        return await context.api("s3", operation, **parameters)
    except Exception as error:
        raise ActionFailed("PermissionError", f"Amazon S3 refused: {error}") from error
