"""The dependencies of a model or a job have to exist, and so does what is tagged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import ACCOUNT, REGION, SAGEMAKER_ROLE, TestCloud, have_role, local_cloud
from tests.sagemaker import prepare, training

API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"
models = pytest.mark.aws_documented(f"{API}/API_CreateModel.html")
tags = pytest.mark.aws_documented(f"{API}/API_AddTags.html")
BUCKET = "dependencies"
DATA = f"s3://{BUCKET}/one/model.tar.gz"
NOBODY = f"arn:aws:iam::{ACCOUNT}:role/nobody"


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    return prepare(cloud, BUCKET)


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    return str(error["Message"])


def model(
    image: str, name: str = "m", role: str = SAGEMAKER_ROLE, data: str | None = DATA
) -> dict[str, Any]:
    container = {"Image": image, **({"ModelDataUrl": data} if data else {})}
    return {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}


# Source: https://github.com/aws/amazon-sagemaker-examples/pull/4476
@models
def test_a_model_needs_its_data(cloud: TestCloud, image: str) -> None:
    create = cloud.client("sagemaker").create_model
    for url in (f"s3://{BUCKET}/none.tar.gz", "s3://no-such-bucket/model.tar.gz"):
        assert refused(create, **model(image, data=url)) == f"Could not find model data at {url}."
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="deleted.tar.gz", Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="deleted.tar.gz")
    deleted = model(image, data=f"s3://{BUCKET}/deleted.tar.gz")
    assert "Could not find model data" in refused(create, **deleted)


@models
def test_a_model_needs_its_image(cloud: TestCloud, image: str) -> None:
    create = cloud.client("sagemaker").create_model
    for gone in (
        image.partition("@")[0] + ":no-such-tag",
        image[:-1] + ("0" if image[-1] != "0" else "1"),
        f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    ):
        assert refused(create, **model(gone)).startswith(f"Requested image {gone} not found.")
    said = refused(create, **model("sklearn:latest"))
    assert said.startswith('Using non-ECR image "sklearn:latest" without Vpc repository access')


# Source: https://repost.aws/knowledge-center/sagemaker-s3-model-data-access
@models
def test_a_model_needs_a_role_that_trusts_sagemaker(cloud: TestCloud, image: str) -> None:
    create = cloud.client("sagemaker").create_model
    other = have_role(cloud, f"arn:aws:iam::{ACCOUNT}:role/of-functions", "lambda")
    for role in (NOBODY, other):
        said = refused(create, **model(image, role=role))
        assert said.startswith(f"Could not access model data at {DATA}. Please ensure that the ro")
        assert f'"{role}" exists and that its trust relationship policy allows' in said
        said = refused(create, **model(image, role=role, data=None))
        assert said == (
            f"Could not assume role {role}. Please ensure that the role exists and allows "
            "principal 'sagemaker.amazonaws.com' to assume the role."
        )


@models
def test_a_model_needs_no_data_if_its_image_has_them(cloud: TestCloud, image: str) -> None:
    sagemaker = cloud.client("sagemaker")
    arn = sagemaker.create_model(**model(image, "without-data", data=None))["ModelArn"]
    assert arn.endswith(":model/without-data")
    sagemaker.delete_model(ModelName="without-data")


@models
def test_a_job_needs_a_role_that_trusts_sagemaker(cloud: TestCloud, image: str) -> None:
    request = training(image, BUCKET, "no-role") | {"RoleArn": NOBODY}
    said = refused(cloud.client("sagemaker").create_training_job, **request)
    assert said.startswith(f"Could not assume role {NOBODY}.")
    with pytest.raises(ClientError, match="Requested resource not found"):
        cloud.client("sagemaker").describe_training_job(TrainingJobName="no-role")


@pytest.fixture
def enforcing() -> Iterator[TestCloud]:
    with local_cloud(iam="enforce") as cloud:
        yield cloud


@models
def test_a_model_needs_a_role_that_may_read_its_data(enforcing: TestCloud) -> None:
    image = prepare(enforcing, BUCKET)
    said = refused(enforcing.client("sagemaker").create_model, **model(image))
    assert said.startswith(f"Could not access model data at {DATA}.")


@pytest.mark.recordable
@tags
def test_what_is_not_there_has_no_tags(cloud: TestCloud) -> None:
    sagemaker = cloud.client("sagemaker")
    some = [{"Key": "a", "Value": "b"}]
    for kind in ("endpoint", "endpoint-config", "model", "training-job", "model-package-group"):
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{cloud.name('nothing')}"
        said = f'Could not find {kind.replace("-", " ")} "{arn}".'
        assert refused(sagemaker.add_tags, ResourceArn=arn, Tags=some) == said
        assert refused(sagemaker.list_tags, ResourceArn=arn) == said
        assert refused(sagemaker.delete_tags, ResourceArn=arn, TagKeys=["a"]) == said


@tags
def test_a_resource_has_fifty_tags_at_most_and_none_of_aws_own(
    cloud: TestCloud, image: str
) -> None:
    sagemaker = cloud.client("sagemaker")
    many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
    reserved = [{"Key": "AWS:x", "Value": ""}]
    assert "reserved" in refused(sagemaker.create_model, **model(image, "tagged"), Tags=reserved)
    arn = sagemaker.create_model(**model(image, "Tagged"), Tags=many[:50])["ModelArn"]
    assert "51 tags" in refused(sagemaker.add_tags, ResourceArn=arn, Tags=many[50:])
    assert "reserved" in refused(sagemaker.add_tags, ResourceArn=arn, Tags=reserved)
    # The name may be written as it was given.
    spelled = arn.replace("model/tagged", "model/Tagged")
    assert len(sagemaker.list_tags(ResourceArn=spelled)["Tags"]) == 50
    sagemaker.delete_model(ModelName="Tagged")
    assert "Could not find model" in refused(sagemaker.list_tags, ResourceArn=arn)
