"""The service, region and account of a request."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.aws.routing import Request, Scope, account_of_access_key, route, scope_of_arn
from tests.examples import examples

signed = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html"
)


def routed(
    *, path: str = "/", query: str = "", body: bytes = b"", **headers: str
) -> tuple[str, str, str]:
    request = Request(
        "POST", path, path, query, {k.replace("_", "-"): v for k, v in headers.items()}, body
    )
    route(request)
    return request.service, request.scope.account, request.scope.region


def signature(service: str, *, key: str = "test", region: str = "eu-west-1") -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/20260102/{region}/{service}/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=abc"
    )


@signed
@pytest.mark.parametrize(
    ("signing_name", "service"),
    [
        ("sagemaker", "sagemaker"),
        ("codepipeline", "codepipeline"),
        ("application-autoscaling", "application-autoscaling"),
        ("monitoring", "cloudwatch"),
        ("s3", "s3"),
    ],
)
def test_the_signature_names_service_and_region(signing_name: str, service: str) -> None:
    found = routed(authorization=signature(signing_name))
    assert (service, "000000000000", "eu-west-1") == found


@pytest.mark.emulator_only
def test_a_key_of_twelve_digits_is_the_account() -> None:
    found = routed(authorization=signature("s3", key="123456789012"))
    assert ("s3", "123456789012", "eu-west-1") == found


@pytest.mark.emulator_only
@settings(max_examples=examples(100))
@given(st.text())
def test_any_other_key_means_the_default_account(key: str) -> None:
    account = account_of_access_key(key)
    assert (account == key) or account == "000000000000"
    assert 12 == len(account)


@signed
def test_a_presigned_url_carries_its_credential_in_the_query() -> None:
    credential = "123456789012%2F20260102%2Feu-west-1%2Fs3%2Faws4_request"
    found = routed(path="/bucket/key", query=f"X-Amz-Credential={credential}&X-Amz-Expires=60")
    assert ("s3", "123456789012", "eu-west-1") == found


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("target", "service"),
    [
        ("SageMaker.ListModels", "sagemaker"),
        ("CodePipeline_20150709.GetPipeline", "codepipeline"),
        ("AnyScaleFrontendService.RegisterScalableTarget", "application-autoscaling"),
        ("Logs_20140328.PutLogEvents", "logs"),
        ("AmazonEC2ContainerRegistry_V20150921.DescribeImages", "ecr"),
    ],
)
def test_an_unsigned_request_is_routed_by_its_target(target: str, service: str) -> None:
    assert (service, "000000000000", "us-east-1") == routed(x_amz_target=target)


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/2015-03-31/functions/f/invocations", "lambda"),
        ("/bucket/2015-03-31/functions", "s3"),
        ("/", "s3"),
        ("/bucket/key", "s3"),
    ],
)
def test_an_unsigned_path_means_lambda_or_s3(path: str, service: str) -> None:
    assert service == routed(path=path)[0]


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("path", "service"),
    [("/endpoints/e/invocations", "sagemaker-runtime"), ("/", "sagemaker")],
)
def test_sagemaker_and_its_runtime_share_a_signing_name(path: str, service: str) -> None:
    assert service == routed(path=path, authorization=signature("sagemaker"))[0]


@pytest.mark.emulator_only
@pytest.mark.parametrize("authorization", ["", "Bearer x", "AWS AKID:signature", "Credential=/"])
def test_another_authorization_changes_nothing(authorization: str) -> None:
    assert ("s3", "000000000000", "us-east-1") == routed(authorization=authorization)


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("arn", "scope"),
    [
        ("arn:aws:sns:eu-west-1:123456789012:t", Scope("123456789012", "eu-west-1")),
        ("arn:aws:s3:::bucket", Scope("000000000000", "us-east-1")),
    ],
)
def test_an_arn_lies_in_a_scope(arn: str, scope: Scope) -> None:
    assert scope == scope_of_arn(arn)


@pytest.mark.botocore_modelled
def test_a_scope_makes_arns() -> None:
    expected = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"
    assert expected == Scope("123456789012", "eu-west-1").arn("sagemaker", "endpoint/e")
