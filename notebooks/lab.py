"""What every notebook needs and none is about: a local cloud, commands, waiting, tables.

It speaks to the local cloud as anybody does: by its command line, and by boto3 in the notebooks. It
imports nothing of this project.
"""

from __future__ import annotations

import atexit
import html
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from IPython.display import HTML, display

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "notebooks"
_BIN = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
# Owns the cloud: ends it when the notebook's kernel is gone, however the kernel went.
_KEEPER = """
import subprocess, sys
cloud = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.buffer.read()
cloud.terminate()
sys.exit(cloud.wait(30))
"""
_STATUS_COLOURS = {
    "Succeeded": "#2e7d32",
    "InProgress": "#1565c0",
    "Failed": "#c62828",
    "Stopped": "#ef6c00",
    "Rejected": "#ef6c00",
}
# The kernel sets them; a program that believes them draws its animations into the notebook.
_FORCED = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"}
_keeper: subprocess.Popen[bytes] | None = None


class LabError(Exception):
    """The lab cannot go on; the text says why."""


def start(speed: float = 60.0) -> None:
    """Start an empty local cloud on a free port, and point boto3 and commands at it.

    A cloud that this notebook started before is ended first. Nothing of an AWS account is used:
    the keys in the environment become the local cloud's.

    Args:
        speed: AWS seconds per wall second.

    Raises:
        LabError: it did not start.
    """
    global _keeper
    stop()
    program = _BIN / "localcloud"
    if not program.exists():
        raise LabError(
            "the project's own environment is not there: run `make lab` or `make notebooks`"
        )
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "localcloud.log"
    with log.open("wb") as sink:
        _keeper = subprocess.Popen(
            [
                *(sys.executable, "-c", _KEEPER, str(program), "start", "--ephemeral"),
                *("--port", "0", "--speed", f"{speed:g}"),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    assert _keeper.stdout is not None  # noqa: S101 - by stdout=PIPE
    line = _keeper.stdout.readline().decode()
    if "is ready on " not in line:
        stop()
        raise LabError(f"the local cloud did not start: {line}{log.read_text()[-2000:]}")
    url = line.rsplit(" ", 1)[1].strip()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    print(f"The local cloud answers at {url}; one second here is {speed:g} seconds of AWS.")


def stop() -> None:
    """End the local cloud that `start` started, and all it runs; nothing when there is none."""
    global _keeper
    if _keeper is None:
        return
    assert _keeper.stdin is not None  # noqa: S101 - by stdin=PIPE
    assert _keeper.stdout is not None  # noqa: S101 - by stdout=PIPE
    _keeper.stdin.close()
    _keeper.stdout.close()
    _keeper.wait(40)
    _keeper = None
    print("The local cloud has ended, with all it ran.")


atexit.register(stop)


def run(
    command: str, allowed: Sequence[int] = (0,), last: int | None = None, only: str = ""
) -> None:
    """Run a command line in the project's directory and environment; print what it prints.

    Args:
        command: as typed in a terminal, without a shell's features.
        allowed: the exit statuses that are right.
        last: show only so many of the last lines, when it ends.
        only: show only the lines that have this text.

    Raises:
        LabError: it ended with another status.
    """
    print(f"$ {command}", flush=True)
    environment = {key: os.environ[key] for key in os.environ if key not in _FORCED} | {
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "MPLBACKEND": "Agg",
    }
    lines = []
    with subprocess.Popen(
        shlex.split(command),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - by stdout=PIPE
        for line in process.stdout:
            lines.append(line)
            if last is None and only in line:
                print(line, end="", flush=True)
    if process.returncode not in allowed:
        raise LabError(f"{command} ended with status {process.returncode}:\n{''.join(lines[-30:])}")
    if last is not None:
        print("".join(lines[-last:]), end="")


def wait(what: str, probe: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Wait until `probe` returns something true, with a line that says for how long.

    Raises:
        LabError: it did not within `seconds`.
    """
    return watch(lambda: HTML(f"waiting for {html.escape(what)}"), probe, seconds, what)


def watch(
    draw: Callable[[], HTML],
    probe: Callable[[], T | None],
    seconds: float = 90.0,
    what: str = "the end",
) -> T:
    """Show what `draw` returns, drawn again and again, until `probe` returns something true.

    Raises:
        LabError: it did not within `seconds`.
    """
    began = time.monotonic()
    handle = display(HTML(""), display_id=True)
    while True:
        found = probe()
        elapsed = time.monotonic() - began
        mark = "✓" if found else "…"
        handle.update(HTML(f"{draw().data} <small>{mark} {elapsed:.1f} s</small>"))
        if found:
            return found
        if elapsed > seconds:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.25)


def table(rows: Iterable[Mapping[str, Any] | Sequence[Any]], *columns: str) -> HTML:
    """Return a table: of dictionaries, by their keys, or of tuples, under `columns`."""
    rows = list(rows)
    if rows and isinstance(rows[0], Mapping):
        columns = columns or tuple(rows[0])
        rows = [[row.get(column, "") for column in columns] for row in rows]  # type: ignore[union-attr]
    left = 'style="text-align:left"'
    head = "".join(f"<th {left}>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td {left}>{html.escape(_text(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _text(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def boxes(statuses: Mapping[str, str]) -> HTML:
    """Return a row of boxes, a name and a status each, as a pipeline's stages are drawn."""
    drawn = [
        f'<span style="display:inline-block;padding:6px 12px;margin:3px;border-radius:6px;'
        f'color:white;background:{_STATUS_COLOURS.get(status, "#757575")}">'
        f"<b>{html.escape(name)}</b><br><small>{html.escape(status or 'not yet')}</small></span>"
        for name, status in statuses.items()
    ]
    return HTML(f"<div>{' ➜ '.join(drawn)}</div>")
