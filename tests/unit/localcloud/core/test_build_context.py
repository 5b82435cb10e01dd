"""The build context that `localcloud image push` sends."""

import io
import tarfile
from pathlib import Path

import pytest

from localcloud.cli.console import CommandError
from localcloud.cli.images import push
from localcloud.core.build_context import pack
from tests.cloud import ROOT

pytestmark = pytest.mark.emulator_only


def packed(directory: Path) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(pack(directory))) as archive:
        return archive.getnames()


def fill(directory: Path, *names: str, ignore: str = "") -> None:
    for name in ("Dockerfile", *names):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if ignore:
        (directory / ".dockerignore").write_text(ignore)


def test_the_models_own_context_has_no_caches(tmp_path: Path) -> None:
    fill(tmp_path, "a.py", "__pycache__/a.pyc", "pkg/__pycache__/b.pyc", "c.pyc")
    ignore = (ROOT / "model/.dockerignore").read_text()
    (tmp_path / ".dockerignore").write_text(ignore)
    assert [".dockerignore", "Dockerfile", "a.py"] == packed(tmp_path)


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        ("*.py", ["Dockerfile", "data/a.csv", "data/x/b.csv", "src/a.py"]),
        ("*\n!src", ["Dockerfile", "src/a.py"]),
        ("**/*.py", ["Dockerfile", "data/a.csv", "data/x/b.csv"]),
        ("data/**/*.csv", ["Dockerfile", "src/a.py", "top.py"]),
        ("data\n!data/x", ["Dockerfile", "data/x/b.csv", "src/a.py", "top.py"]),
        ("!src\nsrc", ["Dockerfile", "data/a.csv", "data/x/b.csv", "top.py"]),
        ("src/../data", ["Dockerfile", "src/a.py", "top.py"]),
        ("\ufeffdata", ["Dockerfile", "src/a.py", "top.py"]),
        ("?op.p[xy]", ["Dockerfile", "data/a.csv", "data/x/b.csv", "src/a.py"]),
    ],
)
def test_patterns_are_dockers(tmp_path: Path, ignore: str, expected: list[str]) -> None:
    fill(tmp_path, "top.py", "src/a.py", "data/a.csv", "data/x/b.csv", ignore=ignore)
    assert expected == [n for n in packed(tmp_path) if n != ".dockerignore"]


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        ("# a comment\n\n", ["a.md", "docs/x.md", "docs/y.py", "sub/docs/z.py"]),
        ("a.md", ["docs/x.md", "docs/y.py", "sub/docs/z.py"]),
        ("**/*.md", ["docs/y.py", "sub/docs/z.py"]),
        ("/sub/", ["a.md", "docs/x.md", "docs/y.py"]),
        ("sub/docs", ["a.md", "docs/x.md", "docs/y.py"]),
        ("docs/*.md", ["a.md", "docs/y.py", "sub/docs/z.py"]),
        ("docs/x.md # no comment", ["a.md", "docs/x.md", "docs/y.py", "sub/docs/z.py"]),
        ("Dockerfile\n.dockerignore\n*", []),
    ],
)
def test_dockerignore_is_honoured_but_the_dockerfile_always_goes(
    tmp_path: Path, ignore: str, expected: list[str]
) -> None:
    fill(tmp_path, "a.md", "docs/x.md", "docs/y.py", "sub/docs/z.py", ignore=ignore)
    assert ["Dockerfile", *expected] == [n for n in packed(tmp_path) if n != ".dockerignore"]


def test_a_directory_without_a_dockerfile_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no Dockerfile"):
        push(tmp_path, "iris", "http://127.0.0.1:9")


def test_links_are_sent_as_links(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    (tmp_path / "a.py").write_text("A")
    (tmp_path / "hard.py").hardlink_to(tmp_path / "a.py")
    (tmp_path / "soft.py").symlink_to("a.py")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/b.py").write_text("B")
    (tmp_path / "dir").symlink_to("pkg")
    (tmp_path / "circle").symlink_to(".")
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path))) as archive:
        kinds = {m.name: (m.issym(), m.islnk(), m.linkname) for m in archive}
    assert kinds == {
        "Dockerfile": (False, False, ""),
        "a.py": (False, False, ""),
        "hard.py": (False, True, "a.py"),
        "soft.py": (True, False, "a.py"),
        "pkg/b.py": (False, False, ""),
        "dir": (True, False, "pkg"),
        "circle": (True, False, "."),
    }
