"""`docker` and `aws` in a build: supported commands, and refusals by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from localcloud.codebuild import aws, docker
from localcloud.codebuild.engine import reads_endpoints
from localcloud.codebuild.tools import Refused

pytestmark = pytest.mark.emulator_only

NAME = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/iris:1"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text('FROM x\nCOPY . /a\nENTRYPOINT ["python"]\n')
    return directory


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were posted to; each answers as the local cloud does."""
    posted: list[str] = []

    def post_lines(url: str, body: bytes, say: Callable[[str], None]) -> dict[str, Any]:
        assert body
        posted.append(url)
        say("RUN pip install x")
        return {"digest": "sha256:1", "notes": ["FROM x: not pulled."]}

    def post(url: str, body: bytes) -> bytes:
        assert not body
        posted.append(url)
        return json.dumps({"digest": "sha256:1", "uri": "repo@sha256:1", "tag": "repo:1"}).encode()

    monkeypatch.setattr(docker, "post_lines", post_lines)
    monkeypatch.setattr(docker, "post", post)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIA")
    return posted


def test_a_platform_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    with pytest.raises(Refused, match="'windows/amd64'; it must be linux/amd64 or linux/arm64"):
        docker.run(["build", "--platform", "windows/amd64", "-t", "a", str(tmp_path)], tmp_path)


def test_an_image_is_built_tagged_pushed_and_known_by_its_digest(
    tmp_path: Path, context: Path, addresses: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", "--platform", "linux/arm64", "--tag", "local", str(context)]
    assert docker.run(words, tmp_path) == f"Built {context} as local"
    assert capsys.readouterr().out == "RUN pip install x\nFROM x: not pulled.\n"
    assert docker.run(["inspect", "--format={{.Id}}", "local"], tmp_path) == "sha256:1"
    docker.run(["tag", "local:latest", NAME], tmp_path)
    assert docker.run(["push", NAME], tmp_path) == "1: digest: sha256:1"
    assert addresses == [
        "http://127.0.0.1:9/_localcloud/images/build?architecture=arm64&file=Dockerfile&target=&stream=1",
        "http://127.0.0.1:9/_localcloud/images?repository=iris&tag=1&region=eu-west-1&account=111122223333&digest=sha256:1&access_key=ASIA",
    ]
    inspect = ["inspect", "--format", "{{index .RepoDigests 0}}", NAME]
    assert docker.run(inspect, tmp_path) == "repo@sha256:1"


def test_a_build_has_arguments_a_target_and_another_file(
    tmp_path: Path, context: Path, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (context / "Dockerfile.gpu").write_text("FROM x")
    monkeypatch.setenv("TOKEN", "t")
    monkeypatch.chdir(context)
    words = ["-t", "a", "-f", "Dockerfile.gpu", "--build-arg", "A=b=c", "--build-arg=TOKEN"]
    docker.run(["build", *words, "--target=final", "."], tmp_path)
    assert addresses == [
        "http://127.0.0.1:9/_localcloud/images/build?architecture=amd64&file=Dockerfile.gpu"
        "&target=final&arg=A%3Db%3Dc&arg=TOKEN%3Dt&stream=1"
    ]
    with pytest.raises(Refused, match=r"--file ../x: it must be inside"):
        docker.run(["build", "-t", "a", "-f", "../x", "."], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "x"], "docker run is not supported here; the commands are: build"),
        (["build", "."], "needs --tag"),
        (["build", "--secret", "x", "-t", "a", "."], "docker build --secret is not supported"),
        (["build", "-t", "a", "/nowhere"], "holds no Dockerfile"),
        (["push", "unknown:1"], "No such image: unknown:1"),
        (["inspect", "x"], "needs --format"),
        ([], "docker  is not supported"),
    ],
)
def test_docker_refuses_by_name(tmp_path: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        docker.run(arguments, tmp_path)


def test_an_image_that_was_not_pushed_has_no_digest(
    tmp_path: Path, context: Path, addresses: list[str]
) -> None:
    docker.run(["build", "-t", "local", str(context)], tmp_path)
    assert len(addresses) == 1
    with pytest.raises(Refused, match="was not pushed"):
        docker.run(["inspect", "--format={{index .RepoDigests 0}}", "local"], tmp_path)


def parameters(service: str, operation: str, *words: str) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(service)
    return aws._parameters(model.operation_model(operation).input_shape, list(words))


def test_options_become_parameters_by_the_services_own_model() -> None:
    assert parameters(
        "ssm", "PutParameter", "--name", "/a", "--value", "b", "--overwrite", "--type=String"
    ) == {"Name": "/a", "Value": "b", "Overwrite": True, "Type": "String"}
    assert parameters("ssm", "PutParameter", "--no-overwrite") == {"Overwrite": False}
    assert parameters("ecr", "DescribeRepositories", "--repository-names", "a", "b") == {
        "repositoryNames": ["a", "b"]
    }
    assert parameters("ecr", "DescribeImages", "--image-ids", '[{"imageTag": "1"}]') == {
        "imageIds": [{"imageTag": "1"}]
    }
    assert parameters("ssm", "GetParametersByPath", "--max-results", "3") == {"MaxResults": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nmae", "x"), "unknown option --nmae; the options are: "),
        (("--name",), "--name needs a value"),
        (("--value", "file://x"), "file://x is not supported"),
        (("--tags", "Key=a,Value=b"), "write the value as JSON"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(Refused, match=said):
        parameters("ssm", "PutParameter", *words)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["s3"], "usage: aws SERVICE OPERATION"),
        (["nothing", "list"], "aws nothing is not supported"),
        (["ssm", "get-everything"], "aws ssm get-everything is not supported"),
        (["--profile", "x", "ssm", "get-parameter"], "--profile is not supported"),
        (["s3", "sync", "a", "s3://b"], "aws s3 sync a s3://b is not supported"),
    ],
)
def test_aws_refuses_by_name(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(Refused, match=said):
        aws.run(arguments)


@pytest.mark.parametrize(
    ("found", "output", "printed"),
    [
        ({"a": 1}, "json", '{\n    "a": 1\n}'),
        ({}, "json", ""),
        ("x", "text", "x"),
        (["a", "b"], "text", "a\tb"),
        (None, "text", "None"),
    ],
)
def test_answers_are_printed_as_the_cli_does(found: Any, output: str, printed: str) -> None:
    assert aws._printed(found, output) == printed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64", False),
        ("aws-cli/2.12.7 Python/3.11.2", False),
        ("aws-cli/2.13.0 Python/3.11.2", True),
        ("aws-cli/2.31.5 Python/3.13.7", True),
        ("aws-cli/1.28.9 Python/3.11.7", False),
        ("aws-cli/1.29.0 Python/3.11.7 botocore/1.31.0", True),
        ("something else", False),
    ],
)
def test_only_a_cli_that_reads_the_endpoint_is_used(
    tmp_path: Path, said: str, *, expected: bool
) -> None:
    program = tmp_path / "aws"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    assert expected == reads_endpoints(str(program))
    assert not reads_endpoints(None)
    assert not reads_endpoints(str(tmp_path / "missing"))


def test_a_condition_that_no_waiter_has_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Refused, match=r"wait scan is not known.* image-scan-complete"):
        aws.run(["ecr", "wait", "scan", "--region", "us-east-1"])
