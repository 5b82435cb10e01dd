"""Images: what a Dockerfile's steps leave on disk, and the digest that names it."""

import io
import tarfile
from pathlib import Path

import pytest

from localcloud.core.image_store import (
    ImageConfig,
    ImageError,
    ImageReference,
    ImageStore,
    parse_dockerfile,
    parse_reference,
)

pytestmark = pytest.mark.emulator_only

DIGEST = "sha256:" + "0f" * 32
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def context(files: dict[str, str], *, mtime: int = 0) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text.encode()), mtime
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def dockerfile(*lines: str) -> str:
    return "\n".join(["FROM python:3.12-slim", *lines, 'CMD ["python"]'])


def layout(directory: Path, *lines: str) -> dict[str, str]:
    """Return the files that the steps lay out from a small context."""
    files = {"Dockerfile": dockerfile(*lines), "a.py": "A", "pkg/b.py": "B", "pkg/sub/c.py": "C"}
    store = ImageStore(directory / "images")
    root = store.get(store.add(context(files))[0]).root
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "Dockerfile"
    }


def test_a_dockerfile_is_read_into_how_its_container_starts() -> None:
    text = """
    # syntax=docker/dockerfile:1
    FROM python:3.12-slim
    ARG X=1
    WORKDIR /opt
    WORKDIR program
    ENV A=1 B="two words"
    ENV OLD style of it
    RUN pip install \\
        --no-cache-dir \\
        # a comment between
        thing
    COPY --chown=1000:1000 a.py "b c.py" ./src/
    COPY ["x y", "/z"]
    EXPOSE 8080
    ENTRYPOINT ["python", "-m", "model"]
    CMD ["serve"]
    """
    environment = {"A": "1", "B": "two words", "OLD": "style of it"}
    config, copies = parse_dockerfile(text)
    expected = ImageConfig("/opt/program", ["python", "-m", "model"], ["serve"], environment)
    assert expected == config
    assert [(["a.py", "b c.py"], "/opt/program/src/"), (["x y"], "/z")] == copies


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (dockerfile("ADD a b"), "instruction ADD"),
        (dockerfile("VOLUME /x"), "instruction VOLUME"),
        (dockerfile("FROM scratch"), "several FROM"),
        (dockerfile("COPY --from=builder /a /b"), "COPY --from"),
        (dockerfile("COPY a"), "COPY needs a source and a target"),
        (dockerfile("ENTRYPOINT python -m model"), "JSON form"),
        (dockerfile('ENTRYPOINT "python"'), "JSON form"),
        (dockerfile("ENTRYPOINT [1]"), "JSON form"),
        ("FROM scratch", "no ENTRYPOINT and no CMD"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_name(text: str, names: str) -> None:
    with pytest.raises(ImageError, match=names):
        parse_dockerfile(text)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["COPY . /opt/m"], {"opt/m/a.py": "A", "opt/m/pkg/b.py": "B", "opt/m/pkg/sub/c.py": "C"}),
        (["COPY a.py /x/y.py"], {"x/y.py": "A"}),
        (["COPY a.py /x/"], {"x/a.py": "A"}),
        (["COPY ./a.py /x/"], {"x/a.py": "A"}),
        (["WORKDIR /w", "COPY a.py ."], {"w/a.py": "A"}),
        (["WORKDIR /w", "COPY a.py ./"], {"w/a.py": "A"}),
        (["WORKDIR /w", "COPY a.py b.py"], {"w/b.py": "A"}),
        (["COPY pkg /p"], {"p/b.py": "B", "p/sub/c.py": "C"}),
        (["COPY pkg/ /p/"], {"p/b.py": "B", "p/sub/c.py": "C"}),
        (["COPY a.py pkg /p/"], {"p/a.py": "A", "p/b.py": "B", "p/sub/c.py": "C"}),
        (["COPY a.py /p", "COPY pkg/b.py /p"], {"p": "B"}),
    ],
)
def test_copy_lays_files_out_as_docker_does(
    tmp_path: Path, steps: list[str], expected: dict[str, str]
) -> None:
    assert expected == layout(tmp_path, *steps)


@pytest.mark.parametrize(
    "steps",
    [
        ["COPY a.py /"],
        ["COPY a.py ."],
        ["COPY a.py /../../"],
        ["WORKDIR /../..", "COPY a.py ../../a.py"],
    ],
)
def test_no_step_leaves_the_images_own_root(tmp_path: Path, steps: list[str]) -> None:
    assert {"a.py": "A"} == layout(tmp_path, *steps)
    assert ["images"] == [path.name for path in tmp_path.iterdir()]


def test_a_whole_context_may_go_to_the_root(tmp_path: Path) -> None:
    expected = {"a.py": "A", "pkg/b.py": "B", "pkg/sub/c.py": "C"}
    assert expected == layout(tmp_path, "COPY . /")


def test_members_that_point_outside_the_context_are_left_out(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    files = {"Dockerfile": dockerfile("COPY . /x"), "../evil": "", "/abs": "", "a/../../evil": ""}
    root = store.get(store.add(context(files))[0]).root
    assert ["Dockerfile"] == [path.name for path in root.rglob("*") if path.is_file()]
    assert not (tmp_path / "evil").exists()


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"COPY nope\.py"):
        layout(tmp_path, "COPY nope.py /x")


def test_a_context_needs_a_dockerfile_and_must_be_a_tar(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    with pytest.raises(ImageError, match="no Dockerfile"):
        store.add(context({"a.py": ""}))
    with pytest.raises(ImageError, match="not a tar archive"):
        store.add(b"nothing of the kind")


def test_the_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    files = {"Dockerfile": dockerfile("COPY src /x"), "src/a": "1", "src/b": "2", "other": "3"}
    digest, manifest = store.add(context(files))
    backwards = dict(reversed(list(files.items())))
    assert (digest, manifest) == ImageStore(tmp_path / "n").add(context(backwards, mtime=9))
    assert digest == store.add(context({**files, "other": "not copied"}))[0]


@pytest.mark.parametrize(
    "change",
    [
        {"src/a": "9"},
        {"src/c": "new"},
        {"src/a": "12", "src/b": ""},
        {"Dockerfile": dockerfile("COPY src /y")},
        {"Dockerfile": dockerfile("COPY src /x", "ENV A=1")},
    ],
)
def test_another_content_has_another_digest(tmp_path: Path, change: dict[str, str]) -> None:
    store = ImageStore(tmp_path)
    files = {"Dockerfile": dockerfile("COPY src /x"), "src/a": "1", "src/b": "2"}
    assert store.add(context(files))[0] != store.add(context({**files, **change}))[0]


def test_a_container_starts_in_its_workdir_and_listens_on_loopback(tmp_path: Path) -> None:
    lines = ("WORKDIR /opt/program", "ENV MODEL_HOST=0.0.0.0 NAME=x", 'ENTRYPOINT ["python", "-m"]')
    store = ImageStore(tmp_path)
    image = store.get(store.add(context({"Dockerfile": dockerfile(*lines)}))[0])
    assert image.root / "opt/program" == image.directory
    assert image.directory.is_dir()
    assert {"MODEL_HOST": "127.0.0.1", "NAME": "x"} == image.environment()
    assert ["python", "-m", "train"] == image.command("train")
    assert ["python", "-m", "python"] == image.command()


def test_an_image_that_was_never_pushed_says_how_to_push_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="localcloud image push"):
        ImageStore(tmp_path).get(DIGEST)


@pytest.mark.parametrize(
    ("uri", "repository", "tag", "digest"),
    [
        (f"{REGISTRY}/iris", "iris", None, None),
        (f"{REGISTRY}/team/iris-model:v1.2", "team/iris-model", "v1.2", None),
        (f"{REGISTRY}/iris@{DIGEST}", "iris", None, DIGEST),
    ],
)
def test_an_image_uri_is_taken_apart(
    uri: str, repository: str, tag: str | None, digest: str | None
) -> None:
    expected = ImageReference("123456789012", "eu-west-1", repository, tag, digest)
    assert expected == parse_reference(uri)


@pytest.mark.parametrize(
    "uri",
    ["", "iris:latest", f"{REGISTRY}/Iris", f"{REGISTRY}/iris@sha256:12", f"x{REGISTRY}/iris"],
)
def test_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(ImageError, match="is not an ECR image URI"):
        parse_reference(uri)
