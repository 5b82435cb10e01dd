"""`localcloud pipeline`: starts, follows, stops and retries executions, and lists them.

By AWS's operations only. Without a name, the pipeline is the one that `localcloud up dev` deployed,
or the only one.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.markup import escape

from localcloud.cli.console import (
    CommandError,
    client,
    endpoint_url,
    err,
    errors_in_one_line,
    out,
    print_document,
    print_rows,
    styled,
)
from localcloud.cli.options import AsJson, Timeout, Url, seconds_of
from localcloud.cli.watch import ENDED, ActionLine, Snapshot, snapshots, waiting_approvals

pipeline_app = typer.Typer(
    help="Start, follow, stop and retry executions of a pipeline.", no_args_is_help=True
)

_MOST_EXECUTIONS = 100

Pipeline = Annotated[
    str | None, typer.Argument(help="Name of the pipeline. Default: the lab's, or the only one.")
]
Execution = Annotated[
    str | None,
    typer.Option("--execution", "-e", help="Id of the execution. Default: the newest."),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Then follow it until it ends.")]


@pipeline_app.command()
def start(
    pipeline: Pipeline = None,
    watch_it: Watch = False,
    timeout: Timeout = "2h",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Start an execution with the newest sources, as the console's Release change does."""
    with errors_in_one_line():
        codepipeline, name = _named(url, pipeline)
        chosen = codepipeline.start_pipeline_execution(name=name)["pipelineExecutionId"]
        # With JSON, following it prints the only document.
        if not (as_json and watch_it):
            _report(codepipeline, name, chosen, "started", as_json=as_json)
        if watch_it:
            follow(codepipeline, name, chosen, timeout, as_json=as_json)


@pipeline_app.command()
def watch(
    pipeline: Pipeline = None,
    execution: Execution = None,
    timeout: Timeout = "2h",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Follow an execution until it ends: each action as it ends, and approvals that are pending.

    Exit status: 0 if the execution succeeded, 1 if it ended otherwise or the time is up.
    """
    with errors_in_one_line():
        codepipeline, name = _named(url, pipeline)
        chosen = execution or _newest(codepipeline, name)["pipelineExecutionId"]
        follow(codepipeline, name, chosen, timeout, as_json=as_json)


@pipeline_app.command()
def stop(
    pipeline: Pipeline = None,
    execution: Execution = None,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Do not wait for the actions that run.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, at most 200 characters.")] = "",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Stop an execution, after the actions that run or, with --abandon, at once."""
    with errors_in_one_line():
        codepipeline, name = _named(url, pipeline)
        chosen = execution or _newest(codepipeline, name)["pipelineExecutionId"]
        codepipeline.stop_pipeline_execution(
            pipelineName=name,
            pipelineExecutionId=chosen,
            abandon=abandon,
            **({"reason": reason} if reason else {}),
        )
        _report(codepipeline, name, chosen, "is stopping", as_json=as_json)


@pipeline_app.command()
def retry(
    pipeline: Pipeline = None,
    execution: Execution = None,
    all_actions: Annotated[
        bool, typer.Option("--all-actions", help="Repeat the stage's succeeded actions, too.")
    ] = False,
    watch_it: Watch = False,
    timeout: Timeout = "2h",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Retry the failed actions of the stage in which an execution failed."""
    with errors_in_one_line():
        codepipeline, name = _named(url, pipeline)
        chosen = execution or _newest(codepipeline, name)["pipelineExecutionId"]
        stage = _failed_stage(codepipeline, name, chosen)
        codepipeline.retry_stage_execution(
            pipelineName=name,
            stageName=stage,
            pipelineExecutionId=chosen,
            retryMode="ALL_ACTIONS" if all_actions else "FAILED_ACTIONS",
        )
        if not (as_json and watch_it):
            _report(codepipeline, name, chosen, f"retries {stage}", as_json=as_json)
        if watch_it:
            follow(codepipeline, name, chosen, timeout, as_json=as_json)


@pipeline_app.command()
def executions(
    pipeline: Pipeline = None,
    limit: Annotated[
        int, typer.Option(help=f"The number of executions, 1 to {_MOST_EXECUTIONS}.")
    ] = 10,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List executions, the newest first: status, begin, trigger and dataset version."""
    with errors_in_one_line():
        if not 1 <= limit <= _MOST_EXECUTIONS:
            raise CommandError(f"--limit is {limit}; it must be from 1 to {_MOST_EXECUTIONS}")
        codepipeline, name = _named(url, pipeline)
        answer = codepipeline.list_pipeline_executions(pipelineName=name, maxResults=limit)
        found = [_document(summary) for summary in answer["pipelineExecutionSummaries"]]
        if as_json:
            print_document({"pipeline": name, "executions": found})
            return
        if not found:
            err.print(f"{name} has no executions; start one: localcloud pipeline start")
        print_rows(
            ("Execution", "Status", "Started", "Trigger", "Dataset"),
            (
                (
                    one["execution"],
                    one["status"],
                    f"{one['started']:%Y-%m-%d %H:%M:%S}",
                    one["trigger"],
                    one["revisions"].get("Dataset", ""),
                )
                for one in found
            ),
        )


def pipeline_named(codepipeline: Any, url: str, given: str | None) -> str:
    """Return the name of a pipeline: the given one, that of the lab's stack, or the only one.

    Raises:
        CommandError: there is none, or there are several and none of them is the lab's.
    """
    from localcloud.cli.outputs import labs_outputs

    if given:
        return given
    labs = labs_outputs(url).get("pipelineName")
    names = [one["name"] for one in codepipeline.list_pipelines()["pipelines"]]
    if labs in names:
        return str(labs)
    if not names:
        raise CommandError(
            "there is no pipeline; deploy one: localcloud up prd && localcloud up dev"
        )
    if len(names) > 1:
        raise CommandError(f"there are several pipelines: {', '.join(names)}; name one of them")
    return str(names[0])


def _named(url: str | None, given: str | None) -> tuple[Any, str]:
    address = endpoint_url(url)
    codepipeline = client("codepipeline", address)
    return codepipeline, pipeline_named(codepipeline, address, given)


def _newest(codepipeline: Any, pipeline: str) -> dict[str, Any]:
    answer = codepipeline.list_pipeline_executions(pipelineName=pipeline, maxResults=1)
    for summary in answer["pipelineExecutionSummaries"]:
        return dict(summary)
    raise CommandError(f"{pipeline} has no executions; start one: localcloud pipeline start")


def _failed_stage(codepipeline: Any, pipeline: str, execution: str) -> str:
    for stage in codepipeline.get_pipeline_state(name=pipeline)["stageStates"]:
        latest = stage.get("latestExecution", {})
        if latest.get("pipelineExecutionId") == execution and latest["status"] == "Failed":
            return str(stage["stageName"])
    raise CommandError(
        f"execution {execution} of {pipeline} has no failed stage that can be retried; see: "
        "localcloud status"
    )


def _document(summary: dict[str, Any]) -> dict[str, Any]:
    trigger = summary.get("trigger", {})
    return {
        "execution": summary["pipelineExecutionId"],
        "status": summary["status"],
        "started": summary["startTime"],
        "updated": summary["lastUpdateTime"],
        "trigger": trigger.get("triggerType", ""),
        "triggerDetail": trigger.get("triggerDetail", ""),
        "revisions": {
            revision["actionName"]: revision["revisionId"]
            for revision in summary.get("sourceRevisions", [])
        },
    }


def _report(codepipeline: Any, pipeline: str, execution: str, what: str, *, as_json: bool) -> None:
    """Say what was done with an execution."""
    if not as_json:
        out.print(f"{pipeline} {what}: execution [bold]{execution}[/bold]")
        return
    detail = codepipeline.get_pipeline_execution(
        pipelineName=pipeline, pipelineExecutionId=execution
    )["pipelineExecution"]
    print_document({"pipeline": pipeline, "execution": execution, "status": detail["status"]})


def follow(
    codepipeline: Any, pipeline: str, execution: str, timeout: str, *, as_json: bool
) -> None:
    """Print what an execution does until it ends, or one document at its end.

    Raises:
        CommandError: it has not ended in time.
        typer.Exit: it did not succeed; the status is 1.
    """
    seconds = seconds_of(timeout)
    began = time.monotonic()
    pending = ""
    with out.status("") as spinner:
        for found in snapshots(codepipeline, pipeline, execution):
            if not as_json:
                for line in found.ended:
                    _print_action(line)
                pending = _say_pending(codepipeline, pipeline, execution, pending)
            elapsed = time.monotonic() - began
            running = ", ".join(line.name for line in found.active)
            spinner.update(f"{running or 'between stages'} … {elapsed:.0f} s")
            if elapsed > seconds and found.status not in ENDED:
                raise CommandError(
                    f"execution {execution} is still {found.status} after {timeout}; "
                    "it goes on; --timeout waits longer"
                )
    if as_json:
        print_document(_ended(pipeline, execution, found))
    else:
        out.print(f"{styled(found.status)} after {time.monotonic() - began:.1f} s")
    if found.status != "Succeeded":
        raise typer.Exit(1)


def _print_action(line: ActionLine) -> None:
    text = line.error or line.summary
    out.print(
        f"{line.updated:%H:%M:%S}  {styled(line.status)}  [bold]{escape(line.name)}[/bold] "
        f"[dim]{line.clock_seconds:.0f} s  {escape(text)}[/dim]"
    )


def _say_pending(codepipeline: Any, pipeline: str, execution: str, said: str) -> str:
    """Say that an approval of the execution is pending, once; return its token."""
    for waiting in waiting_approvals(codepipeline, pipeline):
        if waiting.execution == execution:
            if waiting.token != said:
                out.print(
                    f"[bold yellow]{waiting.stage}/{waiting.action} is pending[/bold yellow]: "
                    "localcloud approve, or localcloud reject"
                )
            return waiting.token
    return ""


def _ended(pipeline: str, execution: str, found: Snapshot) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "execution": execution,
        "status": found.status,
        "reason": found.reason,
        "actions": [
            {
                "stage": line.stage,
                "action": line.action,
                "status": line.status,
                "summary": line.summary,
                "error": line.error,
                "ended": line.updated,
                "clockSeconds": line.clock_seconds,
            }
            for line in found.lines
        ],
    }
