"""The files of the project, one list for the wheel and for `localcloud init`.

In a clone they lie beside this package. A wheel has a copy of them in the folder `template`, which
setup.py makes. This module is run while a wheel is built, so it imports the standard library only.
Must not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# The Pulumi program with its settings, and whole folders.
_FILES = (
    *("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prd.yaml", "LICENSE"),
    *(".pulumi-version",),
)
_FOLDERS = ("components", "lambda_src", "model", "loadtest")
_LEFT_OUT = frozenset({"__pycache__"})
_HERE = Path(__file__).parent
_TEMPLATE = _HERE / "template"
# Written for a project rather than for this repository. setuptools' patterns do not match a name
# that begins with a point.
_OWN = _HERE / "own"
_OWN_NAMES = {"gitignore": ".gitignore"}


def project_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is copied as it is: the path in the project, and the file.

    Args:
        root: the clone, or the template of a wheel.
    """
    for name in _FILES:
        yield name, root / name
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not _LEFT_OUT & set(path.parts):
                yield path.relative_to(root).as_posix(), path


def all_files() -> dict[str, Path]:
    """Return every file of a new project, by its path there.

    Raises:
        FileNotFoundError: this installation lacks one of them.
    """
    root = _TEMPLATE if _TEMPLATE.is_dir() else _HERE.parents[1]
    found = dict(project_files(root))
    for path in sorted(_OWN.iterdir()):
        if path.is_file():
            found[_OWN_NAMES.get(path.name, path.name)] = path
    for path in found.values():
        if not path.is_file():
            raise FileNotFoundError(path)
    return found


def missing(directory: Path) -> str | None:
    """Return what a command says in a directory without a project; None where there is one."""
    if (directory / "Pulumi.yaml").is_file():
        return None
    return (
        f"there is no project in {directory} (no Pulumi.yaml): go to the project's directory, or "
        "make one with: localcloud init DIR"
    )
