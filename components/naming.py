"""Physical names and ARNs, derived from the model's name, the account and the region.

Owns the naming contract: every name that users, policies or the other stack rely on is defined here
and is the same in every run. Must not: register resources or read configuration.

The names are deterministic for two reasons. A policy can name a resource of the other stack: for
example, production's execution role reads the artifact bucket, which is deployed after it. And a
preview shows every policy in full.
"""

from dataclasses import dataclass, replace

DATASET_KEY = "dataset.zip"
TEMPLATE_KEY = "template.zip"
TEMPLATE_FILE = "template.json"
TRAINING_PREFIX = "training"
# Below it, in the same bucket, are the reports of processing jobs. They do not expire: the baseline
# of the model in production is one of them.
REPORT_PREFIX = "reports"
CAPTURE_PREFIX = "capture"
# After so many days S3 deletes what was captured.
CAPTURE_DAYS = 90
VARIANT_NAME = "AllTraffic"

# CodePipeline stores artifacts below so many characters of the pipeline's name.
_ARTIFACT_PREFIX_LENGTH = 20
_ENDPOINT_SUFFIX = {"dev": "development", "prd": "production"}


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one model's resources in one account and region.

    Attributes:
        model: the model's name.
        account: account id, twelve digits.
        region: the AWS region.
        partition: the AWS partition.
        role_path: IAM path of every role; begins and ends with ``/``.
        permissions_boundary: ARN of the policy that limits every role; None for no limit.
    """

    model: str
    account: str
    region: str
    partition: str = "aws"
    role_path: str = "/"
    permissions_boundary: str | None = None

    def bucket(self, purpose: str) -> str:
        """Return a bucket's name. It is global, so it includes the account and the region."""
        return f"mlops-{self.model}-{purpose}-{self.account}-{self.region}"

    @property
    def data_bucket(self) -> str:
        """The data lake, where a new dataset starts the pipeline."""
        return self.bucket("data")

    @property
    def artifact_bucket(self) -> str:
        """The pipeline's artifact store, which also holds the trained models."""
        return self.bucket("artifacts")

    def template_bucket(self, environment: str) -> str:
        """Return the bucket with the CloudFormation template of an environment."""
        return self.bucket(f"template-{environment}")

    def capture_bucket(self, environment: str) -> str:
        """Return the bucket with what an environment's endpoint captures."""
        return self.bucket(f"capture-{environment}")

    def role(self, purpose: str) -> str:
        """Return a role's name. IAM is global in an account, so it includes the region."""
        return f"mlops-{self.model}-{purpose}-{self.region}"

    def role_arn(self, purpose: str) -> str:
        """Return a role's ARN, which includes its path."""
        return self.iam_arn(f"role{self.role_path}{self.role(purpose)}")

    def in_account(self, account: str | None) -> "Names":
        """Return the same model's names in another account, or these names for None."""
        return self if account is None else replace(self, account=account)

    @property
    def repository(self) -> str:
        """The ECR repository of the model image."""
        return self.model

    @property
    def image_parameter(self) -> str:
        """The SSM parameter that holds the released image, with its digest."""
        return f"/mlops/{self.model}/image"

    @property
    def arm64_image_parameter(self) -> str:
        """The SSM parameter that holds the released image for arm64, with its digest."""
        return f"{self.image_parameter}-arm64"

    @property
    def source_repository(self) -> str:
        """The CodeCommit repository whose pushes build the model image."""
        return self.model

    @property
    def source_approval_rule(self) -> str:
        """The approval rule template of the CodeCommit repository."""
        return f"mlops-{self.model}-source"

    @property
    def artifact_prefixes(self) -> tuple[str, ...]:
        """The prefixes of the pipelines' artifacts: their names, which CodePipeline truncates."""
        pipelines = (self.pipeline, self.image_pipeline)
        return tuple(f"{name[:_ARTIFACT_PREFIX_LENGTH]}/" for name in pipelines)

    @property
    def image_build(self) -> str:
        """The CodeBuild project that builds the model image."""
        return f"{self.model}-image"

    @property
    def arm64_image_build(self) -> str:
        """The CodeBuild project that builds the model image for arm64."""
        return f"{self.image_build}-arm64"

    @property
    def image_pipeline(self) -> str:
        """The pipeline that builds the model image on a push."""
        return f"{self.model}-image-pipeline"

    @property
    def pipeline(self) -> str:
        """The delivery pipeline."""
        return f"{self.model}-pipeline"

    def key_alias(self, environment: str) -> str:
        """Return the alias of an environment's KMS key. It is regional, so it omits the region."""
        return f"alias/mlops-{self.model}-{environment}"

    def endpoint(self, environment: str) -> str:
        """Return the SageMaker endpoint's name, which stays the same in all deployments."""
        return f"{self.model}-{_ENDPOINT_SUFFIX[environment]}"

    def endpoint_log_group(self, environment: str) -> str:
        """Return the log group of an endpoint's containers, whose name SageMaker determines."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint(environment)}"

    def cloudformation_stack(self, environment: str) -> str:
        """Return the name of the CloudFormation stack of an endpoint."""
        return f"mlops-deploy-{self.model}-{environment}"

    def s3_arn(self, bucket: str, key: str = "") -> str:
        """Return the ARN of a bucket, or of the objects that match a key."""
        return f"arn:{self.partition}:s3:::{bucket}" + (f"/{key}" if key else "")

    def iam_arn(self, resource: str) -> str:
        """Return an IAM ARN, for example of ``role/NAME``."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"
