"""The AWS provider, when the program talks to an endpoint other than AWS.

Owns which environment variables point the program elsewhere, and at which services. Must
not: be used on AWS, where Pulumi's default provider with its own credentials is right.
"""

from collections.abc import Mapping

import pulumi_aws as aws

DEFAULT_PORT = 4566

# One alias for each service that the program registers resources of; a provider takes a
# service's endpoint only once.
SERVICES = (
    "budgets",
    "cloudwatch",
    "codebuild",
    "codecommit",
    "codepipeline",
    "ecr",
    "events",
    "iam",
    "kms",
    "lambda_",
    "logs",
    "s3",
    "sns",
    "ssm",
    "sts",
)


def endpoint_url(environ: Mapping[str, str]) -> str | None:
    """Return the endpoint that the environment asks for, or None for AWS.

    ``AWS_ENDPOINT_URL`` is a whole URL and comes first; ``LOCALSTACK_HOST`` is a host with an
    optional port, as LocalStack's own clients read it.
    """
    url = environ.get("AWS_ENDPOINT_URL", "").strip().rstrip("/")
    if url:
        return url
    host = environ.get("LOCALSTACK_HOST", "").strip()
    if not host:
        return None
    return f"http://{host}" if ":" in host else f"http://{host}:{DEFAULT_PORT}"


def endpoint_provider(environ: Mapping[str, str], region: str) -> aws.Provider | None:
    """Return a provider for the endpoint that the environment asks for, or None for AWS."""
    url = endpoint_url(environ)
    if url is None:
        return None
    services = dict.fromkeys(SERVICES, url)
    return aws.Provider(
        "endpoint",
        region=region,
        access_key="test",
        secret_key="test",  # noqa: S106 - an endpoint like this one takes any secret
        endpoints=[aws.ProviderEndpointArgs(**services)],
        s3_use_path_style=True,
        skip_credentials_validation=True,
        skip_metadata_api_check=True,
        skip_region_validation=True,
        # The account is the endpoint's own, so ask for it.
        skip_requesting_account_id=False,
    )
