"""The commands of `localcloud`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from localcloud.cli.approvals import approval_app
from localcloud.cli.connection import connection_app
from localcloud.cli.console import (
    EXIT_FOUND,
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
    print_document,
)
from localcloud.cli.dataset import dataset_app
from localcloud.cli.demo_command import demo_app
from localcloud.cli.dev import dev_app
from localcloud.cli.drift import drift_app
from localcloud.cli.gameday import gameday_app
from localcloud.cli.help import complete
from localcloud.cli.iam import iam_app
from localcloud.cli.init import init_app
from localcloud.cli.logs import logs_app
from localcloud.cli.options import AsJson, Url
from localcloud.cli.outputs import outputs_app
from localcloud.cli.pipeline import pipeline_app
from localcloud.cli.review import review_app
from localcloud.cli.server import server_app
from localcloud.cli.snapshot import snapshot_app
from localcloud.cli.stacks import stack_app
from localcloud.cli.time import clock_app
from localcloud.core.clock import monotonic
from localcloud.core.state_directory import DEFAULT

app = typer.Typer(
    help="A local AWS in which the model pipeline really runs: no Docker, no account.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Container images, without Docker.", no_args_is_help=True)
app.add_typer(image_app, name="image")
app.add_typer(server_app)
app.add_typer(stack_app)
app.add_typer(review_app)
app.add_typer(iam_app)
app.add_typer(gameday_app)
app.add_typer(drift_app)
app.add_typer(demo_app)
app.add_typer(dev_app)
app.add_typer(init_app)
app.add_typer(approval_app)
app.add_typer(outputs_app)
app.add_typer(logs_app)
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(dataset_app, name="dataset")
app.add_typer(connection_app, name="connection")
app.add_typer(clock_app, name="clock")
app.add_typer(snapshot_app, name="snapshot")


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and the commit.")
    ] = False,
) -> None:
    if version:
        from localcloud.version import version as build

        out.print(f"localcloud {build()}", highlight=False)
        raise typer.Exit


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
    file: Annotated[
        str, typer.Option("--file", "-f", help="Path of the Dockerfile in the directory.")
    ] = "Dockerfile",
    target: Annotated[
        str, typer.Option(help="Stage of the Dockerfile to build. Default: the last one.")
    ] = "",
    build_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Value of an ARG. May be given several times."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Build a directory by its Dockerfile and register the image in ECR, without Docker.

    Packages that RUN installs by pip or uv go to an environment on top of this one. What is not
    carried out, such as apt-get, is named.
    """
    from localcloud.cli.images import push

    def show(line: str) -> None:
        out.print(line, markup=False, highlight=False)

    with errors_in_one_line():
        began = monotonic()
        with out.status(f"building {directory} …"):
            answer = push(
                *(directory, repository, endpoint_url(url)),
                tag=tag,
                release=release,
                architecture=architecture,
                file=file,
                target=target,
                arguments=build_arg or (),
                say=show if not as_json else lambda line: None,
            )
        if as_json:
            print_document({**answer, "released": release or None})
            return
        for note in answer["notes"]:
            show(note)
        out.print(f"Pushed {directory} as {answer['tag']} in {monotonic() - began:.1f} s")
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
    out.print(text.rstrip("\n"), markup=False, soft_wrap=True)


@app.command()
def evidence(
    execution: Annotated[
        str | None,
        typer.Argument(help="Id of the execution. Default: the newest one with evidence."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what was known of a model at its approval, and verify it.

    Exit status: 0 if it is what was shown then, 3 if it was changed since, 1 on an error.
    """
    from localcloud.cli.evidence import show_evidence

    with errors_in_one_line():
        verified = show_evidence(endpoint_url(url), execution, as_json=as_json)
    if not verified:
        raise typer.Exit(EXIT_FOUND)


@app.command()
def operations(
    as_json: AsJson = False,
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


def run() -> None:
    """Run the command line."""
    command = typer.main.get_command(app)
    complete(command)
    command(prog_name="localcloud")
