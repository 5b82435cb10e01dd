"""The packages that a Dockerfile installs, compared with those of this environment."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.core.dockerfile import ImageError, Run, parse_dockerfile
from localcloud.core.image_packages import check_packages
from tests.cloud import ROOT
from tests.examples import examples

pytestmark = pytest.mark.aws_documented(
    "https://pip.pypa.io/en/stable/reference/requirements-file-format/"
)
NUMPY = version("numpy")
FILES = {
    "/opt/program/requirements.txt": f"# data\nnumpy=={NUMPY} \\\n    --hash=sha256:{'0' * 64}\n"
    "-r more/base.txt\n",
    "/opt/program/more/base.txt": "boto3  # the client\nno-such-thing; sys_platform == 'win32'\n",
    "/opt/program/circle.txt": "-r circle.txt\n",
    "/opt/program/lacks.txt": "boto3\nlightgbm-of-nobody>=4\n",
}


def read(path: str) -> bytes | None:
    text = FILES.get(path)
    return None if text is None else text.encode()


def notes(*commands: str) -> list[str]:
    return check_packages([Run(command, "/opt/program") for command in commands], read)


@pytest.mark.parametrize(
    "command",
    [
        "pip install boto3",
        "pip3 install --no-cache-dir -U boto3 'numpy>=1'",
        "python -m pip install --index-url https://example.org/simple boto3",
        "PIP_NO_CACHE_DIR=1 /opt/venv/bin/python3.12 -m pip install boto3",
        "uv pip install boto3",
        "--mount=type=cache,target=/root/.cache pip install boto3",
        "pip install -r requirements.txt",
        "pip install --requirement=requirements.txt && pip install boto3",
        "pip install -rrequirements.txt",
        "pip install -c constraints.txt boto3",
    ],
)
def test_packages_that_are_here_need_no_word(command: str) -> None:
    assert [] == notes(command)


@pytest.mark.parametrize(
    "command",
    [
        "pip install lightgbm-of-nobody",
        "apt-get update && python -m pip install boto3 lightgbm-of-nobody==4.6.0; ls",
        "pip install -r lacks.txt",
        "pip install --no-cache-dir 'lightgbm-of-nobody[cli]>=4,<5'",
    ],
)
def test_a_package_that_is_not_here_is_refused_with_the_way_out(command: str) -> None:
    with pytest.raises(ImageError, match=r"lightgbm-of-nobody, which .* pip install 'lightgbm"):
        notes(command)


def test_what_is_not_executed_is_named() -> None:
    assert [
        "RUN apt-get install -y libgomp1: not executed.",
        f"pip install numpy<1: not executed; this environment has numpy {NUMPY}.",
        "pip install ./package: not executed, because it is not a package's name.",
    ] == notes("apt-get install -y libgomp1 && pip install 'numpy<1' ./package")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("pip install -r nothing.txt", "no file /opt/program/nothing.txt"),
        ("pip install -r circle.txt", "include each other"),
    ],
)
def test_requirements_that_cannot_be_read_are_refused(command: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        notes(command)


def test_the_models_own_image_lacks_nothing() -> None:
    parsed = parse_dockerfile((ROOT / "model/Dockerfile").read_text())
    content = (ROOT / "model/requirements.txt").read_bytes()
    assert [] == check_packages(parsed.runs, lambda path: content)
    (base,) = parsed.bases
    assert base.startswith("FROM public.ecr.aws/docker/library/python:3.12-slim@sha256:")
    assert base.partition(";")[0].endswith(": not pulled")


@settings(max_examples=examples(200))
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        found = notes(f"pip install {text}")
    except ImageError:
        return
    assert all(isinstance(note, str) for note in found)
