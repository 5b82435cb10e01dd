"""The reference of the command line, written from the commands themselves.

`python -m localcloud.cli.reference` prints docs/cli.md. A test compares the file with what this
module prints.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer.main

from localcloud.cli.app import app

_CODE = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|[A-Z]+_[A-Z_]+)(?![\w-])")
_HEAD = """\
# The command line

Every command of `localcloud`, from its own help (`localcloud COMMAND --help`). `make` puts it in
`.venv/bin`. This page is generated: `make docs`.

The commands find the local cloud by `--endpoint-url`, `AWS_ENDPOINT_URL`, `LOCALSTACK_HOST` or port
4566 of this machine, in this order. [environment.md](environment.md) lists all variables.

The load generator and the container have commands of their own: `python -m loadtest`
([stress-test.md](stress-test.md)) and `python -m model.dataset` ([formats.md](formats.md)).
"""


def document() -> str:
    """Return the content of docs/cli.md."""
    root: Any = typer.main.get_command(app)
    found = list(_commands(root, "localcloud"))
    lines = [_HEAD, "| command | |", "| --- | --- |"]
    lines += [
        f"| [`{name}`](#{_anchor(name)}) | {_cell(_summary(command))} |" for name, command in found
    ]
    for name, command in found:
        lines += ["", *_section(name, command)]
    return "\n".join(lines) + "\n"


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _section(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    arguments = [p for p in command.params if type(p).__name__ == "TyperArgument"]
    options = [p for p in command.params if p not in arguments and not p.hidden]
    words = [_usage(argument) for argument in arguments]
    yield f"`{' '.join([name, *words, *(['[OPTIONS]'] if options else [])])}`"
    for paragraph in re.split(r"\n\s*\n", cleandoc(command.help or "")):
        yield ""
        yield from _paragraph(paragraph)
    rows = [(_usage(one), one) for one in arguments]
    rows += [(", ".join([*one.opts, *one.secondary_opts]), one) for one in options]
    if rows:
        yield ""
        yield "| | |"
        yield "| --- | --- |"
        for shown, parameter in rows:
            yield f"| `{_cell(shown)}` | {_cell(_help(parameter))} |"


def _paragraph(text: str) -> Iterator[str]:
    """Return a paragraph; what is indented, or said to be an example, is a block of code."""
    lines = [line.removeprefix("\b") for line in text.splitlines() if line.strip("\b ")]
    if lines and all(line.startswith("  ") for line in lines):
        yield from ("```", *(line.strip() for line in lines), "```")
    else:
        yield _prose(" ".join(line.strip() for line in lines))


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _help(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    default = parameter.default
    shown = default not in (None, False, (), [], "") and not callable(default)
    if shown and "efault" not in text:
        value = getattr(default, "value", default)
        text = f"{text.rstrip('.')}. Default: {value}."
    return _prose(text)


def _summary(command: Any) -> str:
    first = cleandoc(command.help or "").split("\n\n")[0]
    return _prose(" ".join(first.split()))


def _prose(text: str) -> str:
    """Return a text of rich's markup as Markdown: names of options and variables in code."""
    parts = text.split("`")
    # What is between backquotes is code already.
    parts[::2] = [_CODE.sub(r"`\1`", part) for part in parts[::2]]
    return "`".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(document())
