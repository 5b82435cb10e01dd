"""Inputs of a deployment: shapes, archives, the project's files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import botocore.session
import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.deploy.archives import content_of, is_asset, with_digests
from localcloud.deploy.errors import ProjectError, ResourceError
from localcloud.deploy.project import load
from localcloud.deploy.shapes import to_shape

SESSION = botocore.session.Session()


def shape(service: str, operation: str) -> Any:
    return SESSION.get_service_model(service).operation_model(operation).input_shape


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("service", "operation", "value", "expected"),
    [
        (
            "lambda",
            "CreateFunction",
            {"functionName": "f", "timeout": 30.0, "memorySize": 128.0, "runtime": None},
            {"FunctionName": "f", "Timeout": 30, "MemorySize": 128},
        ),
        (
            "lambda",
            "CreateFunction",
            {"environment": {"variables": {"keepThisCase": "x", "N": 1.0, "B": True}}},
            {"Environment": {"Variables": {"keepThisCase": "x", "N": "1", "B": "true"}}},
        ),
        (
            "codepipeline",
            "CreatePipeline",
            {"pipeline": {"Name": "p", "stages": [{"actions": [{"runOrder": 2.0}]}]}},
            {"pipeline": {"name": "p", "stages": [{"actions": [{"runOrder": 2}]}]}},
        ),
        (
            "s3",
            "PutBucketLifecycleConfiguration",
            {"lifecycleConfiguration": {"rules": [{"id": "x", "status": "Enabled"}]}},
            {"LifecycleConfiguration": {"Rules": [{"ID": "x", "Status": "Enabled"}]}},
        ),
        (
            "cloudwatch",
            "PutMetricAlarm",
            {"threshold": 1.5, "period": 60.0},
            {"Threshold": 1.5, "Period": 60},
        ),
    ],
)
def test_pulumis_values_are_fitted_to_the_operation(
    service: str, operation: str, value: Any, expected: Any
) -> None:
    assert expected == to_shape(shape(service, operation), value)


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"colour": "red"}, "colour; CreateFunctionRequest has"),
        ({"environment": {"colour": "red"}}, "colour; Environment has: Variables"),
    ],
)
def test_an_input_that_no_member_takes_is_refused_by_name(value: Any, names: str) -> None:
    with pytest.raises(ResourceError, match=names):
        to_shape(shape("lambda", "CreateFunction"), value)


def unzipped(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.emulator_only
def test_an_archive_holds_its_assets_files_and_directories(tmp_path: Path) -> None:
    source = tmp_path / "src"
    (source / "pkg" / "__pycache__").mkdir(parents=True)
    (source / "pkg" / "a.py").write_text("A")
    (source / "pkg" / "__pycache__" / "a.pyc").write_text("no")
    (tmp_path / "one.txt").write_text("1")
    archive = pulumi.AssetArchive(
        {
            "lambda": pulumi.FileArchive(str(source)),
            "one.txt": pulumi.FileAsset(str(tmp_path / "one.txt")),
            "two.txt": pulumi.StringAsset("2"),
        }
    )
    expected = {"lambda/pkg/a.py": "A", "one.txt": "1", "two.txt": "2"}
    assert expected == unzipped(content_of(archive))


@pytest.mark.emulator_only
def test_a_zip_file_is_an_archive_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "X")
    assert {"x": "X"} == unzipped(content_of(pulumi.FileArchive(str(path))))


@pytest.mark.emulator_only
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(), max_size=5))
def test_the_same_content_gives_the_same_bytes_in_any_order(files: dict[str, str]) -> None:
    def archive(items: list[tuple[str, str]]) -> pulumi.AssetArchive:
        return pulumi.AssetArchive({name: pulumi.StringAsset(text) for name, text in items})

    forwards = archive(sorted(files.items()))
    backwards = archive(sorted(files.items(), reverse=True))
    assert content_of(forwards) == content_of(backwards)
    assert with_digests({"code": forwards}) == with_digests({"code": backwards})
    more = archive([*files.items(), ("another-name", "")])
    assert with_digests(forwards) != with_digests(more)


@pytest.mark.emulator_only
def test_a_file_in_an_archive_has_no_time_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("A")
    contents = {content_of(pulumi.FileArchive(str(tmp_path / name))) for name in ("one", "two")}
    assert 1 == len(contents)


@pytest.mark.emulator_only
def test_assets_are_described_by_digest_and_the_rest_as_it_is() -> None:
    asset = pulumi.StringAsset("x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert {"a": [{"sha256": digest}], "b": 1} == with_digests({"a": [asset], "b": 1})
    assert (True, False) == (is_asset(asset), is_asset("x"))


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    "asset", [pulumi.RemoteAsset("https://x/y"), pulumi.RemoteArchive("https://x/y")]
)
def test_a_remote_asset_is_refused(asset: pulumi.Asset | pulumi.Archive) -> None:
    with pytest.raises(ValueError, match="fetches nothing from the network"):
        content_of(asset)


def project(directory: Path, stack: str | None, main: str = "name: lab\n") -> Path:
    (directory / "Pulumi.yaml").write_text(main)
    if stack is not None:
        (directory / "Pulumi.dev.yaml").write_text(stack)
    return directory


@pytest.mark.emulator_only
def test_a_stacks_configuration_is_text_under_its_namespace(tmp_path: Path) -> None:
    main = """
name: lab
config:
  aws:region: us-east-1
  count: {type: integer, default: 2}
  size: {value: 3}
  later: {type: string}
  kept: {default: k}
"""
    stack = "config:\n  aws:region: eu-west-1\n  lab:flag: true\n  count: 4\n  map: {a: [1]}\n"
    found = load(project(tmp_path, stack, main), "dev")
    expected = {
        "aws:region": "eu-west-1",
        "lab:count": "4",
        "lab:size": "3",
        "lab:kept": "k",
        "lab:flag": "true",
        "lab:map": '{"a": [1]}',
    }
    assert expected == found.configuration
    assert ("lab", "dev", tmp_path / "__main__.py") == (found.name, found.stack, found.main)


@pytest.mark.emulator_only
@pytest.mark.parametrize("stack", ["", "config:\n", "# nothing yet\n"])
def test_a_stack_without_configuration_is_a_stack(tmp_path: Path, stack: str) -> None:
    assert {} == load(project(tmp_path, stack), "dev").configuration


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("stack", "main", "names"),
    [
        (None, "name: lab\n", r"no stack 'dev' \(no Pulumi.dev.yaml\); the stacks are: none"),
        ("", "runtime: python\n", "Pulumi.yaml has no name"),
        ("", "", "Pulumi.yaml has no name"),
        ("", "name: [\n", "Pulumi.yaml is not YAML"),
        ("config: [\n", "name: lab\n", "Pulumi.dev.yaml is not YAML"),
        ("- a\n", "name: lab\n", "Pulumi.dev.yaml must contain a mapping"),
        ("config: {lab:key: {secure: abc}}\n", "name: lab\n", "lab:key is encrypted"),
    ],
)
def test_a_project_that_cannot_be_read_says_why(
    tmp_path: Path, stack: str | None, main: str, names: str
) -> None:
    with pytest.raises(ProjectError, match=names):
        load(project(tmp_path, stack, main), "dev")


@pytest.mark.emulator_only
def test_another_stack_is_offered_the_ones_there_are(tmp_path: Path) -> None:
    project(tmp_path, "")
    (tmp_path / "Pulumi.prd.yaml").write_text("")
    with pytest.raises(ProjectError, match="the stacks are: dev, prd"):
        load(tmp_path, "tst")


@pytest.mark.emulator_only
def test_a_directory_without_a_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ProjectError, match=r"there is no project in .* \(no Pulumi\.yaml\): .*localcloud init DIR"
    ):
        load(tmp_path, "dev")
