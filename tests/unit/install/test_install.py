"""The installation says what it does and lacks, and the check of wheels what is not listed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from install import install, needs, wheels

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.emulator_only


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A maker of programs, which are alone on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def make(name: str, text: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)

    return make


def lock(name: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(), re.M))


def test_the_lock_of_the_demo_is_a_part_of_the_lock() -> None:
    demo, everything = lock("requirements-demo.lock"), lock("requirements.lock")
    assert demo < everything
    assert {name.partition("==")[0] for name in everything - demo} >= {"mypy", "ruff"}
    assert {name.partition("==")[0] for name in demo} >= {"moto", "locust", "setuptools"}


def test_what_a_machine_lacks_is_said_before_anything_is_installed(
    program: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    packages = {"awslambdaric", "pysimdjson", "moto"}
    said = install.missing_programs(packages, (3, 14))
    assert said.startswith("awslambdaric is built from source, which needs cmake and c++; pysimdjs")
    assert "brew install cmake" in said
    program("cmake", "")
    program("c++", "")
    assert install.missing_programs(packages, (3, 14)) == ""
    monkeypatch.setattr("platform.system", lambda: "Windows")
    assert "use WSL 2" in install.missing_programs(packages, (3, 12))


def test_uv_is_taken_where_it_is_and_its_failure_is_a_sentence(
    tmp_path: Path, program: Callable[[str, str], None]
) -> None:
    program(
        "uv",
        "import pathlib, sys\n"
        "pathlib.Path('calls').open('a').write(' '.join(sys.argv[1:3]) + '\\n')\n"
        "sys.exit('moto==1' in pathlib.Path(sys.argv[-1]).read_text() if 'pip' in sys.argv[1] "
        "and not sys.argv[-1].startswith('.') else 0)\n",
    )
    for text, status in (("boto3==1\n", 0), ("moto==1\n", 1)):
        (tmp_path / "some.lock").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "install.install", ".venv", "some.lock"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert done.stdout.startswith("Installing 1 packages into .venv by uv.")
    assert done.stderr.startswith("error: the installation failed at: ")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["venv --quiet", *["pip install"] * 3, "venv --quiet", "pip install"]


@pytest.mark.parametrize(
    ("missing", "status", "said"),
    [
        ((), 3, "localstack-client: install/needs.py names it, and it has a wheel"),
        (("localstack-client",), 0, "Python 3.12 on linux-x86_64: no wheel of localstack-client"),
        (("localstack-client", "moto"), 3, "  moto: install/needs.py does not name it"),
        (("other",), 1, "uv failed for Python 3.12 on linux-x86_64"),
    ],
)
def test_a_lock_is_compared_with_what_is_known(
    tmp_path: Path,
    program: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    program(
        "uv",
        "import pathlib, sys\n"
        "text = pathlib.Path(sys.argv[-1]).read_text()\n"
        f"for name in {missing!r}:\n"
        "    if name + '==' in text or name == 'other':\n"
        "        sys.exit(f'Because {name}==1 has no\\n usable wheels and so on')\n",
    )
    monkeypatch.setattr(wheels, "PYTHONS", ("3.12",))
    monkeypatch.setattr(wheels, "MACHINES", {needs.LINUX: "x86_64-manylinux_2_28"})
    path = tmp_path / "some.lock"
    pin = " \\\n    --hash=sha256:0\n"
    path.write_text(f"moto==5{pin}localstack-client==2{pin}")
    assert wheels.main([str(path)]) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
