"""The functions of the lab that a saved file belongs to, and their code from the working tree."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SOURCE = "lambda_src"


def update_functions(functions: Any, project: Path, files: Iterable[Path]) -> Iterator[str]:
    """Give the functions that read a file the code of the working tree; yield their names.

    Args:
        functions: a client of Lambda.
        project: the project's directory.
        files: the saved files, below the project's directory.

    Raises:
        CommandError: a module cannot be parsed.
    """
    changed = {path.name for path in files}
    content = packed(project / SOURCE)
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            package, _, rest = function.get("Handler", "").partition(".")
            if package != SOURCE:
                continue
            module = rest.partition(".")[0]
            reads = {f"{name}.py" for name in closure(project / SOURCE, module)}
            # What is no module may be read by any of them.
            if reads & changed or any(not name.endswith(".py") for name in changed):
                functions.update_function_code(
                    FunctionName=function["FunctionName"], ZipFile=content
                )
                yield function["FunctionName"]


def closure(directory: Path, module: str) -> set[str]:
    """Return a module and the modules of its package that it imports, and these import.

    Raises:
        CommandError: one of them cannot be parsed.
    """
    found: set[str] = set()
    left = [module]
    while left:
        name = left.pop()
        path = directory / f"{name}.py"
        if name in found or not path.exists():
            continue
        found.add(name)
        left += _imported(path)
    return found | {"__init__"}


def _imported(path: Path) -> list[str]:
    from localcloud.cli.console import CommandError

    try:
        tree = ast.parse(path.read_text())
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"{SOURCE}/{path.name} cannot be read: {error}") from None
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    prefix = f"{SOURCE}."
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def packed(directory: Path) -> bytes:
    """Return a zip of the package, without byte code."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, f"{SOURCE}/{path.relative_to(directory)}")
    return buffer.getvalue()
