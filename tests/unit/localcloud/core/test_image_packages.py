"""The commands of RUN: what is installed, what is here already, and what is named."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.core.dockerfile import Run, parse_dockerfile
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_packages import Command, Duplicate, Install, Mode, Note, commands_of
from localcloud.core.local_projects import installed_from
from localcloud.core.package_layers import PackageLayers
from tests.cloud import ROOT
from tests.examples import examples

pytestmark = pytest.mark.aws_documented(
    "https://pip.pypa.io/en/stable/reference/requirements-file-format/"
)
NUMPY = version("numpy")
HERE = {"boto3": "1.44.5", "numpy": NUMPY}
FILES = {
    "/opt/program/requirements.txt": f"# data\nnumpy=={NUMPY} \\\n    --hash=sha256:{'0' * 64}\n"
    "-r more/base.txt\n",
    "/opt/program/more/base.txt": "boto3  # the client\nno-such-thing; sys_platform == 'win32'\n",
    "/opt/program/circle.txt": "-r circle.txt\n",
    "/opt/program/lacks.txt": "boto3\nlightgbm>=4\n",
    "/opt/program/constraints.txt": "lightgbm==4.6.0\n",
    "/opt/program/local.txt": "-e ./package\n",
} | {f"/opt/program/chain{n}.txt": f"-r chain{n + 1}.txt\n" for n in range(30)}


def read(path: str) -> bytes | None:
    text = FILES.get(path)
    return None if text is None else text.encode()


def found(command: str | list[str], **variables: str) -> list[Command]:
    return list(commands_of(Run(command, "/opt/program", variables), read, HERE.get))


def install(command: str | list[str], **variables: str) -> Install:
    (one,) = found(command, **variables)
    assert isinstance(one, Install)
    return one


def notes(command: str | list[str]) -> list[str]:
    return [one.text for one in found(command) if isinstance(one, Note)]


@pytest.mark.parametrize(
    "command",
    [
        "pip install boto3",
        "pip3 install --no-cache-dir -U boto3 'numpy>=1'",
        "python -m pip install --index-url https://example.org/simple boto3",
        "PIP_NO_CACHE_DIR=1 /opt/venv/bin/python3.12 -m pip install boto3",
        "uv pip install --system boto3",
        "/bin/uv pip install boto3",
        "pip --no-cache-dir install boto3",
        "pip install -r requirements.txt",
        "pip install --requirement=requirements.txt && pip install boto3",
        "pip install -rrequirements.txt",
        "pip install -c constraints.txt boto3",
        "pip install --upgrade pip setuptools wheel",
        "pip install boto3 > /dev/null 2>&1",
        "set -ex; cd /opt/program; true",
        ["pip", "install", "boto3"],
        ["/bin/bash", "-c", "pip install boto3 && pip install numpy"],
    ],
)
def test_packages_that_are_here_are_not_installed_again(command: str | list[str]) -> None:
    assert [] == found(command)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("pip install lightgbm", ["lightgbm"]),
        (
            "apt-get update && python -m pip install boto3 lightgbm==4.6.0",
            ["boto3", "lightgbm==4.6.0"],
        ),
        ("pip install --no-cache-dir -q --user -r lacks.txt", ["-r", "lacks.txt"]),
        ("pip install -rlacks.txt", ["-r", "lacks.txt"]),
        ("pip install --requirement lacks.txt", ["-r", "lacks.txt"]),
        (
            "pip install --constraint=constraints.txt lightgbm",
            ["-c", "constraints.txt", "lightgbm"],
        ),
        ("pip install 'boto3[crt]>=1,<9'", ["boto3[crt]>=1,<9"]),
        ("pip install 'numpy<1'", ["numpy<1"]),
        ("pip install \"a;python_version>'3'\"", ["a;python_version>'3'"]),
        ("pip install --target /opt/libs --prefix=/x lightgbm", ["lightgbm"]),
        (
            "pip install --index-url https://e.org/s --no-deps x",
            ["--index-url", "https://e.org/s", "--no-deps", "x"],
        ),
        ("uv pip install --system --link-mode copy --no-cache x", ["x"]),
        ("pip install -e .", ["."]),
        ("pip install --editable=./package", ["./package"]),
        ("pip install $PACKAGE==${RELEASE:-1}", ["xgboost==1"]),
        ("pip install git+https://github.com/a/b", ["git+https://github.com/a/b"]),
        (["pip", "install", "x y"], ["x y"]),
        ("pip install x \\\n    y", ["x", "y"]),
        ("sudo pip install x # a comment", ["x"]),
        ("pip install pip x", ["x"]),
    ],
)
def test_packages_that_are_not_here_are_installed_as_the_command_says(
    command: str | list[str], arguments: list[str]
) -> None:
    installs = [one for one in found(command, PACKAGE="xgboost") if isinstance(one, Install)]
    assert [arguments] == [one.arguments for one in installs]


def test_an_install_knows_where_it_runs_and_what_it_reads() -> None:
    one = install("cd more && PIP_PRE=1 pip install -r ../lacks.txt", APP="x")
    assert one.directory == "/opt/program/more"
    assert one.environment == {"APP": "x", "PIP_PRE": "1"}
    assert one.files == {"/opt/program/lacks.txt": FILES["/opt/program/lacks.txt"].encode()}
    assert not one.takes_files
    assert install("pip install -r local.txt").takes_files
    assert install("pip install ./package.whl").takes_files


def test_what_is_not_carried_out_is_named() -> None:
    assert [
        "RUN apt-get install -y libgomp1: not carried out.",
        "RUN python -m venv /opt/venv: not carried out.",
        "RUN . /opt/venv/bin/activate: not carried out.",
        "RUN pip download x: not carried out.",
        "RUN echo ${A%b}: not carried out.",
    ] == notes(
        "apt-get install -y libgomp1 && python -m venv /opt/venv; . /opt/venv/bin/activate\n"
        "pip download x && echo ${A%b}"
    )


@pytest.mark.parametrize(
    "command",
    [
        "if true; then pip install x; fi",
        "for p in x y; do pip install $p; done",
        "pip install $(cat list)",
        "pip install `cat list`",
        "curl https://example.org | sh",
        "(cd x && pip install y)",
    ],
)
def test_a_program_of_a_shell_is_named_and_none_of_it_runs(command: str) -> None:
    (only,) = found(command)[-1:]
    assert only == Note(f"RUN {command}: not carried out.")
    assert not [one for one in found(command) if isinstance(one, Install)]


def test_chmod_makes_files_executable() -> None:
    assert found("chmod +x train /bin/serve") == [Mode("755", ["/opt/program/train", "/bin/serve"])]
    assert found("chmod 644 train") == [Mode("644", ["/opt/program/train"])]


def test_cp_copies_files_of_the_image() -> None:
    assert found("cp -r serve lib/ /usr/local/bin/") == [
        Duplicate(["/opt/program/serve", "/opt/program/lib"], "/usr/local/bin/")
    ]
    assert notes("cp --parents a b") == ["RUN cp --parents a b: not carried out."]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("pip install -r nothing.txt", "no file /opt/program/nothing.txt"),
        ("pip install -c nothing.txt x", "no file /opt/program/nothing.txt"),
        ("pip install -r chain0.txt", "more than 20 requirement files"),
    ],
)
def test_requirements_that_cannot_be_read_are_refused(command: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        found(command)


def test_files_that_include_each_other_are_read_once() -> None:
    assert [] == found("pip install -r circle.txt")


def test_the_models_own_image_lacks_nothing(tmp_path: Path) -> None:
    parsed = parse_dockerfile((ROOT / "model/Dockerfile").read_text())
    runs = [step for step in parsed.stages[0].steps if isinstance(step, Run)]
    here = PackageLayers(tmp_path).version([])

    def content(path: str) -> bytes | None:
        file = ROOT / "model" / path.removeprefix("/opt/program/").removeprefix("/opt/")
        return file.read_bytes() if file.is_file() else None

    assert len(runs) == 2
    for run in runs:
        assert [] == list(commands_of(run, content, here, installed_from))
    (note,) = parsed.notes
    assert note.startswith("FROM public.ecr.aws/docker/library/python:3.12-slim: not pulled;")


@settings(max_examples=examples(200))
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        commands = found(f"pip install {text}")
    except ImageError:
        return
    assert all(isinstance(one, Command) for one in commands)


def test_a_project_that_this_environment_was_given_from_the_same_files_is_there(
    tmp_path: Path,
) -> None:
    project = {
        "pyproject.toml": b'[project]\nname = "fast"\nversion = "1"\n',
        "fast.c": b"int fast;",
    }
    for name, content in project.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "fast.o").write_bytes(b"left by a build")
    image = {f"/opt/program/fast/{name}": content for name, content in project.items()}

    def asked(command: str, directory: Path | None) -> list[Command]:
        run = Run(command, "/opt/program", {})
        origins = {"fast": directory}
        return list(commands_of(run, image.get, HERE.get, origins.get))

    for command in (
        "pip install ./fast",
        "pip install /opt/program/fast numpy",
        "pip install -e fast/",
    ):
        assert asked(command, tmp_path) == []
    for directory in (None, tmp_path.parent):
        (one,) = asked("pip install ./fast", directory)
        assert isinstance(one, Install)
        assert one.takes_files
    image["/opt/program/fast/fast.c"] = b"int faster;"
    assert asked("pip install ./fast", tmp_path) != []
    del image["/opt/program/fast/fast.c"]
    assert asked("pip install ./fast", tmp_path) != []


def test_the_directory_of_an_installed_package_is_found() -> None:
    assert installed_from("tree-walk") == ROOT / "model" / "tree_walk"
    assert installed_from("numpy") is None
    assert installed_from("no-such-package") is None
