"""`localcloud diff`: what a change of the program changes, before it is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from localcloud.cli.console import EXIT_FOUND, CommandError, errors_in_one_line, out
from localcloud.review.comparison import has_changes, problem_of_run

review_app = typer.Typer()


@review_app.command()
def diff(
    base: Annotated[
        str, typer.Argument(help="A Git revision: a branch, a tag or a commit.")
    ] = "HEAD",
    head: Annotated[
        str | None, typer.Argument(help="Another one. Default: the working tree.")
    ] = None,
    run_lab: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Deliver a dataset to the head's production, too: which gained grants are used, "
            "and which calls are denied?",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="As Markdown, for a comment.")
    ] = False,
) -> None:
    """Compare two revisions of the program: resources, cost, permissions, rules, templates.

    Both are deployed, one after the other, to a local cloud of this command's own; no AWS account
    and no running local cloud is used. It takes some 20 seconds, and a minute with --run.

    Exit status: 0 if nothing changes, 3 if something does, 1 on an error, which includes a run that
    failed or was denied a call.
    """
    from localcloud.review.markdown import rendered
    from localcloud.review.run import compare

    with errors_in_one_line():
        if out.is_terminal:
            with out.status("starting") as status:
                found = compare(
                    Path.cwd(), base, head, lambda text: status.update(text), run_lab=run_lab
                )
        else:
            found = compare(Path.cwd(), base, head, lambda text: None, run_lab=run_lab)
        if as_json:
            out.file.write(json.dumps(found, indent=2) + "\n")
        elif as_markdown or not out.is_terminal:
            out.file.write(rendered(found))
        else:
            out.print(Markdown(rendered(found)))
        problem = problem_of_run(found)
        if problem:
            raise CommandError(problem)
        if has_changes(found):
            raise typer.Exit(EXIT_FOUND)
