"""The artifact store of a pipeline, as its declaration has it."""

import pulumi
import pulumi_aws as aws


def artifact_store(
    bucket: pulumi.Input[str], key_arn: pulumi.Input[str] | None
) -> aws.codepipeline.PipelineArtifactStoreArgsDict:
    """Return a pipeline's artifact store, encrypted with the key if there is one."""
    store: aws.codepipeline.PipelineArtifactStoreArgsDict = {"location": bucket, "type": "S3"}
    if key_arn is not None:
        store["encryption_key"] = {"id": key_arn, "type": "KMS"}
    return store
