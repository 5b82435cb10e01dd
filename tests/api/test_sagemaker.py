"""SageMaker: training jobs are processes, endpoints are fleets of servers that answer boto3."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import tar_of
from tests.cloud import TestCloud, make_config, push_container, wait_for
from tests.sagemaker import ended, remove_endpoints, training

BUCKET = "sagemaker-tests"
ROLE = "arn:aws:iam::000000000000:role/service-role/sagemaker"
TRAINING = "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html"
HOSTING = "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html"
SHIFTING = "https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html"
CAPTURE = "https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html"
UPDATING = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html"

_numbers = count(1)


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    if not cloud.ours:
        pytest.skip("images are pushed through the local cloud's own route")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="data/train.csv", Body=b"a,1\n")
    for answer in ("one", "two"):
        s3.put_object(
            Bucket=BUCKET,
            Key=f"{answer}/model.tar.gz",
            Body=tar_of({"answer.txt": answer}, mode="w:gz"),
        )
    return push_container(cloud, "sagemaker-tests")


@pytest.fixture
def sagemaker(cloud: TestCloud, image: str) -> Iterator[Any]:
    """A client; the endpoints that a test leaves behind are deleted."""
    del image
    client = cloud.client("sagemaker")
    yield client
    remove_endpoints(client)


def train(sagemaker: Any, image: str, uri: str = f"s3://{BUCKET}/data/", **parameters: str) -> str:
    name = f"job-{next(_numbers)}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "validation:accuracy", "Regex": "validation:accuracy=([0-9.]+)"}
            ],
        },
        RoleArn=ROLE,
        HyperParameters=parameters,
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    return name


def finished(sagemaker: Any, name: str) -> Any:
    def probe() -> Any:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return wait_for(f"{name} to end", probe, 60)


def config(sagemaker: Any, image: str, answer: str = "one", instances: int = 1, **env: str) -> str:
    name = f"config-{next(_numbers)}"
    url = f"s3://{BUCKET}/{answer}/model.tar.gz"
    make_config(sagemaker, name, image, url, instances=instances, **env)
    return name


def serving(sagemaker: Any, name: str, config_name: str) -> str:
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config_name)
    status(sagemaker, name, "InService")
    return name


def status(sagemaker: Any, name: str, wanted: str) -> Any:
    def probe() -> Any:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        return endpoint if endpoint["EndpointStatus"] == wanted else None

    return wait_for(f"{name} to be {wanted}", probe, 60)


def instances(sagemaker: Any, name: str) -> int:
    endpoint = sagemaker.describe_endpoint(EndpointName=name)
    return int(endpoint["ProductionVariants"][0]["CurrentInstanceCount"])


@pytest.fixture
def ask(cloud: TestCloud) -> Callable[..., str]:
    runtime = cloud.client("sagemaker-runtime")

    def send(name: str, body: str = "x", **options: str) -> str:
        answer = runtime.invoke_endpoint(
            EndpointName=name, Body=body.encode(), ContentType="text/csv", **options
        )
        return str(answer["Body"].read().decode())

    return send


@pytest.mark.aws_documented(TRAINING)
def test_a_training_job_trains_and_uploads_its_model(
    cloud: TestCloud, sagemaker: Any, image: str
) -> None:
    name = train(sagemaker, image, answer="learned", seconds="1")
    assert (
        sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    )
    job = finished(sagemaker, name)
    uri = f"s3://{BUCKET}/out/{name}/output/model.tar.gz"
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == uri
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [
        ("validation:accuracy", 0.75)
    ]
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=uri.split("/", 3)[3])["Body"].read()
    with tarfile.open(fileobj=BytesIO(body)) as archive:
        member = archive.extractfile("answer.txt")
        assert member is not None
        assert member.read() == b"learned"
    lines = cloud.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=name
    )["events"]
    assert f"training {name}" in [line["message"] for line in lines]


@pytest.mark.aws_documented(TRAINING)
def test_a_failed_job_gives_what_the_container_wrote_into_its_failure_file(
    sagemaker: Any, image: str
) -> None:
    job = finished(sagemaker, train(sagemaker, image, fail="the data has no label"))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the data has no label, exit code: 3"
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"].get("S3ModelArtifacts")


@pytest.mark.aws_documented(TRAINING)
def test_a_failure_reason_has_at_most_1024_characters(sagemaker: Any, image: str) -> None:
    job = finished(sagemaker, train(sagemaker, image, fail="x" * 2000))
    assert len(job["FailureReason"]) == 1024


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html"
)
def test_a_stopped_job_is_stopped_and_not_failed(sagemaker: Any, image: str) -> None:
    name = train(sagemaker, image, seconds="50")
    wait_for(
        "training to begin",
        lambda: (
            sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training"
        ),
    )
    sagemaker.stop_training_job(TrainingJobName=name)
    job = finished(sagemaker, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")


@pytest.mark.aws_documented(TRAINING)
def test_a_job_can_be_stopped_at_any_moment(sagemaker: Any, image: str) -> None:
    for wall_seconds in (0.0, 0.01, 0.02, 0.04):
        name = train(sagemaker, image, seconds="50")
        time.sleep(wall_seconds)
        sagemaker.stop_training_job(TrainingJobName=name)
        assert finished(sagemaker, name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.aws_documented(TRAINING)
def test_missing_data_are_refused_and_a_missing_image_fails_the_job(
    sagemaker: Any, image: str
) -> None:
    for uri in (f"s3://{BUCKET}/nothing/", "s3://no-such-bucket/data/"):
        with pytest.raises(ClientError, match=f'No S3 objects found under S3 URL "{uri}" given'):
            train(sagemaker, image, uri=uri)
    gone = image.partition("@")[0] + ":no-such-tag"
    no_image = finished(sagemaker, train(sagemaker, gone))
    assert gone in no_image["FailureReason"]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html"
)
def test_a_second_job_of_the_same_name_is_refused(sagemaker: Any, image: str) -> None:
    name = train(sagemaker, image)
    finished(sagemaker, name)
    request = sagemaker.describe_training_job(TrainingJobName=name)
    keys = (
        *("TrainingJobName", "AlgorithmSpecification", "RoleArn", "OutputDataConfig"),
        *("ResourceConfig", "StoppingCondition"),
    )
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**{key: request[key] for key in keys})
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"


@pytest.mark.aws_documented(HOSTING)
def test_an_endpoint_serves_its_model(
    sagemaker: Any, image: str, ask: Callable[..., str], cloud: TestCloud
) -> None:
    serving(sagemaker, "serves", config(sagemaker, image, "one"))
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="serves", Body=b"1,2", ContentType="text/csv"
    )
    assert answer["Body"].read() == b"one:1,2"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert ask("serves", "3", TargetVariant="AllTraffic") == "one:3"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"
)
def test_invocation_errors_carry_awss_codes(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "errors", config(sagemaker, image))
    with pytest.raises(ClientError) as model_error:
        ask("errors", "error")
    with pytest.raises(ClientError) as missing:
        ask("no-such-endpoint")
    with pytest.raises(ClientError) as variant:
        ask("errors", TargetVariant="Other")
    response = model_error.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (500, "it broke")
    assert missing.value.response["Error"]["Code"] == "ValidationError"
    assert "AllTraffic" in str(variant.value)


@pytest.mark.aws_documented(UPDATING)
def test_an_update_under_load_fails_no_request(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "updated", config(sagemaker, image, "one"))
    second = config(sagemaker, image, "two")
    answers: list[str] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            answers.append(ask("updated"))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    sagemaker.update_endpoint(EndpointName="updated", EndpointConfigName=second)
    endpoint = status(sagemaker, "updated", "InService")
    wait_for("an answer of the new model", lambda: answers[-1] == "two:x")
    done.set()
    for thread in threads:
        thread.join()
    assert endpoint["EndpointConfigName"] == second
    assert set(answers) == {"one:x", "two:x"}


@pytest.mark.aws_documented(UPDATING)
def test_an_update_that_cannot_be_served_stays_on_the_old_configuration(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    first = config(sagemaker, image, "one")
    serving(sagemaker, "rolled-back", first)
    broken = config(sagemaker, image, "two", BROKEN="1")
    sagemaker.update_endpoint(EndpointName="rolled-back", EndpointConfigName=broken)
    endpoint = status(sagemaker, "rolled-back", "InService")
    assert endpoint["EndpointConfigName"] == first
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert ask("rolled-back") == "one:x"


@pytest.mark.aws_documented(HOSTING)
def test_an_endpoint_whose_container_does_not_start_is_failed_and_can_only_be_deleted(
    sagemaker: Any, image: str
) -> None:
    broken = config(sagemaker, image, BROKEN="1")
    sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName=broken)
    endpoint = status(sagemaker, "broken", "Failed")
    with pytest.raises(ClientError):
        sagemaker.update_endpoint(EndpointName="broken", EndpointConfigName=broken)
    assert "this model cannot be served" in endpoint["FailureReason"]


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html"
)
def test_instances_come_and_go_with_the_desired_count_and_survive_an_update_if_retained(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "scaled", config(sagemaker, image))

    def scale(wanted: int) -> None:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="scaled",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": wanted}
            ],
        )
        status(sagemaker, "scaled", "InService")

    scale(3)
    three = instances(sagemaker, "scaled")
    processes = {ask("scaled", "pid") for _ in range(30)}
    sagemaker.update_endpoint(
        EndpointName="scaled",
        EndpointConfigName=config(sagemaker, image, "two"),
        RetainAllVariantProperties=True,
    )
    status(sagemaker, "scaled", "InService")
    retained = instances(sagemaker, "scaled")
    scale(1)
    assert (three, retained, instances(sagemaker, "scaled")) == (3, 3, 1)
    assert len(processes) >= 1


@pytest.mark.emulator_only
def test_an_instance_has_one_worker_unless_its_model_asks_for_more(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "modest", config(sagemaker, image))
    serving(sagemaker, "wide", config(sagemaker, image, SAGEMAKER_MODEL_SERVER_WORKERS="2"))
    assert (ask("modest", "workers"), ask("wide", "workers")) == ("1", "2")


@pytest.mark.emulator_only
def test_an_instance_that_dies_is_replaced(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "mortal", config(sagemaker, image))
    before = ask("mortal", "pid")
    os.kill(int(before), signal.SIGKILL)

    def other() -> str | None:
        try:
            found = ask("mortal", "pid")
        except ClientError:
            return None
        return found if found != before else None

    assert wait_for("another process", other, 30) != before


@pytest.mark.aws_documented(HOSTING)
def test_an_instance_that_misses_its_health_checks_is_replaced(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    serving(sagemaker, "sick", config(sagemaker, image))
    before = ask("sick", "pid")
    ask("sick", "sicken")

    def other() -> bool:
        try:
            return ask("sick", "pid") != before
        except ClientError:
            return False

    wait_for("another process", other, 30)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html"
)
def test_a_second_endpoint_of_the_same_name_is_refused(sagemaker: Any, image: str) -> None:
    name = config(sagemaker, image)
    serving(sagemaker, "single", name)
    with pytest.raises(ClientError, match="already existing endpoint"):
        sagemaker.create_endpoint(EndpointName="single", EndpointConfigName=name)


@pytest.mark.botocore_modelled
def test_what_was_not_given_is_not_returned(sagemaker: Any, image: str) -> None:
    name = config(sagemaker, image)
    model = sagemaker.describe_model(ModelName=name)
    described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert {"VpcConfig", "Containers"} & set(model) == set()
    assert {"DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig"} & set(described) == set()
    assert {"VolumeSizeInGB", "EnableSSMAccess"} & set(described["ProductionVariants"][0]) == set()


@pytest.mark.botocore_modelled
def test_a_vpc_is_kept_and_shown_and_its_ids_are_checked(sagemaker: Any, image: str) -> None:
    vpc = {"SecurityGroupIds": ["sg-01234567"], "Subnets": ["subnet-0123456789abcdef0"]}
    container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/one/model.tar.gz"}
    model = {"ModelName": "in-vpc", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    sagemaker.create_model(**model, VpcConfig=vpc)
    assert sagemaker.describe_model(ModelName="in-vpc")["VpcConfig"] == vpc
    sagemaker.delete_model(ModelName="in-vpc")
    job = training(image, BUCKET, "in-vpc", VpcConfig=vpc)
    sagemaker.create_training_job(**job)
    shown = ended(
        lambda: sagemaker.describe_training_job(TrainingJobName="in-vpc"), "TrainingJobStatus"
    )
    assert shown["VpcConfig"] == vpc
    wrong = {**vpc, "SecurityGroupIds": ["group"]}
    for create, request in (
        (sagemaker.create_model, model),
        (sagemaker.create_training_job, training(image, BUCKET, "in-no-vpc")),
    ):
        with pytest.raises(ClientError, match="The security group ID 'group' is malformed"):
            create(**request, VpcConfig=wrong)


@pytest.mark.botocore_modelled
def test_the_waiters_of_boto3_work(sagemaker: Any, image: str) -> None:
    sagemaker.create_endpoint(EndpointName="waited", EndpointConfigName=config(sagemaker, image))
    quick = {"Delay": 1, "MaxAttempts": 30}
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="waited", WaiterConfig=quick)
    sagemaker.delete_endpoint(EndpointName="waited")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="waited", WaiterConfig=quick)


def canary(percent: int, seconds: int, alarm: str | None = None) -> dict[str, Any]:
    """Return a DeploymentConfig of a canary that an alarm brings back."""
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": seconds,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent},
    }
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}, **rollback}


@pytest.mark.aws_documented(SHIFTING)
def test_a_canary_gets_its_share_of_the_traffic_until_it_has_baked(
    cloud: TestCloud, sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    # Long enough for the requests below, however fast the clock.
    deployment = canary(30, int(4 * json.loads(cloud.get("/_localcloud/clock")[1])["speed"]))
    name = serving(sagemaker, "canary", config(sagemaker, image))
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=config(sagemaker, image, "two"),
        DeploymentConfig=deployment,
    )
    wait_for("the canary", lambda: ask(name).startswith("two"), 30)
    answers = [ask(name).partition(":")[0] for _ in range(200)]
    # 60 are expected; outside of 25 to 100 it is not a canary of 30 percent.
    assert 25 < answers.count("two") < 100
    assert set(answers) == {"one", "two"}
    described = status(sagemaker, name, "InService")
    assert described["LastDeploymentConfig"] == deployment
    assert {ask(name).partition(":")[0] for _ in range(20)} == {"two"}


@pytest.mark.aws_documented(SHIFTING)
def test_an_alarm_while_traffic_shifts_brings_the_old_fleet_back(
    cloud: TestCloud, sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="canary-alarm",
        Namespace="Tests",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        # Nobody puts data: the state that is set stays.
        TreatMissingData="ignore",
    )
    before = config(sagemaker, image)
    name = serving(sagemaker, "rolls-back", before)
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=config(sagemaker, image, "two"),
        DeploymentConfig=canary(50, 600, "canary-alarm"),
    )
    wait_for("the canary", lambda: ask(name).startswith("two"), 30)
    cloudwatch.set_alarm_state(AlarmName="canary-alarm", StateValue="ALARM", StateReason="a test")
    described = status(sagemaker, name, "InService")
    assert described["EndpointConfigName"] == before
    assert "canary-alarm" in described["FailureReason"]
    assert {ask(name).partition(":")[0] for _ in range(20)} == {"one"}
    cloudwatch.delete_alarms(AlarmNames=["canary-alarm"])


@pytest.mark.aws_documented(SHIFTING)
def test_an_endpoint_can_be_deleted_while_its_traffic_shifts(
    sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    name = serving(sagemaker, "deleted-meanwhile", config(sagemaker, image))
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=config(sagemaker, image, "two"),
        DeploymentConfig=canary(50, 600),
    )
    wait_for("the canary", lambda: ask(name).startswith("two"), 30)
    sagemaker.delete_endpoint(EndpointName=name)
    wait_for("no endpoints", lambda: not sagemaker.list_endpoints()["Endpoints"], 30)


@pytest.mark.aws_documented(CAPTURE)
def test_requests_and_answers_are_captured_as_json_lines(
    cloud: TestCloud, sagemaker: Any, image: str, ask: Callable[..., str]
) -> None:
    model = config(sagemaker, image)
    sagemaker.create_endpoint_config(
        EndpointConfigName="captures",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )
    name = serving(sagemaker, "captured", "captures")
    ask(name, "1,2")
    s3 = cloud.client("s3")

    def keys() -> list[str]:
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix="captured/")
        return [entry["Key"] for entry in found.get("Contents", [])]

    (key,) = wait_for("the captured request", keys, 30)
    assert re.fullmatch(
        r"captured/captured/AllTraffic/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl",
        key,
    )
    (line,) = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    captured = json.loads(line)
    assert captured["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "1,2",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "text/plain",
            "mode": "OUTPUT",
            "data": base64.b64encode(b"one:1,2").decode(),
            "encoding": "BASE64",
        },
    }
    assert captured["eventVersion"] == "0"
    assert set(captured["eventMetadata"]) == {"eventId", "inferenceTime"}
