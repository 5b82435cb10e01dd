"""`localcloud outputs`: the outputs of deployed stacks, for a person or a script."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from localcloud.cli.console import (
    CommandError,
    endpoint_url,
    errors_in_one_line,
    out,
    print_document,
    print_rows,
)
from localcloud.cli.options import AsJson, Url

outputs_app = typer.Typer()
# The output by which the stack with the pipeline and the data lake is known.
_OF_THE_LAB = "pipelineName"


@outputs_app.command()
def outputs(
    stack: Annotated[
        str | None, typer.Argument(help="A deployed stack. Default: all of them.")
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="Print the value of this output alone.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Print the outputs of a stack, as `localcloud up` did."""
    with errors_in_one_line():
        found = shown_outputs(endpoint_url(url))
        if stack is not None:
            if stack not in found:
                known = f"; deployed are {', '.join(found)}" if found else ""
                raise CommandError(f"stack {stack} is not deployed{known}: localcloud up {stack}")
            found = {stack: found[stack]}
        if stack is not None and name is not None:
            values = found[stack]
            if name not in values:
                raise CommandError(
                    f"stack {stack} has no output {name}; it has: {', '.join(sorted(values))}"
                )
            if as_json:
                print_document(values[name])
            else:
                out.print(_text(values[name]), markup=False, soft_wrap=True)
        elif as_json:
            print_document(found if stack is None else found[stack])
        elif not found:
            raise CommandError("no stack is deployed: localcloud up prd && localcloud up dev")
        else:
            print_rows(
                ("Stack", "Output", "Value"),
                (
                    (one, key, _text(value))
                    for one, values in found.items()
                    for key, value in sorted(values.items())
                ),
            )


def shown_outputs(url: str) -> dict[str, dict[str, Any]]:
    """Return the outputs of each deployed stack; a secret one is `[secret]`.

    A stack whose name several projects have is called PROJECT/STACK.
    """
    from localcloud.deploy.state import StateStore

    store = StateStore(url)
    names = store.names()
    stacks = [name for _, name in names]
    return {
        stack if stacks.count(stack) == 1 else f"{project}/{stack}": store.load(
            project, stack
        ).shown_outputs
        for project, stack in names
    }


def labs_outputs(url: str) -> dict[str, Any]:
    """Return the outputs of the stack that has the pipeline; empty if there is none or several."""
    found = [values for values in shown_outputs(url).values() if _OF_THE_LAB in values]
    return found[0] if len(found) == 1 else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
