"""Images: what a Dockerfile's steps leave on disk, and the digest that names it."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.core.dockerfile import Copy, ImageConfig, Run, parse_dockerfile
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_store import ImageReference, parse_reference
from tests.images import Images

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


def context_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def linked(directory: Path, *links: tuple[str, bytes, str], steps: tuple[str, ...]) -> Path:
    """Return the root of an image of a.py, pkg/b.py and links."""
    store = Images(directory / "images")
    files = [(member("a.py"), b"A"), (member("pkg/b.py"), b"B")]
    text = dockerfile(*steps).encode()
    made = [(member(*link), b"") for link in links]
    return store.get(store.add(context_of((member("Dockerfile"), text), *files, *made)).digest).root


def test_an_image_for_another_architecture_has_another_digest(tmp_path: Path) -> None:
    store, files = Images(tmp_path), {"Dockerfile": 'FROM x\nCMD ["a"]'}
    made = [store.add(context(files), architecture) for architecture in ("amd64", "arm64")]
    assert store.add(context(files)) == made[0]
    assert [store.get(one.digest).config.architecture for one in made] == ["amd64", "arm64"]
    with pytest.raises(ImageError, match="'riscv64'; it must be amd64 or arm64"):
        store.add(context(files), "riscv64")


def test_hard_and_symbolic_links_are_kept_as_docker_keeps_them(tmp_path: Path) -> None:
    root = linked(
        tmp_path,
        ("hard.py", tarfile.LNKTYPE, "a.py"),
        ("soft.py", tarfile.SYMTYPE, "pkg/b.py"),
        ("dir", tarfile.SYMTYPE, "pkg"),
        ("pkg/up", tarfile.SYMTYPE, "../a.py"),
        steps=("COPY . /x", "COPY soft.py /single.py", "COPY dir /tree"),
    )
    assert (root / "x/hard.py").read_text() == "A"
    assert not (root / "x/hard.py").is_symlink()
    assert (root / "x/soft.py").is_symlink()
    assert (root / "x/soft.py").read_text() == "B"
    assert (root / "x/dir/b.py").read_text() == "B"
    assert (root / "x/pkg/up").read_text() == "A"
    # A source that is a link is followed; what a directory has is not.
    assert not (root / "single.py").is_symlink()
    assert (root / "single.py").read_text() == "B"
    assert (root / "tree/b.py").read_text() == "B"
    assert (root / "tree/up").is_symlink()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd"])
def test_a_link_leads_to_a_place_inside_the_image(tmp_path: Path, target: str) -> None:
    root = linked(tmp_path, ("pkg/out", tarfile.SYMTYPE, target), steps=("COPY . /x",))
    link = root / "x/pkg/out"
    assert link.is_symlink()
    assert link.resolve() == root / "etc/passwd"


def test_nothing_is_written_through_a_link_out_of_the_image(tmp_path: Path) -> None:
    root = linked(
        tmp_path,
        ("pkg/root", tarfile.SYMTYPE, "/"),
        ("pkg/deep", tarfile.SYMTYPE, "root/pkg/root"),
        steps=("COPY . /", "COPY pkg /pkg/deep/a/b/", "COPY a.py /pkg/root/c.py"),
    )
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and root not in path.parents]
    assert {path.name for path in outside} == {"config.json", "manifest.json"}
    assert (root / "c.py").read_text() == "A"
    assert all(root in link.resolve().parents or link.resolve() == root for link in root.rglob("*"))


@pytest.mark.parametrize(
    ("link", "step", "names"),
    [
        (("l", tarfile.SYMTYPE, "../secret"), "COPY l /l", "holds no such file"),
        (("l", tarfile.SYMTYPE, "/etc"), "COPY l /l", "holds no such file"),
        (("l", tarfile.SYMTYPE, "l"), "COPY l /l", "too many levels of symbolic links"),
        (("l", tarfile.LNKTYPE, "none"), "COPY . /", "refers to none, which is not before it"),
        (("l", tarfile.LNKTYPE, "../../etc/passwd"), "COPY . /", "which is not before it"),
        (("a.py/b", tarfile.SYMTYPE, "x"), "COPY . /", "cannot be laid out"),
    ],
)
def test_a_link_that_leads_nowhere_is_refused(
    tmp_path: Path, link: tuple[str, bytes, str], step: str, names: str
) -> None:
    with pytest.raises(ImageError, match=names):
        linked(tmp_path, link, steps=(step,))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"a/..": "x"}, "unsafe name"),
        ({"a": "x", "a/b": "y"}, "cannot be laid out"),
        ({"n" * 300: "x"}, "cannot be laid out"),
        ({"Dockerfile": 'FROM x\nCOPY \'a b\nCMD ["a"]'}, "No closing quotation"),
        ({"Dockerfile": 'FROM x\nENV A=\'b\nCMD ["a"]'}, "No closing quotation"),
        ({"Dockerfile": 'FROM x\nCOPY ["a" "b"]\nCMD ["a"]'}, "write it in the JSON form"),
        ({"Dockerfile": 'FROM x\nCOPY [1, 2]\nCMD ["a"]'}, "write it in the JSON form"),
        ({"Dockerfile": "FROM x\nCOPY " + "[" * 20_000}, "write it in the JSON form"),
        ({"Dockerfile": 'FROM x\nCMD ["\\u0000"]'}, "has a NUL character"),
        ({"Dockerfile": 'FROM x\nWORKDIR /a\0b\nCMD ["a"]'}, "has a NUL character"),
        ({"Dockerfile": 'FROM x\nCMD ["a"]\nWORKDIR /' + "w" * 300}, "cannot be laid out"),
        ({"Dockerfile": 'FROM x\nCMD ["a"]\nWORKDIR /a.py\nCOPY . /'}, "cannot be laid out"),
    ],
)
def test_a_context_that_cannot_be_laid_out_is_refused(
    tmp_path: Path, files: dict[str, str], names: str
) -> None:
    given = {"Dockerfile": dockerfile("COPY . /"), "a.py": "A"} | files
    with pytest.raises(ImageError, match=names):
        Images(tmp_path).add(context(given))
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")] == []


@pytest.mark.parametrize("cut", [10, 40, 60])
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_context_is_refused(
    tmp_path: Path, compress: Callable[[bytes], bytes], cut: int
) -> None:
    whole = compress(context({"Dockerfile": dockerfile("COPY . /")}))
    with pytest.raises(ImageError, match="the build context: it is not a tar archive"):
        Images(tmp_path).add(whole[:cut])


def test_a_dockerfile_of_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the Dockerfile is not UTF-8"):
        Images(tmp_path).add(context_of((member("Dockerfile"), b"FROM \xff")))


def test_a_context_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(context_of((member("zeros"), bytes(64 * 1024 * 1024))))
    with pytest.raises(ImageError, match="unpacks to more than 200 times"):
        Images(tmp_path).add(bomb)


def dockerfile(*lines: str) -> str:
    return "\n".join(["FROM python:3.12-slim", *lines, 'CMD ["python"]'])


def layout(directory: Path, *lines: str) -> dict[str, str]:
    """Return the files that the steps lay out from a small context."""
    files = {"Dockerfile": dockerfile(*lines), "a.py": "A", "pkg/b.py": "B", "pkg/sub/c.py": "C"}
    store = Images(directory / "images")
    root = store.get(store.add(context(files)).digest).root
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
    parsed = parse_dockerfile(text)
    expected = ImageConfig("/opt/program", ["python", "-m", "model"], ["serve"], environment)
    assert expected == parsed.config
    (stage,) = parsed.stages
    run, *copies = stage.steps
    assert isinstance(run, Run)
    assert (run.text.split(), run.workdir) == (
        ["pip", "install", "--no-cache-dir", "thing"],
        "/opt/program",
    )
    assert run.variables.items() >= {**environment, "X": "1"}.items()
    assert [Copy(["a.py", "b c.py"], "/opt/program/src/"), Copy(["x y"], "/z")] == copies


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (dockerfile("ADD https://example.org/a b"), "downloads nothing"),
        (dockerfile("ADD git@github.com:a/b.git b"), "downloads nothing"),
        (dockerfile("ADD a.tar.gz b"), "not unpacked"),
        (dockerfile("ONBUILD RUN x"), "instruction ONBUILD"),
        (dockerfile("COPY a"), "COPY needs a source and a target"),
        (dockerfile("ENTRYPOINT [1]"), "JSON form"),
        (dockerfile("FROM a b c d"), "FROM IMAGE"),
        (dockerfile("WORKDIR ${A%b}"), r"'\$\{A%b\}' is not supported"),
        (dockerfile("WORKDIR ${A:?is needed}"), "A: is needed"),
        (dockerfile("WORKDIR " + "${a:-" * 30 + "}" * 30), "is not supported"),
        (dockerfile("RUN <<EOF", "pip install x"), "EOF has no end"),
        (dockerfile(*["ENV A=1"] * 1001), "more than 1000 instructions"),
        ("# escape=`\nFROM x", "escape character"),
        ("WORKDIR /x\nFROM x", "begins with WORKDIR"),
        ("ARG A=1", "no FROM"),
        ("", "no FROM"),
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
    store = Images(tmp_path / "images")
    files = {"Dockerfile": dockerfile("COPY . /x"), "../evil": "", "/abs": "", "a/../../evil": ""}
    root = store.get(store.add(context(files)).digest).root
    assert ["Dockerfile"] == [path.name for path in root.rglob("*") if path.is_file()]
    assert not (tmp_path / "evil").exists()


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"COPY nope\.py"):
        layout(tmp_path, "COPY nope.py /x")


def test_a_context_needs_a_dockerfile_and_must_be_a_tar(tmp_path: Path) -> None:
    store = Images(tmp_path)
    with pytest.raises(ImageError, match="no Dockerfile"):
        store.add(context({"a.py": ""}))
    with pytest.raises(ImageError, match="not a tar archive"):
        store.add(b"nothing of the kind")


def test_the_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    store = Images(tmp_path)
    files = {"Dockerfile": dockerfile("COPY src /x"), "src/a": "1", "src/b": "2", "other": "3"}
    stored = store.add(context(files))
    backwards = dict(reversed(list(files.items())))
    assert stored == Images(tmp_path / "n").add(context(backwards, mtime=9))
    assert stored.digest == store.add(context({**files, "other": "not copied"})).digest


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
    store = Images(tmp_path)
    files = {"Dockerfile": dockerfile("COPY src /x"), "src/a": "1", "src/b": "2"}
    assert store.add(context(files)).digest != store.add(context({**files, **change})).digest


STAGES = """ARG PYTHON=3.11
FROM python:$PYTHON AS Base
ENV FROM_BASE=1 NAME=base
WORKDIR /base
COPY a.py .
FROM base AS tests
COPY nothing.py .
FROM base AS second
ARG NAME=second TAG
ENV NAME2=$NAME TAG=${TAG:-none} BOTH="${NAME}-${TAG:+given}"
COPY --from=base /base/a.py /from/
COPY --from=0 base/a.py /number/
COPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/
CMD ["run"]
"""


def test_stages_build_on_and_copy_from_one_another(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    files = context({"Dockerfile": STAGES, "a.py": "A"})
    stored = images.add(files, arguments=["TAG=1", "OTHER=2"])
    image = images.get(stored.digest)
    assert {str(p.relative_to(image.root)) for p in image.root.rglob("*") if p.is_file()} == {
        "base/a.py",
        "from/a.py",
        "number/a.py",
    }
    assert image.config.workdir == "/base"
    assert image.config.environment == {
        "FROM_BASE": "1",
        "NAME": "base",
        "NAME2": "base",
        "TAG": "1",
        "BOTH": "base-given",
    }
    assert [note.partition(":")[0] for note in stored.notes] == [
        "FROM python",
        "--build-arg OTHER",
        "COPY --from=ghcr.io/astral-sh/uv",
    ]
    base = images.get(images.add(files, target="BASE").digest)
    assert [path.name for path in base.root.rglob("*.py")] == ["a.py"]
    with pytest.raises(ImageError, match=r"COPY nothing\.py: the directory holds no such file"):
        images.add(files, target="tests")
    with pytest.raises(ImageError, match="no stage third; its stages are: base, tests, second"):
        images.add(files, target="third")


def test_programs_of_the_image_are_found_as_in_a_container(tmp_path: Path) -> None:
    text = """FROM x
ENV PATH="/opt/program:${PATH}" PYTHONPATH=/opt/program:/opt/ml/code VIRTUAL_ENV=/opt/venv
WORKDIR /opt/program
COPY *.sh train ./
COPY train /usr/local/bin/serve
RUN cp b.sh /usr/local/bin/c && cp nothing /x
COPY --chmod=755 <<EOF <<'RAW' /opt/program/
#!/bin/sh
echo "$PYTHONPATH"
EOF
echo $PYTHONPATH
RAW
RUN chmod +x train /usr/local/bin/serve
ENTRYPOINT ["/opt/program/a.sh"]
"""
    images = Images(tmp_path / "images")
    train = "#!/usr/bin/env python\nimport sys; print(sys.argv[0])\n"
    files = {"Dockerfile": text, "a.sh": "", "b.sh": "", "train": train, "c.txt": ""}
    image = images.get(images.add(context(files)).digest)
    program = image.root / "opt/program"
    assert sorted(path.name for path in program.iterdir()) == [
        "EOF",
        "RAW",
        "a.sh",
        "b.sh",
        "train",
    ]
    assert sorted(path.name for path in (image.root / "usr/local/bin").iterdir()) == ["c", "serve"]
    assert (program / "EOF").read_text() == '#!/bin/sh\necho "/opt/program:/opt/ml/code"\n'
    assert (program / "RAW").read_text() == "echo $PYTHONPATH\n"
    assert image.command("serve") == [str(program / "a.sh"), "serve"]
    environment = image.environment()
    assert "VIRTUAL_ENV" not in environment
    assert environment["PYTHONPATH"] == f"{program}:/opt/ml/code"
    found = subprocess.run(["train"], env=environment, capture_output=True, check=True, timeout=60)
    assert found.stdout.decode().strip() == str(program / "train")
    found = subprocess.run(["serve"], env=environment, capture_output=True, check=True, timeout=60)
    assert found.stdout.decode().strip() == str(image.root / "usr/local/bin/serve")


def test_a_pattern_of_copy_takes_files_and_directories(tmp_path: Path) -> None:
    assert layout(tmp_path, "COPY ?.py p* /x/") == {
        "x/a.py": "A",
        "x/b.py": "B",
        "x/sub/c.py": "C",
    }
    with pytest.raises(ImageError, match=r"COPY \*\.txt"):
        layout(tmp_path, "COPY *.txt /x/")
    with pytest.raises(ImageError, match="no brackets"):
        layout(tmp_path, "COPY x[ab].py /x/")


def test_a_container_starts_in_its_workdir_and_listens_on_loopback(tmp_path: Path) -> None:
    lines = ("WORKDIR /opt/program", "ENV MODEL_HOST=0.0.0.0 NAME=x", 'ENTRYPOINT ["python", "-m"]')
    store = Images(tmp_path)
    image = store.get(store.add(context({"Dockerfile": dockerfile(*lines)})).digest)
    assert image.root / "opt/program" == image.directory
    assert image.directory.is_dir()
    environment = image.environment()
    assert environment.pop("PATH").startswith(str(Path(sys.executable).parent))
    assert {"MODEL_HOST": "127.0.0.1", "NAME": "x"} == environment
    assert ["python", "-m", "train"] == image.command("train")
    assert ["python", "-m", "python"] == image.command()


def test_an_image_that_was_never_pushed_says_how_to_push_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="localcloud image push"):
        Images(tmp_path).get(DIGEST)


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
