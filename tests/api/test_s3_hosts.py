"""S3 with the bucket in the host name, and the refusal of what nothing can place."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud import REGION, TestCloud

URL = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html"
pytestmark = pytest.mark.aws_documented(URL)
HOSTS = ("s3.localhost.localstack.cloud", f"s3.{REGION}.localhost.localstack.cloud", "localhost")


def virtual(cloud: TestCloud, host: str) -> Any:
    """Return a client that names the bucket in the Host header, without asking a name server."""
    address = urlsplit(cloud.url)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{address.port}",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "virtual"}),
    )

    def connect(request: Any, **_: Any) -> None:
        named = urlsplit(request.url)
        request.headers["Host"] = named.netloc
        request.url = named._replace(netloc=address.netloc).geturl()

    client.meta.events.register("before-send.s3", connect)
    return client


def test_the_client_does_name_the_bucket_in_the_host(cloud: TestCloud) -> None:
    seen: list[str] = []
    client = virtual(cloud, "localhost")
    client.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.list_objects_v2(Bucket="not-there")
    assert not any("not-there" in url for url in seen)


@pytest.mark.parametrize("host", HOSTS)
def test_a_bucket_is_used_by_its_host_name(cloud: TestCloud, host: str) -> None:
    s3 = virtual(cloud, host)
    by_path = cloud.client("s3")
    name = f"by-host.{HOSTS.index(host)}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    key = "a folder/ä+b%20c"
    s3.put_object(Bucket=name, Key=key, Body=b"one")
    assert by_path.get_object(Bucket=name, Key=key)["Body"].read() == b"one"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=name)["Contents"]] == [key]
    upload = s3.create_multipart_upload(Bucket=name, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="parts", UploadId=upload, PartNumber=1, Body=b"two")
    s3.complete_multipart_upload(
        Bucket=name,
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    copy = {"Bucket": name, "Key": "parts"}
    s3.copy_object(Bucket=name, Key="copied", CopySource=copy)
    assert s3.get_object(Bucket=name, Key="copied")["Body"].read() == b"two"
    versions = s3.list_object_versions(Bucket=name)["Versions"]
    objects = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions]
    s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    s3.delete_bucket(Bucket=name)
    assert name not in [b["Name"] for b in by_path.list_buckets()["Buckets"]]


def _status(cloud: TestCloud, method: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_signed_address_with_the_bucket_in_its_host_is_served(cloud: TestCloud) -> None:
    cloud.client("s3").create_bucket(Bucket="presigned-host")
    cloud.client("s3").put_object(Bucket="presigned-host", Key="k", Body=b"v")
    address = urlsplit(
        virtual(cloud, "localhost").generate_presigned_url(
            "get_object", {"Bucket": "presigned-host", "Key": "k"}
        )
    )
    assert address.hostname == "presigned-host.localhost"
    found = _status(cloud, "GET", f"{address.path}?{address.query}", Host=address.netloc)
    assert (200, "v") == found


@pytest.mark.parametrize(
    ("host", "path", "named"),
    [
        (f"abc.lambda-url.{REGION}.localhost.localstack.cloud", "/", "lambda-url"),
        (f"site.s3-website.{REGION}.localhost", "/index.html", "s3-website"),
        ("000000000000.localhost", "/v20180820/configuration/publicAccessBlock", "s3control:"),
    ],
)
def test_another_service_in_the_host_is_refused_by_name(
    cloud: TestCloud, host: str, path: str, named: str
) -> None:
    status, text = _status(cloud, "GET", path, Host=host)
    assert (501, True) == (status, named in text), text


def test_a_request_for_no_bucket_and_no_service_is_refused(cloud: TestCloud) -> None:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/s3/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    for method in ("PUT", "DELETE", "POST"):
        status, text = _status(cloud, method, "/", Authorization=authorization)
        assert (405, True) == (status, "MethodNotAllowed" in text), text
    status, text = _status(cloud, "PUT", "/")
    assert (403, True) == (status, "MissingAuthenticationToken" in text), text
