"""The artifact store in a pipeline's declaration."""

import pulumi
import pulumi_aws as aws


def artifact_store(
    bucket: pulumi.Input[str], key_arn: pulumi.Input[str] | None
) -> aws.codepipeline.PipelineArtifactStoreArgsDict:
    """Return the declaration of a pipeline's artifact store.

    Args:
        bucket: name of the artifact bucket.
        key_arn: KMS key of the artifacts; None for S3's own encryption.
    """
    store: aws.codepipeline.PipelineArtifactStoreArgsDict = {"location": bucket, "type": "S3"}
    if key_arn is not None:
        store["encryption_key"] = {"id": key_arn, "type": "KMS"}
    return store
