"""The packages of images, installed by pip from wheels of the build context."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from localcloud.core.dockerfile_words import ImageError
from tests.images import Images, wheel

pytestmark = pytest.mark.emulator_only

ALPHA = wheel("alpha_lab", "1.0", "VALUE = 'alpha'\ndef main(): print('program')\n")
BETA = wheel("beta_lab", "2.0", "import alpha_lab\n", ["alpha_lab>=1"])
OFFLINE = "pip install --no-index --find-links wheels"


def context(dockerfile: str, **files: bytes) -> bytes:
    wheels = {f"wheels/{name}": content for name, content in (ALPHA, BETA)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        members = {"Dockerfile": dockerfile.encode(), **wheels, **files}
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def prints(python: str, code: str) -> str:
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_installs_are_layers_on_this_environment_and_cached(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    text = f"FROM x\nWORKDIR /w\nCOPY . .\nRUN {OFFLINE} alpha_lab\nRUN {OFFLINE} beta_lab\n"
    image = images.get(images.add(context(text)).digest)
    assert len(image.config.packages) == 2
    code = "import alpha_lab, beta_lab, numpy; print(alpha_lab.VALUE)"
    assert prints(image.python, code) == "alpha"
    assert f"RUN {OFFLINE} alpha_lab" in images.lines
    assert [line for line in images.lines if "Successfully installed" in line] == [
        "  Successfully installed alpha_lab-1.0",
        "  Successfully installed beta_lab-2.0",
    ]
    # The packages of the layer below, and those of this environment, are not installed again.
    second = Path(image.python).parents[1] / "lib"
    assert not list(second.rglob("alpha_lab*"))
    program = subprocess.run(
        ["alpha_lab-program"], env=image.environment(), capture_output=True, check=True, timeout=60
    )
    assert program.stdout == b"program\n"
    # Another image with the same steps takes them from the cache; a file apart does not matter.
    other = Images(tmp_path / "other", tmp_path / "packages")
    again = other.get(other.add(context(text, note=b"new")).digest)
    assert again.config.packages == image.config.packages
    assert other.lines == [
        f"RUN {OFFLINE} {name}: in the cache" for name in ("alpha_lab", "beta_lab")
    ]


def test_the_packages_of_a_stage_come_with_what_is_copied_from_it(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    stages = f"""FROM x AS builder
COPY . .
RUN python -m venv /venv && /venv/bin/{OFFLINE} alpha_lab
FROM x
COPY --from=builder /venv /venv
COPY --from=builder /wheels wheels
"""
    stored = images.add(context(stages))
    assert len(images.get(stored.digest).config.packages) == 1
    assert stored.notes[-2:] == [
        "RUN python -m venv /venv: not carried out.",
        "COPY --from=builder /venv: not carried out; the image has its packages.",
    ]
    other = f"FROM x AS c\nCOPY . .\nRUN {OFFLINE} beta_lab\nCOPY --from=builder /a /a\n"
    with pytest.raises(ImageError, match="two stages install packages"):
        images.add(context(stages + other))


def test_a_command_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    with pytest.raises(ImageError, match=r"RUN pip .* gamma_lab: pip ended with status 1: .*gamma"):
        images.add(context(f"FROM x\nCOPY . .\nRUN {OFFLINE} gamma_lab\n"))
    left = [path for path in (tmp_path / "packages").iterdir() if path.suffix != ".lock"]
    assert [path.name for path in left if path.name != "pip"] == []
    assert not (tmp_path / "images").exists()


def test_packages_of_files_change_with_the_files(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    text = "FROM x\nCOPY . .\nRUN pip install --no-index {}\n"
    name = f"wheels/{ALPHA[0]}"
    first = images.add(context(text.format(f"./{name}")))
    second = images.add(context(text.format(f"/{name}"), note=b"new"))
    layers = {image.config.packages[0] for image in (images.get(s.digest) for s in (first, second))}
    assert len(layers) == 2


def test_an_image_without_its_packages_is_refused(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    digest = images.add(context(f"FROM x\nCOPY . .\nRUN {OFFLINE} alpha_lab\n")).digest
    (layer,) = images.get(digest).config.packages
    place = tmp_path / "packages" / layer
    place.rename(place.with_name("elsewhere"))
    with pytest.raises(ImageError, match=r"the packages of image .* push it again"):
        images.get(digest)


def test_layers_that_nobody_has_used_for_a_month_are_deleted(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    text = "FROM x\nCOPY . .\nRUN {} {}\n"
    old = images.get(images.add(context(text.format(OFFLINE, "alpha_lab"))).digest)
    month = time.time() - 31 * 86400
    (layer,) = old.config.packages
    os.utime(tmp_path / "packages" / layer / "layer.json", (month, month))
    images.add(context(text.format(OFFLINE, "beta_lab")))
    assert not (tmp_path / "packages" / layer).exists()
