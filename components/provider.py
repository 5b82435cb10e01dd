"""The AWS provider for an endpoint other than AWS, such as a local cloud.

Owns the environment variables that select the endpoint, and the list of services. Must not: be used
on AWS, where Pulumi's default provider and its credentials apply.
"""

import re
from collections.abc import Mapping

import pulumi_aws as aws

DEFAULT_PORT = 4566

# One alias per service whose resources the program registers or reads. A provider accepts only one
# alias of each service.
SERVICES = (
    "budgets",
    "cloudformation",
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
    """Return the endpoint that the environment selects, or None for AWS.

    ``AWS_ENDPOINT_URL`` is a URL and has precedence. ``LOCALSTACK_HOST`` is a host with an optional
    port, as in LocalStack's own clients.
    """
    url = environ.get("AWS_ENDPOINT_URL", "").strip().rstrip("/")
    if url:
        return url
    host = environ.get("LOCALSTACK_HOST", "").strip()
    if not host:
        return None
    return f"http://{host}" if ":" in host else f"http://{host}:{DEFAULT_PORT}"


def endpoint_provider(environ: Mapping[str, str], region: str) -> aws.Provider | None:
    """Return a provider for the endpoint that the environment selects, or None for AWS."""
    url = endpoint_url(environ)
    if url is None:
        return None
    services = dict.fromkeys(SERVICES, url)
    return aws.Provider(
        "endpoint",
        region=region,
        access_key=access_key(environ),
        secret_key="test",  # noqa: S106 - such an endpoint accepts any secret
        endpoints=[aws.ProviderEndpointArgs(**services)],
        s3_use_path_style=True,
        skip_credentials_validation=True,
        skip_metadata_api_check=True,
        skip_region_validation=True,
        # The endpoint has an account id of its own, which must be requested.
        skip_requesting_account_id=False,
    )


def access_key(environ: Mapping[str, str]) -> str:
    """Return the key for such an endpoint: a key of 12 digits is an account, as in LocalStack.

    Any other key may be a person's own, which is not sent there; ``test`` stands for it.
    Source: https://docs.localstack.cloud/aws/capabilities/config/multi-account-setups/
    """
    key = environ.get("AWS_ACCESS_KEY_ID", "")
    return key if re.fullmatch("[0-9]{12}", key) else "test"
