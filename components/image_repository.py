"""ImageRepository: the ECR repository of the model container, and the pointer to its release."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names

# An endpoint needs the image with its digest. After a hundred builds it should run a newer one.
RETAINED_IMAGES = 100
# The parameter's value until an image is released.
NO_IMAGE = "none"


class ImageRepository(pulumi.ComponentResource):
    """A scanned, encrypted repository with immutable tags, and a pointer to the release.

    The SSM parameter holds ``REPOSITORY_URI@sha256:DIGEST``. The image build writes it, and
    training reads it. Writing an older digest rolls the container back. With ``arm64`` a second
    parameter holds the image for arm64.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        key_arn: pulumi.Input[str] | None,
        share_with: Names | None,
        arm64: bool,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the repository and the parameter.

        Args:
            name: stem of the logical names.
            names: the account's names.
            key_arn: KMS key of the images; None for ECR's own encryption.
            share_with: names in the account of a separate production, which pulls the image; None
                if production is in the same account.
            arm64: the image is built for arm64, too.
            tags: tags for each resource.
            opts: the component's resource options.
        """
        super().__init__("mlops:index:ImageRepository", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        encryption: aws.ecr.RepositoryEncryptionConfigurationArgsDict = (
            {"encryption_type": "AES256"}
            if key_arn is None
            else {"encryption_type": "KMS", "kms_key": key_arn}
        )
        self.repository = aws.ecr.Repository(
            f"{name}-repository",
            name=names.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[encryption],
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
                            "description": f"Keep the last {RETAINED_IMAGES} images",
                            "selection": {
                                "tagStatus": "any",
                                "countType": "imageCountMoreThan",
                                "countNumber": RETAINED_IMAGES,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=child,
        )
        if share_with is not None:
            aws.ecr.RepositoryPolicy(
                f"{name}-share",
                repository=self.name,
                policy=resource_policies.image_repository(share_with),
                opts=child,
            )
        parameters = {f"{name}-released": (names.image_parameter, "")}
        if arm64:
            parameters[f"{name}-released-arm64"] = (names.arm64_image_parameter, " for arm64")
        released, *_ = (
            aws.ssm.Parameter(
                logical_name,
                name=parameter,
                description=f"The released image of {names.model}{platform}, with its digest",
                type="String",
                value=NO_IMAGE,
                tags=dict(tags),
                # Releases write it; a deployment of this stack must not undo a release.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["value"]),
            )
            for logical_name, (parameter, platform) in parameters.items()
        )
        self.parameter = released.name
        self.register_outputs({"url": self.url, "name": self.name, "parameter": self.parameter})
