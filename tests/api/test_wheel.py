"""The wheel, built and installed into an environment of its own, and the project that it writes."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.core.child_process import free_port
from localcloud.project.files import project_files
from tests.cloud import ROOT

pytestmark = pytest.mark.emulator_only

Command = Callable[..., subprocess.CompletedProcess[str]]


def _done(*command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "PATH", "LANG", "TMPDIR")}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**kept, "NO_COLOR": "1", **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the files that Git knows, or would add."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "notebooks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    built = _done(sys.executable, "-c", build, str(out), cwd=source)
    assert built.returncode == 0, built.stderr[-3000:]
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def localcloud(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command of an environment that has the wheel, and sees the packages of this one."""
    place = tmp_path_factory.mktemp("environment")
    made = _done(sys.executable, "-m", "venv", "--without-pip", str(place), cwd=place)
    assert made.returncode == 0, made.stderr
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
    start = "from localcloud.cli import main; main()"

    def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        python = str(place / "bin" / "python")
        return _done(python, "-P", "-c", start, *arguments, cwd=cwd, **more)

    return run


def test_a_wheel_writes_a_project_whose_program_runs(localcloud: Command, tmp_path: Path) -> None:
    written = localcloud("init", "x", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    assert "Next: cd x && localcloud demo" in written.stdout
    project = tmp_path / "x"
    for name in ("model/Dockerfile", "model/page.html", "loadtest/report.html.jinja", ".gitignore"):
        assert (project / name).is_file()
    assert not list(project.rglob("__pycache__"))
    copied = dict(project_files(ROOT))
    assert "components/settings.py" in copied
    assert [] == [n for n, f in copied.items() if f.read_bytes() != (project / n).read_bytes()]

    helped = localcloud("up", "prd", "--help", cwd=project)
    assert helped.returncode == 0
    assert "Usage: localcloud up" in helped.stdout
    nowhere = f"http://127.0.0.1:{free_port()}"
    asked = localcloud("status", cwd=project, AWS_ENDPOINT_URL=nowhere)
    assert asked.returncode == 1
    assert "start it with: localcloud start" in asked.stderr.replace("\n", " ")


def test_nothing_is_written_over(localcloud: Command, tmp_path: Path) -> None:
    project = tmp_path / "x"
    (project / "model").mkdir(parents=True)
    for name in ("Makefile", "model/page.html"):
        (project / name).write_text("mine")
    (project / "other").write_text("mine")
    refused = localcloud("init", str(project), cwd=tmp_path)
    assert refused.returncode == 1
    text = " ".join(refused.stderr.split())
    assert "has 2 of the project's files already (model/page.html, Makefile)" in text
    assert "nothing was written" in text
    names = {str(p.relative_to(project)) for p in project.rglob("*") if p.is_file()}
    assert {"Makefile", "model/page.html", "other"} == names
    (project / "model" / "page.html").unlink()
    (project / "Makefile").unlink()
    assert localcloud("init", str(project), cwd=tmp_path).returncode == 0
    assert "mine" == (project / "other").read_text()


@pytest.mark.parametrize(
    "command",
    [("demo", "--approve"), ("dev",), ("up", "prd"), ("preview", "dev"), ("gameday",)],
)
def test_a_command_that_needs_a_project_names_the_way_to_one(
    localcloud: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    refused = localcloud(*command, cwd=tmp_path)
    assert refused.returncode == 1
    assert "make one with: localcloud init DIR" in " ".join(refused.stderr.split())
    assert [] == list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_keeps_nothing(localcloud: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = localcloud("init", "file", cwd=tmp_path)
    assert "file is a file; choose a directory" in refused.stderr
    (tmp_path / "x").mkdir()
    # A file where a folder has to be.
    (tmp_path / "x" / "model").touch()
    refused = localcloud("init", "x", cwd=tmp_path)
    assert "nothing was left there" in " ".join(refused.stderr.split())
    assert ["model"] == [path.name for path in (tmp_path / "x").iterdir()]
