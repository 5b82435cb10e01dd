"""DataLake: the bucket for datasets; each upload creates a version and an event."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.naming import Names
from components.private_bucket import BucketSafety, PrivateBucket


class DataLake(pulumi.ComponentResource):
    """A versioned bucket that sends an event to EventBridge for every new object.

    ``ready`` lists the resources that must exist before an upload starts the pipeline.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        safety: BucketSafety,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:DataLake", name, None, opts)
        self.store = PrivateBucket(
            f"{name}-data",
            names.data_bucket,
            names,
            safety=safety,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = self.store.name
        notification = aws.s3.BucketNotification(
            f"{name}-events",
            bucket=self.bucket_name,
            eventbridge=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ready: list[pulumi.Resource] = [*self.store.ready, notification]
        self.register_outputs({"bucket_name": self.bucket_name})
