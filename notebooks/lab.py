"""Functions for the notebooks: start a local cloud, run commands, wait, show tables.

The notebooks use the local cloud like any other client: with its command line and with boto3. This
module imports nothing of this project.
"""

from __future__ import annotations

import atexit
import base64
import html
import io
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib.pyplot as plt
from IPython.display import HTML, display

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "notebooks"
_BIN = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
# The cloud's parent process. It stops the cloud when the notebook's kernel exits, for whatever
# reason, because its standard input then closes.
_SUPERVISOR = """
import subprocess, sys
cloud = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.buffer.read()
cloud.terminate()
sys.exit(cloud.wait(30))
"""
_STATUS_COLORS = {
    "Succeeded": "#2e7d32",
    "InProgress": "#1565c0",
    "Failed": "#c62828",
    "Stopped": "#ef6c00",
    "Rejected": "#ef6c00",
}
# The kernel sets these variables. They would make programs print terminal animations.
_COLOR_VARIABLES = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"}
_supervisor: subprocess.Popen[bytes] | None = None


class LabError(Exception):
    """The lab cannot continue; the message is the reason."""


def start(speed: float = 60.0) -> None:
    """Start an empty local cloud on a free port, and make boto3 and commands use it.

    A cloud that this notebook started earlier is stopped first. No AWS account is used: the keys in
    the environment are replaced by the local cloud's.

    Args:
        speed: seconds of the emulated AWS per second of real time.

    Raises:
        LabError: the cloud did not start.
    """
    global _supervisor
    stop()
    program = _BIN / "localcloud"
    if not program.exists():
        raise LabError(
            "the project's environment does not exist: run `make lab` or `make notebooks`"
        )
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "localcloud.log"
    with log.open("wb") as sink:
        _supervisor = subprocess.Popen(
            [
                *(sys.executable, "-c", _SUPERVISOR, str(program), "start", "--ephemeral"),
                *("--port", "0", "--speed", f"{speed:g}"),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    assert _supervisor.stdout is not None  # noqa: S101 - by stdout=PIPE
    line = _supervisor.stdout.readline().decode()
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
    """Stop the local cloud that `start` started, with all its processes, if it is running."""
    global _supervisor
    if _supervisor is None:
        return
    assert _supervisor.stdin is not None  # noqa: S101 - by stdin=PIPE
    assert _supervisor.stdout is not None  # noqa: S101 - by stdout=PIPE
    _supervisor.stdin.close()
    _supervisor.stdout.close()
    _supervisor.wait(40)
    _supervisor = None
    print("The local cloud and all its processes have stopped.")


atexit.register(stop)


def run(
    command: str, allowed: Sequence[int] = (0,), last: int | None = None, only: str = ""
) -> None:
    """Run a command line in the project's directory and environment, and print its output.

    Args:
        command: the command line; shell features such as pipes do not work.
        allowed: exit statuses that count as success.
        last: number of last lines to print when the command ends; None prints all lines.
        only: print only lines that contain this text.

    Raises:
        LabError: the command ended with another status.
    """
    print(f"$ {command}", flush=True)
    environment = {key: os.environ[key] for key in os.environ if key not in _COLOR_VARIABLES} | {
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


def wait(event: str, probe: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Wait until `probe` returns a true value, and show a line with the elapsed time.

    Args:
        event: the event to wait for, for display.
        probe: returns a true value once the event has happened.
        seconds: the longest time to wait.

    Raises:
        LabError: the event did not happen in time.
    """
    return watch(lambda: HTML(f"waiting for {html.escape(event)}"), probe, seconds, event)


def watch(
    draw: Callable[[], HTML],
    probe: Callable[[], T | None],
    seconds: float = 90.0,
    event: str = "the end",
) -> T:
    """Redraw the output of `draw` until `probe` returns a true value.

    Args:
        draw: returns the HTML to show.
        probe: returns a true value once the event has happened.
        seconds: the longest time to wait.
        event: the event to wait for, for the error.

    Raises:
        LabError: the event did not happen in time.
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
            raise LabError(f"timed out after {seconds:g} s while waiting for {event}")
        time.sleep(0.25)


def table(rows: Iterable[Mapping[str, Any] | Sequence[Any]], *columns: str) -> HTML:
    """Return an HTML table.

    Args:
        rows: dictionaries, whose keys are the columns, or tuples.
        columns: the column titles; required for tuples.
    """
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


def picture(what: Path | bytes | Any, alternative: str) -> None:
    """Show a picture, with a text for those who do not see it.

    Args:
        what: a PNG or SVG file, its content, or a figure of matplotlib, which is closed.
        alternative: what the picture shows.
    """
    if isinstance(what, Path):
        what = what.read_bytes()
    if not isinstance(what, bytes):
        buffer = io.BytesIO()
        what.savefig(buffer, format="png", dpi=110)
        # Else the notebook shows it again, without the text.
        plt.close(what)
        what = buffer.getvalue()
    kind = "png" if what.startswith(b"\x89PNG") else "svg+xml"
    data = base64.b64encode(what).decode()
    source = f"data:image/{kind};base64,{data}"
    style = "max-width: 100%; height: auto"
    display(HTML(f'<img alt="{html.escape(alternative)}" style="{style}" src="{source}">'))


def _text(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def boxes(statuses: Mapping[str, str]) -> HTML:
    """Return a row of boxes, each with a name and a status, like a pipeline's stages."""
    drawn = [
        f'<span style="display:inline-block;padding:6px 12px;margin:3px;border-radius:6px;'
        f'color:white;background:{_STATUS_COLORS.get(status, "#757575")}">'
        f"<b>{html.escape(name)}</b><br><small>{html.escape(status or 'not yet')}</small></span>"
        for name, status in statuses.items()
    ]
    return HTML(f"<div>{' ➜ '.join(drawn)}</div>")
