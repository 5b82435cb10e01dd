"""`localcloud init`: writes a project, from which the other commands work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localcloud.cli.console import CommandError, errors_in_one_line, out

init_app = typer.Typer()
_SHOWN = 5


@init_app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(help="Directory of the project; new, or without these files.")
    ],
) -> None:
    """Write a project: the Pulumi program, the functions, the model's container, the stress test.

    No file is written over: if one is there already, nothing is written, and the files are listed.
    """
    with errors_in_one_line():
        count = write(directory)
        out.print(f"Wrote {count} files to {directory}.", markup=False, highlight=False)
        out.print(f"Next: cd {directory} && localcloud demo", markup=False, soft_wrap=True)


def write(directory: Path) -> int:
    """Write the project; return the number of its files.

    Raises:
        CommandError: the directory cannot be written, or has some of the files; nothing was
            written.
    """
    from localcloud.project.files import all_files

    try:
        files = all_files()
    except OSError as error:
        raise CommandError(
            f"this installation has no {error.filename}; install mlops-lab again"
        ) from None
    _check(directory, files)
    made: list[Path] = []
    try:
        for name, source in files.items():
            target = directory / name
            for folder in _missing(target.parent):
                folder.mkdir()
                made.append(folder)
            # It fails where there is a file, whoever made it meanwhile.
            with target.open("xb") as file:
                made.append(target)
                file.write(source.read_bytes())
    except BaseException as error:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise CommandError(
            f"the project cannot be written to {directory} ({error.strerror}); nothing was left "
            "there. Choose another directory"
        ) from None
    return len(files)


def _missing(directory: Path) -> list[Path]:
    """Return the directory and its parents as far as they are missing, the outermost first."""
    return [path for path in reversed((directory, *directory.parents)) if not path.exists()]


def _check(directory: Path, files: dict[str, Path]) -> None:
    if directory.exists() and not directory.is_dir():
        raise CommandError(f"{directory} is a file; choose a directory")
    there = [name for name in files if _exists(directory / name)]
    if there:
        shown = ", ".join(there[:_SHOWN]) + (" and more" if len(there) > _SHOWN else "")
        raise CommandError(
            f"{directory} has {len(there)} of the project's files already ({shown}); nothing was "
            "written. Choose an empty or a new directory"
        )


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
