"""ImageRepository: the ECR repository of the model container."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.naming import Names

_UNTAGGED_IMAGES_KEPT = 20


class ImageRepository(pulumi.ComponentResource):
    """A scanned, encrypted repository that forgets old untagged images.

    Tags may move, because training follows a tag; it records the digest it resolved to, and
    that is what endpoints run.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:ImageRepository", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.repository = aws.ecr.Repository(
            f"{name}-repository",
            name=names.repository,
            image_tag_mutability="MUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            force_delete=True,
            tags=dict(tags),
            opts=child,
        )
        self.url = self.repository.repository_url
        self.name = self.repository.name
        aws.ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=self.name,
            policy=json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "description": "Forget old images that no tag points at",
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "imageCountMoreThan",
                                "countNumber": _UNTAGGED_IMAGES_KEPT,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=child,
        )
        self.register_outputs({"url": self.url, "name": self.name})
