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


HOSTS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html"


@pytest.mark.parametrize(
    "host",
    [
        "photos.s3.localhost.localstack.cloud:4566",
        "photos.s3.eu-west-1.localhost.localstack.cloud",
        "photos.s3-eu-west-1.localhost:4566",
        "photos.s3.dualstack.eu-west-1.localhost:4566",
        "photos.s3-accelerate.localhost.localstack.cloud:4566",
        "photos.localhost:4566",
        "photos.localhost.localstack.cloud",
        "PHOTOS.S3.LocalHost:4566",
        "photos.s3.localhost.:4566",
    ],
)
@pytest.mark.parametrize(
    ("path", "expected"), [("/", "/photos"), ("/a/b", "/photos/a/b"), ("//a", "/photos//a")]
)
@pytest.mark.parametrize("signed_by", [{}, {"authorization": signature("s3")}])
@pytest.mark.aws_documented(HOSTS)
def test_a_bucket_in_the_host_name_goes_into_the_path(
    host: str, path: str, expected: str, signed_by: dict[str, str]
) -> None:
    request = Request("GET", path, path, "", {"host": host, **signed_by}, b"")
    for _ in range(2):  # a second time changes nothing
        route(request)
        assert ("s3", expected, expected) == (request.service, request.path, request.raw_path)


@pytest.mark.parametrize(
    "host",
    [
        "s3.localhost.localstack.cloud:4566",
        "s3.eu-west-1.localhost",
        "localhost:4566",
        "localhost.localstack.cloud:4566",
        "127.0.0.1:4566",
        "[::1]:4566",
        "",
    ],
)
@pytest.mark.aws_documented(HOSTS)
def test_a_host_name_without_a_bucket_leaves_the_path(host: str) -> None:
    request = Request("GET", "/photos/a", "/photos/a", "", {"host": host}, b"")
    route(request)
    assert ("s3", "/photos/a") == (request.service, request.path)


@pytest.mark.aws_documented(HOSTS)
def test_a_host_name_gives_the_region_of_a_request_without_a_signature() -> None:
    host = "photos.s3.eu-west-1.localhost:4566"
    assert "eu-west-1" == routed(host=host)[2]
    assert "eu-north-1" == routed(host=host, authorization=signature("s3", region="eu-north-1"))[2]


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        ("sts.eu-west-1.localhost.localstack.cloud", "/", "sts"),
        ("abc.lambda-url.eu-west-1.localhost", "/", "lambda-url"),
        ("site.s3-website.eu-west-1.localhost", "/index.html", "s3-website"),
        ("000000000000.localhost", "/v20180820/bucket/b", "s3control"),
    ],
)
@pytest.mark.emulator_only
def test_another_service_in_the_host_name_is_not_taken_for_a_bucket(
    host: str, path: str, service: str
) -> None:
    assert service == routed(host=host, path=path)[0]


@pytest.mark.emulator_only
def test_a_signature_says_more_than_the_host_name() -> None:
    authorization = signature("sagemaker")
    assert "sagemaker" == routed(host="photos.s3.localhost", authorization=authorization)[0]
