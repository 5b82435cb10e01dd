"""The commands of `localcloud`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.table import Table

from localcloud import __version__
from localcloud.cli.connection import connection_app
from localcloud.cli.console import (
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
)
from localcloud.cli.demo_command import demo_app
from localcloud.cli.drift import drift_app
from localcloud.cli.gameday import gameday_app
from localcloud.cli.iam import iam_app
from localcloud.cli.review import review_app
from localcloud.cli.stacks import Url, stack_app
from localcloud.cli.time import clock_app
from localcloud.core.state_directory import DEFAULT, STATE_FILE, StateDirectory
from localcloud.iam.enforcement import Mode

# How long `stop` waits for an answer, wall-clock seconds.
_STOP_SECONDS = 3.0
_HIGHEST_PORT = 65_535

app = typer.Typer(
    help="A local AWS in which the model pipeline really runs: no Docker, no account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Container images, without Docker.", no_args_is_help=True)
app.add_typer(image_app, name="image")
app.add_typer(stack_app)
app.add_typer(review_app)
app.add_typer(iam_app)
app.add_typer(gameday_app)
app.add_typer(drift_app)
app.add_typer(demo_app)
app.add_typer(connection_app, name="connection")
app.add_typer(clock_app, name="clock")

Pipeline = Annotated[
    str | None,
    typer.Argument(help="Name of the pipeline. Default: the one with a pending approval."),
]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(f"localcloud {__version__}")
        raise typer.Exit


@app.command()
def start(
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1. Default: 4566, or a free one.")
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
) -> None:
    """Run the local cloud in this terminal until Ctrl-C."""
    import logging

    from localcloud.core.clock import HIGHEST_SPEED, LOWEST_SPEED
    from localcloud.edge.server import DEFAULT_PORT, port_is_free, run

    with errors_in_one_line():
        if port is not None and not 0 <= port <= _HIGHEST_PORT:
            raise CommandError(
                f"--port is {port}; it must be from 1 to {_HIGHEST_PORT}, or 0 for a free one"
            )
        if port is None:
            port = DEFAULT_PORT if port_is_free(DEFAULT_PORT) else 0
            if port == 0:
                out.print(f"Port {DEFAULT_PORT} is taken by another program: using a free one.")
        elif port != 0 and not port_is_free(port):
            raise CommandError(f"port {port} on 127.0.0.1 is taken; choose another with --port")
        if not LOWEST_SPEED <= speed <= HIGHEST_SPEED:
            raise CommandError(
                f"--speed is {speed:g}; it must be from {LOWEST_SPEED:g} to {HIGHEST_SPEED:g}"
            )
        if not 0 < payload_mib <= 512:
            raise CommandError(f"--payload-mib is {payload_mib:g}; it must be above 0, up to 512")
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
        )
        for noisy in ("botocore", "urllib3", "uvicorn.error", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        limit_bytes = int(payload_mib * 1024 * 1024)
        directory = None if ephemeral else state_dir
        run(port, speed, directory, iam, limit_bytes, faults=faults)


@app.command()
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


@app.command()
def stop(url: Url = None) -> None:
    """Stop the running local cloud and every process that it started."""
    from localcloud.core.internal_client import RequestFailed, post
    from localcloud.edge.shutdown import terminate

    with errors_in_one_line():
        address = endpoint_url(url)
        try:
            post(f"{address}/_localcloud/shutdown", b"", _STOP_SECONDS)
        except RequestFailed:
            # It may be too busy to answer; a signal reaches it in any case.
            if not terminate(urlsplit(address).port or 0):
                raise
        out.print("The local cloud is shutting down.")


@image_app.command("push")
def image_push(
    directory: Annotated[Path, typer.Argument(help="Directory with a Dockerfile.")],
    repository: Annotated[str, typer.Option(help="Name of the ECR repository.")],
    tag: Annotated[
        str, typer.Option(help="Tag of the image. Default: derived from its content.")
    ] = "",
    release: Annotated[
        str, typer.Option(help="SSM parameter to set to the image's URI, by digest.")
    ] = "",
    architecture: Annotated[
        str, typer.Option(help="Architecture that the image is for: amd64 or arm64.")
    ] = "amd64",
    url: Url = None,
) -> None:
    """Build a directory by its Dockerfile and register the image in ECR, without Docker."""
    from localcloud.cli.images import push

    with errors_in_one_line():
        answer = push(
            directory,
            repository,
            endpoint_url(url),
            tag=tag,
            release=release,
            architecture=architecture,
        )
        for note in answer["notes"]:
            out.print(note, markup=False, highlight=False)
        out.print(f"Pushed {directory} as {answer['tag']}")
        out.print(f"digest {answer['digest']}")
        if release:
            out.print(f"released in {release}")


@app.command(
    "pulumi",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def pulumi_command(context: typer.Context) -> None:
    """Run the Pulumi CLI against the local cloud, such as `localcloud pulumi up --stack dev`.

    With `--provider aws` first, Pulumi's own AWS plug-in is used.
    """
    from localcloud.cli.pulumi import run as run_pulumi

    arguments, provider = list(context.args), "localcloud"
    if arguments[:1] == ["--provider"]:
        provider, arguments = (arguments[1:2] or [""])[0], arguments[2:]
    with errors_in_one_line():
        if provider not in ("localcloud", "aws"):
            raise CommandError(f"--provider is '{provider}'; it must be localcloud or aws")
        url = endpoint_url(None)
        run_pulumi(arguments, url, Path.cwd(), DEFAULT, provider)


@app.command()
def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON: all that the page shows.")
    ] = False,
    url: Url = None,
) -> None:
    """Show what waits for you, pipelines, endpoints and training jobs."""
    from localcloud.cli.status import show_status

    with errors_in_one_line():
        show_status(endpoint_url(url), as_json=as_json)


@app.command()
def approve(
    pipeline: Pipeline = None,
    summary: Annotated[str, typer.Option(help="Comment, at most 512 characters.")] = "Approved",
    url: Url = None,
) -> None:
    """Approve the pending manual approval; the pipeline continues."""
    _decide(pipeline, "Approved", summary, url)


@app.command()
def reject(
    pipeline: Pipeline = None,
    summary: Annotated[str, typer.Option(help="Comment, at most 512 characters.")] = "Rejected",
    url: Url = None,
) -> None:
    """Reject the pending manual approval; the pipeline stops."""
    _decide(pipeline, "Rejected", summary, url)


def _decide(pipeline: str | None, verdict: str, summary: str, url: str | None) -> None:
    from localcloud.cli.watch import find_approval, put_approval

    with errors_in_one_line():
        codepipeline = client("codepipeline", endpoint_url(url))
        waiting = find_approval(codepipeline, pipeline)
        put_approval(codepipeline, waiting, verdict, summary)
        out.print(f"{waiting.stage}/{waiting.action} of {waiting.pipeline}: {verdict}")


# A row may begin with a minus, which is then no option.
@app.command(context_settings={"ignore_unknown_options": True})
def invoke(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    body: Annotated[
        str | None, typer.Argument(help="Body of the request. Default: standard input.")
    ] = None,
    content_type: Annotated[str, typer.Option(help="Content type of the body.")] = "text/csv",
    accept: Annotated[str, typer.Option(help="Content type of the response.")] = "application/json",
    url: Url = None,
) -> None:
    """Send one request to an endpoint and print the response.

    A body on standard input may be binary, and so may a response that goes to a file or a pipe.
    """
    with errors_in_one_line():
        content = sys.stdin.buffer.read() if body is None else os.fsencode(body)
        answer = client("sagemaker-runtime", endpoint_url(url)).invoke_endpoint(
            EndpointName=endpoint, Body=content, ContentType=content_type, Accept=accept
        )
        _print_body(answer["Body"].read(), answer["ContentType"])


def _print_body(body: bytes, content_type: str) -> None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        if sys.stdout.isatty():
            raise CommandError(
                f"the response is {len(body)} bytes of {content_type}, which a terminal cannot "
                "show: add > FILE"
            ) from None
        sys.stdout.buffer.write(body)
        return
    out.print(text.rstrip("\n"), markup=False)


@app.command()
def logs(
    group: Annotated[str | None, typer.Argument(help="Log group. Default: list them.")] = None,
    tail: Annotated[
        int, typer.Option(help="Number of lines to print, counted from the end.")
    ] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")
    ] = False,
    url: Url = None,
) -> None:
    """Print the lines of a CloudWatch log group."""
    from localcloud.cli.views import show_logs

    with errors_in_one_line():
        show_logs(endpoint_url(url), group, tail, follow=follow)


@app.command()
def evidence(
    execution: Annotated[
        str | None,
        typer.Argument(help="Id of the execution. Default: the newest one with evidence."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    url: Url = None,
) -> None:
    """Show what was known of a model at its approval; exit 1 if that was changed since."""
    from localcloud.cli.evidence import show_evidence

    with errors_in_one_line():
        verified = show_evidence(endpoint_url(url), execution, as_json=as_json)
    if not verified:
        raise typer.Exit(1)


@app.command()
def operations(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the implemented operations, by service."""
    from localcloud.edge.coverage import implemented

    table = implemented()
    if as_json:
        out.print_json(json.dumps(table))
        return
    grid = Table("Service", "Operations")
    for service, names in table.items():
        grid.add_row(service, ", ".join(names))
    out.print(grid)


@app.command()
def simulate() -> None:
    """Simulate a day's traffic under scaling settings, from JSON to JSON.

    `python -m loadtest size` is the command for people.
    """
    from localcloud.cli.simulate import command

    with errors_in_one_line():
        command()


def main() -> None:
    """Run the command line."""
    app(prog_name="localcloud")
