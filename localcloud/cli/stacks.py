"""`localcloud up`, `preview`, `refresh`, `down`, `teardown` and `cost`: the commands for stacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from localcloud.cli.console import (
    EXIT_FOUND,
    CommandError,
    client,
    endpoint_url,
    errors_in_one_line,
    out,
    own_account,
    print_document,
    styled,
)
from localcloud.cli.cost import print_estimate
from localcloud.cli.options import AsJson, Config, Url
from localcloud.cli.progress import DeploymentProgress, described

if TYPE_CHECKING:
    from localcloud.cli.teardown import Target
    from localcloud.deploy.plan import ChangeType, ResourceChange

stack_app = typer.Typer()

Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", help="List what is created and deleted in a terminal, too, and not count it."
    ),
]
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
    verbose: Verbose = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Deploy a stack by running the Pulumi program in process, without the Pulumi CLI."""
    from localcloud.deploy.stacks import up as deploy

    with errors_in_one_line():
        settings, target = settings_of(config), endpoint_url(url)
        progress = DeploymentProgress(
            out,
            f"Deploying stack [bold]{escape(stack)}[/bold]",
            (lambda step: None) if quiet else print_step,
            everything=verbose,
            silent=as_json,
        )
        with progress:
            changes, outputs = deploy(
                *(Path.cwd(), stack, target, progress.show, settings, own_account()),
                refresh=refresh,
            )
        if as_json:
            print_document(_document(stack, progress, changes) | {"outputs": outputs})
            return
        out.print(summary_of(changes, progress.seconds))
        if quiet:
            return
        for key, value in sorted(outputs.items()):
            # A structured output is for programs; `localcloud cost` shows the only one.
            if isinstance(value, str | int | float | bool) and value != "":
                out.print(f"  {key} = {value}", markup=False, soft_wrap=True)


@stack_app.command()
def preview(
    stack: Annotated[str, typer.Argument(help="Which stack.")],
    config: Config = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what `up` would change, without changing anything.

    Exit status: 0 if nothing would change, 3 if something would, 1 on an error.
    """
    from localcloud.deploy.stacks import preview as look

    with errors_in_one_line():
        settings, target = settings_of(config), endpoint_url(url)
        progress = DeploymentProgress(
            *(out, f"Comparing stack {escape(stack)} …", lambda step: None),
            announce=False,
            silent=as_json,
        )
        with progress:
            changes = look(
                *(Path.cwd(), stack, target, progress.show, settings, own_account()),
                refresh=refresh,
            )
        if as_json:
            print_document(_document(stack, progress, changes))
        else:
            _print_preview(stack, progress.steps, changes)
        if any(step.change.name != "SAME" for step in progress.steps):
            raise typer.Exit(EXIT_FOUND)


@stack_app.command()
def refresh(
    stack: Annotated[str, typer.Argument(help="A deployed stack.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Save in the stack's state what was changed or deleted by hand; change no resource.

    `up --refresh` also sets the resources back to what the program says.
    """
    from localcloud.deploy.stacks import refresh as read

    with errors_in_one_line():
        progress = DeploymentProgress(
            out,
            f"Refreshing stack [bold]{escape(stack)}[/bold]; no resource is changed",
            print_step,
            everything=True,
            silent=as_json,
        )
        with progress:
            changes = read(stack, endpoint_url(url), progress.show)
        if as_json:
            print_document(_document(stack, progress, changes))
        else:
            out.print(summary_of(changes, progress.seconds))


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
    verbose: Verbose = False,
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
                f"{'--deployed ' if deployed else ''}--unprotect"
            ) from None
        progress = DeploymentProgress(
            *(out, f"Deleting stack [bold]{escape(stack)}[/bold]", print_step),
            everything=verbose,
        )
        with progress:
            left = deployed_stack(target, stack)
            if left and deployed:
                name, account = left
                delete_deployed(client("cloudformation", target, account), name)
                left = None
            changes = stacks.down(stack, target, progress.show)
        out.print(summary_of(changes, progress.seconds))
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


def settings_of(given: list[str] | None) -> dict[str, str]:
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


def print_step(step: ResourceChange) -> None:
    """Print the line of a change."""
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
    stack: str, progress: DeploymentProgress, changes: dict[ChangeType, int]
) -> dict[str, Any]:
    return {
        "stack": stack,
        "changes": {change.name.lower(): count for change, count in changes.items()},
        "seconds": round(progress.seconds, 3),
        "steps": described(progress.steps),
    }


def _real(changes: dict[ChangeType, int]) -> dict[ChangeType, int]:
    return {change: count for change, count in changes.items() if change.name != "SAME"}


def _word(change: ChangeType) -> str:
    return _SHOWN[change.name][1]


def summary_of(changes: dict[ChangeType, int], seconds: float) -> str:
    """Return the last line of a deployment."""
    counted = ", ".join(f"{count} {change.value}" for change, count in changes.items())
    return f"Done: {counted or 'nothing to do'}. It took {seconds:.1f} s."
