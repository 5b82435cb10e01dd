"""Processing jobs: inputs, containers, outputs, and how a job ends."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.opt_ml import is_available
from tests.cloud import TestCloud, local_cloud, wait_for
from tests.sagemaker import ROLE, ended, heard, prepare

BUCKET = "processing-tests"
GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference"
CONTRACT = f"{GUIDE}/build-your-own-processing-container.html"
RUN = f"{GUIDE}/byoc-run-image.html"
LOCAL = "/opt/ml/processing"

# What the programs begin with: the directory of the container, also where that is not /opt/ml.
BEGIN = """
import json, os, pathlib, signal, sys, time
BASE = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
"""


@pytest.fixture(scope="module")
def image(cloud: TestCloud) -> str:
    made = prepare(cloud, BUCKET)
    for number in range(5):
        body = f"{number}\n".encode()
        cloud.client("s3").put_object(Bucket=BUCKET, Key=f"in/part-{number}.csv", Body=body)
    return made


def given(name: str, uri: str, **more: Any) -> dict[str, Any]:
    """Return a ProcessingInput of one prefix."""
    source = {
        "S3Uri": uri,
        "LocalPath": f"{LOCAL}/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        **more,
    }
    return {"InputName": name, "S3Input": source}


def made(name: str, uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """Return a ProcessingOutput."""
    target = {"S3Uri": uri, "LocalPath": f"{LOCAL}/{name}", "S3UploadMode": mode}
    return {"OutputName": name, "S3Output": target}


def request(image: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a request of CreateProcessingJob that runs a program of its input `code`."""
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["python3", "-u", f"{LOCAL}/code/run.py"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
        **more,
    }


class Jobs:
    """Runs processing jobs and reads what they leave."""

    def __init__(self, cloud: TestCloud, image: str) -> None:
        self.sagemaker, self.s3, self.image = cloud.client("sagemaker"), cloud.client("s3"), image

    def request(self, name: str, program: str, *, count: int = 1, **more: Any) -> dict[str, Any]:
        """Upload a program; return the request of a job that runs it."""
        key = f"code/{name}/run.py"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=(BEGIN + program).encode())
        inputs = [*more.pop("ProcessingInputs", []), given("code", f"s3://{BUCKET}/{key}")]
        full = request(self.image, name, ProcessingInputs=inputs, **more)
        full["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = count
        return full

    def start(self, name: str, program: str, **more: Any) -> str:
        answer = self.sagemaker.create_processing_job(**self.request(name, program, **more))
        return str(answer["ProcessingJobArn"])

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_processing_job(ProcessingJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        return dict(ended(lambda: self.describe(name), "ProcessingJobStatus"))

    def run(self, name: str, program: str, **more: Any) -> dict[str, Any]:
        self.start(name, program, **more)
        return self.ended(name)

    def files(self, prefix: str) -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {
            entry["Key"].removeprefix(prefix): self.s3.get_object(Bucket=BUCKET, Key=entry["Key"])[
                "Body"
            ].read()
            for entry in found
        }

    def outputs(self, name: str, mode: str = "EndOfJob") -> dict[str, Any]:
        return {"Outputs": [made("out", f"s3://{BUCKET}/{name}/", mode)]}


@pytest.fixture
def jobs(cloud: TestCloud, image: str) -> Jobs:
    return Jobs(cloud, image)


@pytest.mark.aws_documented(CONTRACT)
def test_a_container_finds_its_configuration_and_its_inputs(jobs: Jobs) -> None:
    program = """
config = {p.stem: json.loads(p.read_text()) for p in (BASE / "config").glob("*.json")}
files = sorted(str(p.relative_to(BASE)) for p in (BASE / "processing").rglob("*") if p.is_file())
found = {**config, "files": files, "variable": os.environ["GIVEN"], "words": sys.argv[1:]}
(BASE / "processing" / "out" / "deep").mkdir()
(BASE / "processing" / "out" / "deep" / "found.json").write_text(json.dumps(found))
(BASE / "output" / "message").write_text("all is well")
print("done")
"""
    name = "contract"
    more: dict[str, Any] = {
        "ProcessingInputs": [given("in", f"s3://{BUCKET}/in/")],
        "ProcessingOutputConfig": jobs.outputs(name),
        "Environment": {"GIVEN": "a variable"},
        "Tags": [{"Key": "team", "Value": "ml"}],
    }
    full = jobs.request(name, program, **more)
    full["AppSpecification"]["ContainerArguments"] = ["--format", "csv"]
    arn = jobs.sagemaker.create_processing_job(**full)["ProcessingJobArn"]
    done = jobs.ended(name)
    assert done["ProcessingJobStatus"] == "Completed", done
    assert done["ExitMessage"] == "all is well"
    assert done["ProcessingJobArn"] == arn
    assert done["CreationTime"] <= done["ProcessingStartTime"] <= done["ProcessingEndTime"]
    assert done["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"] == more["Tags"]
    found = json.loads(jobs.files(f"{name}/")["deep/found.json"])
    assert found["resourceconfig"] == {"current_host": "algo-1", "hosts": ["algo-1"]}
    config = found["processingjobconfig"]
    assert (config["ProcessingJobArn"], config["ProcessingJobName"]) == (arn, name)
    assert config["ProcessingInputs"] == full["ProcessingInputs"]
    assert config["AppSpecification"]["ImageUri"] == jobs.image
    assert found["files"] == [
        "processing/code/run.py",
        *(f"processing/in/part-{n}.csv" for n in range(5)),
    ]
    assert (found["variable"], found["words"]) == ("a variable", ["--format", "csv"])


@pytest.mark.aws_documented(f"{API}/API_ProcessingS3Input.html")
def test_sharded_inputs_are_divided_and_others_are_whole(jobs: Jobs) -> None:
    program = """
host = json.loads((BASE / "config" / "resourceconfig.json").read_text())
names = {n: sorted(p.name for p in (BASE / "processing" / n).iterdir()) for n in ("part", "all")}
(BASE / "processing" / "out" / host["current_host"]).write_text(json.dumps([host["hosts"], names]))
"""
    uri = f"s3://{BUCKET}/in/"
    inputs = [given("part", uri, S3DataDistributionType="ShardedByS3Key"), given("all", uri)]
    more = {"ProcessingInputs": inputs, "ProcessingOutputConfig": jobs.outputs("sharded")}
    assert jobs.run("sharded", program, count=3, **more)["ProcessingJobStatus"] == "Completed"
    found = {host: json.loads(body) for host, body in jobs.files("sharded/").items()}
    hosts = ["algo-1", "algo-2", "algo-3"]
    assert sorted(found) == hosts
    everything = [f"part-{n}.csv" for n in range(5)]
    assert all(said[0] == hosts and said[1]["all"] == everything for said in found.values())
    parts = [found[host][1]["part"] for host in hosts]
    assert sorted(name for part in parts for name in part) == everything
    assert all(parts)


@pytest.mark.aws_documented(f"{API}/API_ProcessingS3Input.html")
def test_compressed_inputs_are_unpacked_and_manifests_are_read(jobs: Jobs) -> None:
    jobs.s3.put_object(Bucket=BUCKET, Key="zipped/a.csv.gz", Body=gzip.compress(b"a,1\n"))
    manifest = [{"prefix": f"s3://{BUCKET}/in/"}, "part-3.csv"]
    jobs.s3.put_object(Bucket=BUCKET, Key="a.manifest", Body=json.dumps(manifest).encode())
    program = """
texts = {p.name: p.read_text() for n in ("z", "m") for p in (BASE / "processing" / n).iterdir()}
(BASE / "processing" / "out" / "texts").write_text(json.dumps(texts))
"""
    inputs = [
        given("z", f"s3://{BUCKET}/zipped/", S3CompressionType="Gzip"),
        given("m", f"s3://{BUCKET}/a.manifest", S3DataType="ManifestFile"),
    ]
    more = {"ProcessingInputs": inputs, "ProcessingOutputConfig": jobs.outputs("kinds")}
    assert jobs.run("kinds", program, **more)["ProcessingJobStatus"] == "Completed"
    assert json.loads(jobs.files("kinds/")["texts"]) == {"a.csv.gz": "a,1\n", "part-3.csv": "3\n"}


@pytest.mark.aws_documented(f"{API}/API_ProcessingS3Output.html")
def test_continuous_outputs_arrive_while_the_job_runs(jobs: Jobs) -> None:
    program = """
(BASE / "processing" / "now" / "first").write_text("1")
(BASE / "processing" / "later" / "first").write_text("1")
while True:
    time.sleep(0.05)
"""
    outputs = [
        made("now", f"s3://{BUCKET}/now/", "Continuous"),
        made("later", f"s3://{BUCKET}/later/"),
    ]
    jobs.start("continuous", program, ProcessingOutputConfig={"Outputs": outputs})
    assert wait_for("the first file", lambda: jobs.files("now/"), 20) == {"first": b"1"}
    assert jobs.files("later/") == {}
    jobs.sagemaker.stop_processing_job(ProcessingJobName="continuous")
    assert jobs.ended("continuous")["ProcessingJobStatus"] == "Stopped"


@pytest.mark.aws_documented(RUN)
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('what went wrong'); sys.exit(3)", "AlgorithmError: what went wrong, exit code: 3"),
        (
            "(BASE / 'output' / 'message').write_text('the rows'); sys.exit(1)",
            "AlgorithmError: the rows, exit code: 1",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "AlgorithmError: the container printed nothing, exit code: -9",
        ),
    ],
)
def test_a_failure_says_why(jobs: Jobs, program: str, reason: str) -> None:
    name = f"failure-{abs(hash(reason))}"
    done = jobs.run(name, program, ProcessingOutputConfig=jobs.outputs(name))
    assert (done["ProcessingJobStatus"], done["FailureReason"]) == ("Failed", reason)
    listed = jobs.sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    assert [(j["ProcessingJobName"], j["FailureReason"]) for j in listed] == [(name, reason)]


@pytest.mark.aws_documented(RUN)
def test_one_instance_that_fails_ends_the_others(jobs: Jobs) -> None:
    program = """
host = json.loads((BASE / "config" / "resourceconfig.json").read_text())["current_host"]
if host == "algo-2":
    sys.exit("the second one cannot")
while True:
    time.sleep(0.05)
"""
    done = jobs.run("one-fails", program, count=3)
    assert done["ProcessingJobStatus"] == "Failed"
    assert done["FailureReason"] == "AlgorithmError: the second one cannot, exit code: 1"


@pytest.mark.aws_documented(f"{API}/API_StopProcessingJob.html")
def test_a_stopped_job_may_save_its_outputs(jobs: Jobs, cloud: TestCloud) -> None:
    program = """
def save(*_):
    (BASE / "processing" / "out" / "saved").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready")
while True:
    time.sleep(0.05)
"""
    with heard(cloud, "stopped-processing", "SageMaker Processing Job State Change") as collect:
        jobs.start("stopped", program, ProcessingOutputConfig=jobs.outputs("stopped"))
        logs = cloud.client("logs")
        wait_for("its first line", lambda: _lines(logs, "stopped") == ["ready"], 20)
        jobs.sagemaker.stop_processing_job(ProcessingJobName="stopped")
        with pytest.raises(ClientError, match="is in status Stopp"):
            jobs.sagemaker.stop_processing_job(ProcessingJobName="stopped")
        assert jobs.ended("stopped")["ProcessingJobStatus"] == "Stopped"
        assert jobs.files("stopped/") == {"saved": b"saved"}
        wait_for(
            "the events",
            lambda: [e["ProcessingJobStatus"] for e in collect()][-1:] == ["Stopped"],
            20,
        )


def _lines(logs: Any, job: str) -> list[str]:
    group = "/aws/sagemaker/ProcessingJobs"
    try:
        answer = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=f"{job}/algo-1-")
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in answer["events"]]


@pytest.mark.aws_documented(f"{API}/API_ProcessingStoppingCondition.html")
def test_a_job_stops_when_its_time_is_over(jobs: Jobs) -> None:
    condition = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    done = jobs.run("too-long", "time.sleep(100)", **condition)
    assert done["ProcessingJobStatus"] == "Stopped"


@pytest.mark.skipif(not is_available(), reason="this machine gives no process a mount namespace")
@pytest.mark.aws_documented(CONTRACT)
def test_a_program_may_have_the_paths_of_the_container_written_in_it(jobs: Jobs) -> None:
    program = """
with open("/opt/ml/processing/in/part-1.csv") as given:
    text = given.read()
with open("/opt/ml/processing/out/x", "w") as made:
    made.write(text)
"""
    more = {
        "ProcessingInputs": [given("in", f"s3://{BUCKET}/in/")],
        "ProcessingOutputConfig": jobs.outputs("paths"),
    }
    done = jobs.run("paths", program, **more)
    assert done["ProcessingJobStatus"] == "Completed", done
    assert jobs.files("paths/") == {"x": b"1\n"}


@pytest.mark.skipif(not is_available(), reason="this machine gives no process a namespace")
@pytest.mark.aws_documented(f"{GUIDE}/mkt-algo-model-internet-free.html")
@pytest.mark.parametrize("isolated", [True, False])
def test_an_isolated_job_reaches_nothing(jobs: Jobs, *, isolated: bool) -> None:
    program = """
import socket, urllib.parse
def reaches(host, port):
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True
address = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
own = socket.create_server(("127.0.0.1", 0))
found = [
    reaches(address.hostname, address.port),
    reaches("127.0.0.1", own.getsockname()[1]),
    "AWS_ACCESS_KEY_ID" in os.environ,
]
(BASE / "processing" / "out" / "found").write_text(json.dumps(found))
"""
    name = f"isolated-{isolated}".lower()
    more = {
        "ProcessingOutputConfig": jobs.outputs(name),
        "NetworkConfig": {"EnableNetworkIsolation": isolated},
    }
    done = jobs.run(name, program, **more)
    assert done["ProcessingJobStatus"] == "Completed", done
    assert done["NetworkConfig"] == more["NetworkConfig"]
    # Its own loopback device works, as in a container.
    found = json.loads(jobs.files(f"{name}/")["found"])
    assert found == [not isolated, True, not isolated]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"ProcessingInputs": [given("in", f"s3://{BUCKET}/none/")]},
        "No S3 objects found under S3 URL",
    ),
    (
        {"ProcessingInputs": [given("in", f"s3://{BUCKET}/in/", LocalPath="/etc")]},
        r"Input in: LocalPath '/etc' must be in /opt/ml/processing\.",
    ),
    (
        {"ProcessingInputs": [given("in", f"s3://{BUCKET}/in/", LocalPath=f"{LOCAL}/../../x")]},
        "must be in /opt/ml/processing",
    ),
    (
        {"ProcessingInputs": [given("in", f"s3://{BUCKET}/in/")] * 2},
        r"ProcessingInputs has in more than once\.",
    ),
    (
        {"ProcessingInputs": [given("in", f"s3://{BUCKET}/in/", S3InputMode="Pipe")]},
        "S3InputMode Pipe is not supported; use File",
    ),
    (
        {"ProcessingInputs": [{"InputName": "in", "DatasetDefinition": {}}]},
        "Input in: only an S3Input is supported",
    ),
    (
        {"ProcessingOutputConfig": {"Outputs": [made("out", "https://bucket/x")]}},
        "Output out: 'https://bucket/x' must begin with s3://",
    ),
    ({"RoleArn": "arn:aws:iam::000000000000:role/nobody"}, "Could not assume role"),
    ({"ExperimentConfig": {"ExperimentName": "e"}}, "ExperimentConfig .* is not supported"),
]


@pytest.mark.emulator_only
@pytest.mark.parametrize(("more", "message"), REFUSED)
def test_what_cannot_run_is_refused_and_leaves_nothing(
    jobs: Jobs, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        jobs.sagemaker.create_processing_job(**request(jobs.image, "refused", **more))
    with pytest.raises(ClientError, match="Could not find requested job with name: refused"):
        jobs.describe("refused")


@pytest.mark.aws_documented(f"{API}/API_CreateProcessingJob.html")
def test_a_name_is_used_once(jobs: Jobs) -> None:
    assert jobs.run("once", "pass")["ProcessingJobStatus"] == "Completed"
    with pytest.raises(ClientError, match="ResourceInUse"):
        jobs.start("once", "pass")


@pytest.mark.emulator_only
def test_an_output_holds_no_file_of_this_machine(jobs: Jobs) -> None:
    program = "(BASE / 'processing' / 'out' / 'link').symlink_to('/etc/hostname')"
    more = {"ProcessingOutputConfig": jobs.outputs("links")}
    assert jobs.run("links", program, **more)["ProcessingJobStatus"] == "Completed"
    assert jobs.files("links/") == {}


@pytest.mark.emulator_only
def test_a_job_begins_again_after_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    state = tmp_path_factory.mktemp("state")
    program = """
mark = pathlib.Path(os.environ["MARK"])
if not mark.exists():
    mark.touch()
    time.sleep(100)
"""
    mark = {"Environment": {"MARK": str(state / "began")}}
    with local_cloud(state_dir=state / "cloud") as cloud:
        jobs = Jobs(cloud, prepare(cloud, BUCKET))
        jobs.start("again", program, **mark)
        wait_for("its begin", (state / "began").exists, 20)
    with local_cloud(state_dir=state / "cloud") as cloud:
        assert Jobs(cloud, jobs.image).ended("again")["ProcessingJobStatus"] == "Completed"
