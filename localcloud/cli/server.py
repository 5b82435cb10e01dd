"""`localcloud start`, `wait`, `stop` and `reset`: the local cloud's process."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from localcloud.cli.console import CommandError, endpoint_url, err, errors_in_one_line, out
from localcloud.cli.options import Url, seconds_of
from localcloud.core.state_directory import DEFAULT, STATE_FILE, StateDirectory
from localcloud.iam.enforcement import Mode

server_app = typer.Typer()

# How long `stop` waits for an answer, and then for the end; wall-clock seconds.
_STOP_SECONDS, _END_SECONDS = 3.0, 20.0
_POLL_SECONDS = 0.1
_HIGHEST_PORT = 65_535


class LogLevel(StrEnum):
    """The level of the server's log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@server_app.command()
def start(
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1; 0 for a free one. Default: 4566.")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="AWS seconds per wall-clock second, 0.001 to 3600.")
    ] = 1.0,
    state_dir: Annotated[Path, typer.Option(help="Directory of the state.")] = DEFAULT,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Start empty and keep no state.")
    ] = False,
    iam: Annotated[
        Mode,
        typer.Option(
            help="Calls that a role may not make: deny them, only record them, or check none."
        ),
    ] = Mode.LOG,
    payload_mib: Annotated[
        float, typer.Option(help="Largest request to an endpoint in MiB, up to 512.")
    ] = 6.0,
    faults: Annotated[
        bool, typer.Option("--faults", help="Let `localcloud gameday` inject faults into it.")
    ] = False,
    snapshot_dir: Annotated[
        Path | None,
        typer.Option(
            help="Directory of the snapshots. Default: beside the state, .localcloud-snapshots.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Directory with boot.d, start.d, ready.d and shutdown.d, whose .sh and .py are "
            "run as LocalStack runs its own. Default: none, and nothing is run.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(
            help="info has a line for each request; debug also for invocations, which are slower "
            "then. Default: info."
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Run it in the background; wait until it answers."),
    ] = False,
) -> None:
    """Run the local cloud in this terminal until Ctrl-C, or in the background.

    LocalStack's GATEWAY_LISTEN, PERSISTENCE=0 and DEBUG=1 are read, too; an option comes first.
    """
    from localcloud.cli.localstack_variables import defaults_of
    from localcloud.core.clock import HIGHEST_SPEED, LOWEST_SPEED
    from localcloud.edge.server import run

    with errors_in_one_line():
        given = defaults_of(os.environ)
        for note in given.notes:
            err.print(f"note: {note}", markup=False)
        chosen = free_port_or(given.port if port is None else port)
        level = log_level or (LogLevel.DEBUG if given.debug else LogLevel.INFO)
        # A directory that was named is meant.
        ephemeral = ephemeral or (given.ephemeral and state_dir == DEFAULT)
        if not LOWEST_SPEED <= speed <= HIGHEST_SPEED:
            raise CommandError(
                f"--speed is {speed:g}; it must be from {LOWEST_SPEED:g} to {HIGHEST_SPEED:g}"
            )
        if not 0 < payload_mib <= 512:
            raise CommandError(f"--payload-mib is {payload_mib:g}; it must be above 0, up to 512")
        directory = None if ephemeral else state_dir
        if detach:
            _detach(
                *(chosen, directory),
                *("--speed", str(speed), "--iam", iam, "--payload-mib", str(payload_mib)),
                *("--log-level", level, *(("--faults",) if faults else ())),
                *(("--snapshot-dir", str(snapshot_dir)) if snapshot_dir else ()),
                *(("--init", str(init)) if init else ()),
            )
            return
        _log_to_terminal(level)
        limit_bytes = int(payload_mib * 1024 * 1024)
        run(
            *(chosen, speed, directory, iam, limit_bytes),
            faults=faults,
            snapshot_dir=snapshot_dir,
            init_dir=init,
            host=given.host,
            names=given.names,
        )


def free_port_or(given: int | None) -> int:
    """Return the port to listen on.

    Raises:
        CommandError: it is no port, or it is taken; the message says by what.
    """
    from localcloud.cli.own_cloud import who_has
    from localcloud.edge.server import DEFAULT_PORT, port_is_free

    port = DEFAULT_PORT if given is None else given
    if not 0 <= port <= _HIGHEST_PORT:
        raise CommandError(
            f"--port is {port}; it must be from 1 to {_HIGHEST_PORT}, or 0 for a free one"
        )
    if port != 0 and not port_is_free(port):
        raise CommandError(
            f"port {port} on 127.0.0.1 is taken by {who_has(port)}; choose another with --port, or "
            "--port 0 for a free one"
        )
    return port


def _detach(port: int, directory: Path | None, *options: str) -> None:
    """Start the local cloud in the background, and say where it is."""
    from localcloud.cli.own_cloud import launch
    from localcloud.core.child_process import free_port

    port = port or free_port()
    # Beside the state, which a reset deletes.
    if directory is None:
        file, name = tempfile.mkstemp(prefix=f"localcloud-{port}-", suffix=".log")
        os.close(file)
        log = Path(name)
    else:
        log = directory.with_name(f"{directory.name}.log")
    state = ("--ephemeral",) if directory is None else ("--state-dir", str(directory))
    with out.status("the local cloud starts …"):
        cloud = launch(port, log, *state, *options)
    out.print(f"localcloud is ready on {cloud.url} (process {cloud.process.pid})", highlight=False)
    out.print(f"the page for a browser: {cloud.url}/", highlight=False)
    out.print(
        f"log: {log}; stop it with: localcloud stop --endpoint-url {cloud.url}",
        markup=False,
        soft_wrap=True,
    )


class _Formatter(logging.Formatter):
    """A request's line has its time only; any other its level and logger, too."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._request = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        if record.name == "localcloud.request":
            return self._request.format(record)
        return super().format(record)


def _log_to_terminal(level: LogLevel) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for noisy in ("botocore", "urllib3", "uvicorn.error", "asyncio", "boto3", "s3transfer"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@server_app.command()
def wait(
    timeout: Annotated[
        str, typer.Option("--timeout", "-t", help="How long, such as 60 (seconds), 90s or 2m.")
    ] = "60s",
    url: Url = None,
) -> None:
    """Wait until the local cloud answers; exit 1 if it does not in time."""
    from localcloud.cli.own_cloud import answers

    with errors_in_one_line():
        address = endpoint_url(url)
        seconds = float(timeout) if timeout.isdecimal() else seconds_of(timeout)
        deadline = time.monotonic() + seconds
        with out.status(f"waiting for {address} …"):
            while not answers(address):
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"no local cloud answers at {address} after {seconds:g} s; "
                        "start it with: localcloud start -d"
                    )
                time.sleep(_POLL_SECONDS)
        out.print(f"{address} answers.", highlight=False)


@server_app.command()
def stop(url: Url = None) -> None:
    """Stop the running local cloud and every process that it started, and wait for the end."""
    from localcloud.core.internal_client import RequestFailed, post
    from localcloud.edge.server import port_is_free
    from localcloud.edge.shutdown import terminate

    with errors_in_one_line():
        address = endpoint_url(url)
        port = urlsplit(address).port or 0
        try:
            post(f"{address}/_localcloud/shutdown", b"", _STOP_SECONDS)
        except RequestFailed:
            # It may be too busy to answer; a signal reaches it in any case.
            if not terminate(port):
                raise
        deadline = time.monotonic() + _END_SECONDS
        with out.status("the local cloud is shutting down …"):
            while not port_is_free(port):
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"the local cloud at {address} is shutting down, and has not ended within "
                        f"{_END_SECONDS:g} s"
                    )
                time.sleep(_POLL_SECONDS)
        out.print(f"Stopped the local cloud at {address}.", highlight=False)


@server_app.command()
def reset(
    state_dir: Annotated[
        Path | None,
        typer.Option(help="State directory of a stopped local cloud. Default: the running one."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation prompt.")] = False,
    url: Url = None,
) -> None:
    """Delete all state: stacks, buckets, pipelines, endpoints. The clock is not reset."""
    from localcloud.core.internal_client import post

    with errors_in_one_line():
        target = f"in {state_dir}" if state_dir else f"at {endpoint_url(url)}"
        if not yes:
            if not sys.stdin.isatty():
                raise CommandError("there is no terminal to confirm in: add --yes")
            typer.confirm(f"Delete all state of the local cloud {target}?", abort=True)
        if state_dir is None:
            post(f"{endpoint_url(url)}/_localcloud/reset", b"")
        else:
            if not (state_dir / STATE_FILE).exists():
                raise CommandError(f"{state_dir} is not a state directory: it has no {STATE_FILE}")
            directory = StateDirectory(state_dir)
            directory.empty()
            directory.close()
        out.print(f"The local cloud {target} is empty.", highlight=False)
