"""`localcloud up`, `preview`, `refresh`, `down`, `teardown` and `cost`: the commands for stacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from localcloud.cli.console import (
    EXIT_CHANGES,
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
    own_account,
    styled,
)
from localcloud.cli.cost import print_estimate
from localcloud.cli.options import AsJson, Config, Url

if TYPE_CHECKING:
    from localcloud.cli.teardown import Target
    from localcloud.deploy.plan import ChangeType, ResourceChange

stack_app = typer.Typer()

Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh", help="First read every resource: what was changed or deleted by hand."
    ),
]


# The symbol, word and colour of a change in a preview.
_SHOWN = {
    "CREATE": ("+", "create", "green"),
    "UPDATE": ("~", "update", "yellow"),
    "REPLACE": ("+-", "replace", "magenta"),
    "DELETE": ("-", "delete", "red"),
    "RETAIN": ("-", "keep, not delete", "red"),
    "SAME": (" ", "same", "dim"),
}


@stack_app.command()
def up(
    stack: Annotated[str, typer.Argument(help="prd first, then dev.")],
    config: Config = None,
    refresh: Refresh = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the totals only.")] = False,
    url: Url = None,
) -> None:
    """Deploy a stack by running the Pulumi program in process, without the Pulumi CLI."""
    from localcloud.deploy.stacks import up as deploy

    with errors_in_one_line():
        settings = _settings(config)
        out.print(f"Deploying stack [bold]{stack}[/bold]")
        with out.status("the program runs …") as spinner:
            seen = 0

            def show(step: ResourceChange) -> None:
                nonlocal seen
                seen += 1
                spinner.update(f"{seen} resources, {step.name} …")
                if not quiet and step.change.name != "SAME":
                    _print_step(step)

            changes, outputs = deploy(
                Path.cwd(),
                stack,
                endpoint_url(url),
                show,
                settings,
                own_account(),
                refresh=refresh,
            )
        out.print(_summary(changes))
        if quiet:
            return
        for key, value in sorted(outputs.items()):
            # A structured output is for programs; `localcloud cost` shows the only one.
            if isinstance(value, str | int | float | bool) and value != "":
                out.print(f"  {key} = {value}", markup=False)


@stack_app.command()
def preview(
    stack: Annotated[str, typer.Argument(help="Which stack.")],
    config: Config = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what `up` would change, without changing anything.

    Exit status: 0 if nothing would change, 2 if something would, 1 on an error.
    """
    from localcloud.deploy.stacks import preview as look

    steps: list[ResourceChange] = []
    with errors_in_one_line():
        changes = look(
            Path.cwd(),
            stack,
            endpoint_url(url),
            steps.append,
            _settings(config),
            own_account(),
            refresh=refresh,
        )
        if as_json:
            out.print_json(json.dumps(_document(stack, steps, changes)))
        else:
            _print_preview(stack, steps, changes)
        if any(step.change.name != "SAME" for step in steps):
            raise typer.Exit(EXIT_CHANGES)


@stack_app.command()
def refresh(
    stack: Annotated[str, typer.Argument(help="A deployed stack.")],
    url: Url = None,
) -> None:
    """Save in the stack's state what was changed or deleted by hand; change no resource.

    `up --refresh` also sets the resources back to what the program says.
    """
    from localcloud.deploy.stacks import refresh as read

    def show(step: ResourceChange) -> None:
        if step.change.name != "SAME":
            _print_step(step)

    with errors_in_one_line():
        out.print(f"Refreshing stack [bold]{stack}[/bold]; no resource is changed")
        out.print(_summary(read(stack, endpoint_url(url), show)))


@stack_app.command()
def down(
    stack: Annotated[str, typer.Argument(help="dev first, then prd.")],
    deployed: Annotated[
        bool,
        typer.Option(
            "--deployed",
            help="First delete the CloudFormation stack that the pipeline deployed (stackName).",
        ),
    ] = False,
    unprotect: Annotated[
        bool,
        typer.Option(
            "--unprotect",
            help="Remove the protection first, like `pulumi state unprotect --all`.",
        ),
    ] = False,
    url: Url = None,
) -> None:
    """Delete a stack's resources, in reverse order of creation.

    The endpoint stays unless --deployed is given, because the delivery pipeline deployed it in a
    CloudFormation stack of its own, as on AWS. Nothing is deleted if a resource is protected.
    """
    from localcloud.cli.views import delete_deployed, deployed_stack
    from localcloud.deploy import stacks
    from localcloud.deploy.errors import ProtectedError

    with errors_in_one_line():
        target = endpoint_url(url)
        _refuse_unknown(stack, target)
        if unprotect:
            stacks.unprotect(stack, target)
        try:
            stacks.refuse_protected(stack, target)
        except ProtectedError as error:
            raise CommandError(
                f"{error}. Nothing was deleted. To delete it all: localcloud down {stack} "
                "--unprotect"
            ) from None
        out.print(f"Deleting stack [bold]{stack}[/bold]")
        left = deployed_stack(target, stack)
        if left and deployed:
            name, account = left
            delete_deployed(client("cloudformation", target, account), name)
            left = None
        out.print(_summary(stacks.down(stack, target, _print_step)))
        if left:
            out.print(
                f"The endpoint's own CloudFormation stack {left[0]} stays; "
                f"--deployed deletes it too, or: aws cloudformation delete-stack"
            )


@stack_app.command()
def teardown(
    stacks: Annotated[
        list[str] | None,
        typer.Argument(help="The stacks, the one that refers to others first. Default: dev prd."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Not on AWS.")] = False,
    aws: Annotated[
        bool, typer.Option("--aws", help="On AWS, the stacks of `pulumi up`; needs --profile.")
    ] = False,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            help="With --aws: the AWS profile, or STACK=PROFILE for stacks in several accounts.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
) -> None:
    """Delete the whole lab: the endpoints first, then the stacks, protected resources too.

    It shows what it will delete and asks. At the end it says what is left, and what that costs.
    """
    from localcloud.cli.teardown import LocalTarget, PulumiTarget, carry_out, plan, show

    with errors_in_one_line():
        if aws != bool(profile):
            raise CommandError("--aws and --profile go together: the account must be named")
        target: Target = LocalTarget(endpoint_url(url))
        if aws:
            pairs = (text.rpartition("=") for text in profile or ())
            target = PulumiTarget(Path.cwd(), {stack: name for stack, _, name in pairs})
        steps = plan(target, stacks or ["dev", "prd"])
        if not steps.stacks:
            out.print("Nothing is deployed.")
            return
        show(steps)
        if aws:
            _confirm_accounts(target, [stack.name for stack in steps.stacks])
        elif not yes and not typer.confirm("Delete all this?"):
            raise CommandError("nothing was deleted")
        carry_out(target, steps)


def _confirm_accounts(target: Target, stacks: list[str]) -> None:
    """Have the account of each stack typed.

    Raises:
        CommandError: something else was typed.
    """
    accounts = [target.client("sts", stack).get_caller_identity()["Account"] for stack in stacks]
    for account in dict.fromkeys(accounts):
        typed = typer.prompt(f"This is AWS account {account}. Type its id to delete all this")
        if typed.strip() != account:
            raise CommandError("nothing was deleted: that is not the account's id")


@stack_app.command()
def cost(
    stack: Annotated[str, typer.Argument(help="A deployed stack.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Print the program's estimate of what a deployed stack would cost per month on AWS."""
    from localcloud.deploy.stacks import saved

    with errors_in_one_line():
        outputs = saved(stack, endpoint_url(url)).outputs
        print_estimate(stack, outputs, as_json=as_json)


def _settings(given: list[str] | None) -> dict[str, str]:
    """Return KEY=VALUE strings as settings.

    Raises:
        CommandError: one of them is not of this form.
    """
    settings = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise CommandError(f"--config {text}: it must be KEY=VALUE")
        settings[key] = value
    return settings


_PATHS_SHOWN = 3


def _refuse_unknown(stack: str, url: str) -> None:
    """Refuse a stack that is neither deployed nor has a file here: a typo, most likely."""
    from localcloud.deploy.stacks import saved

    if saved(stack, url).resources or Path(f"Pulumi.{stack}.yaml").exists():
        return
    known = sorted(path.suffixes[0][1:] for path in Path.cwd().glob("Pulumi.*.yaml"))
    raise CommandError(
        f"there is no stack {stack}: nothing of it is deployed, and there is no "
        f"Pulumi.{stack}.yaml" + (f"; the stacks here are {', '.join(known)}" if known else "")
    )


def _print_step(step: ResourceChange) -> None:
    short = step.type.rpartition(":")[2]
    paths = [difference.path for difference in step.differences]
    more = len(paths) - _PATHS_SHOWN
    where = ", ".join(paths[:_PATHS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    changed = f" [dim]({escape(where)})[/dim]" if where else ""
    out.print(
        f"  {styled(step.change.value)} {short} [bold]{escape(step.name)}[/bold] "
        f"[dim]{escape(step.id)}[/dim]{changed}"
    )


def _print_preview(stack: str, steps: list[ResourceChange], changes: dict[ChangeType, int]) -> None:
    out.print(f"Preview of stack [bold]{stack}[/bold]; nothing is changed")
    for step in steps:
        symbol, word, style = _SHOWN[step.change.name]
        if step.change.name == "SAME":
            continue
        short = step.type.rpartition(":")[2]
        out.print(
            f"  [{style}]{symbol:<2} {word}[/{style}] {short} [bold]{escape(step.name)}[/bold] "
            f"[dim]{escape(step.id)}[/dim]".rstrip()
        )
        for difference in step.differences:
            before, after = (
                "(none)" if value is None else escape(value)
                for value in (difference.before, difference.after)
            )
            out.print(f"       {escape(difference.path)}: {before} [dim]→[/dim] {after}")
    counted = ", ".join(f"{count} to {_word(change)}" for change, count in _real(changes).items())
    same = next((count for change, count in changes.items() if change.name == "SAME"), 0)
    out.print(f"{counted or 'Nothing to do'}; {same} unchanged.")


def _document(
    stack: str, steps: list[ResourceChange], changes: dict[ChangeType, int]
) -> dict[str, Any]:
    return {
        "stack": stack,
        "changes": {change.name.lower(): count for change, count in changes.items()},
        "steps": [
            {
                "change": step.change.name.lower(),
                "urn": step.urn,
                "type": step.type,
                "name": step.name,
                "id": step.id,
                "differences": [
                    {"path": d.path, "before": d.before, "after": d.after} for d in step.differences
                ],
            }
            for step in steps
        ],
    }


def _real(changes: dict[ChangeType, int]) -> dict[ChangeType, int]:
    return {change: count for change, count in changes.items() if change.name != "SAME"}


def _word(change: ChangeType) -> str:
    return _SHOWN[change.name][1]


def _summary(changes: dict[ChangeType, int]) -> str:
    counted = ", ".join(f"{count} {change.value}" for change, count in changes.items())
    return f"Done: {counted or 'nothing to do'}."
