"""`localcloud approve` and `reject`: the answer to a pending approval, and what was answered."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from localcloud.cli.console import client, endpoint_url, errors_in_one_line, out, print_document
from localcloud.cli.options import AsJson, Timeout, Url, seconds_of
from localcloud.cli.watch import (
    WaitingApproval,
    find_approval,
    put_approval,
    wait_for_approval,
)

approval_app = typer.Typer()

Pipeline = Annotated[
    str | None,
    typer.Argument(help="Name of the pipeline. Default: the one with a pending approval."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until an approval is pending.")]


@approval_app.command()
def approve(
    pipeline: Pipeline = None,
    summary: Annotated[str, typer.Option(help="Comment, at most 512 characters.")] = "Approved",
    wait: Wait = False,
    timeout: Timeout = "30m",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Approve the pending manual approval, and print what was approved; the pipeline continues."""
    _decide(pipeline, "Approved", summary, url, wait=wait, timeout=timeout, as_json=as_json)


@approval_app.command()
def reject(
    pipeline: Pipeline = None,
    summary: Annotated[str, typer.Option(help="Comment, at most 512 characters.")] = "Rejected",
    wait: Wait = False,
    timeout: Timeout = "30m",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Reject the pending manual approval, and print what was rejected; the pipeline stops."""
    _decide(pipeline, "Rejected", summary, url, wait=wait, timeout=timeout, as_json=as_json)


def _decide(
    pipeline: str | None,
    verdict: str,
    summary: str,
    url: str | None,
    *,
    wait: bool,
    timeout: str,
    as_json: bool,
) -> None:
    with errors_in_one_line():
        codepipeline = client("codepipeline", endpoint_url(url))
        if wait:
            with out.status("waiting for an approval …"):
                waiting = wait_for_approval(codepipeline, pipeline, seconds_of(timeout))
        else:
            waiting = find_approval(codepipeline, pipeline)
        subject = subject_of(codepipeline, waiting)
        put_approval(codepipeline, waiting, verdict, summary)
        if as_json:
            print_document({**subject, "status": verdict, "summary": summary})
            return
        out.print(f"{verdict}: {waiting.stage}/{waiting.action} of {waiting.pipeline}")
        out.print(f"execution {waiting.execution}", markup=False)
        for line in subject["message"].splitlines():
            out.print(f"  {line}", markup=False)


def subject_of(codepipeline: Any, waiting: WaitingApproval) -> dict[str, Any]:
    """Return what an approval is about: its execution, its message, and the model.

    `model` has the output variables of the execution's actions that name a model or its score, such
    as ModelPackageArn; it is empty for a pipeline without a model.
    """
    details = codepipeline.list_action_executions(
        pipelineName=waiting.pipeline, filter={"pipelineExecutionId": waiting.execution}
    )["actionExecutionDetails"]
    message, model = "", {}
    for detail in details:
        if (detail["stageName"], detail["actionName"]) == (waiting.stage, waiting.action):
            configuration = detail["input"].get("resolvedConfiguration", {})
            message = message or configuration.get("CustomData", "")
        variables = detail.get("output", {}).get("outputVariables", {})
        for name in _OF_A_MODEL:
            if name in variables:
                # Actions are listed newest first, and training's own score counts.
                model[name] = variables[name]
    return {
        "pipeline": waiting.pipeline,
        "stage": waiting.stage,
        "action": waiting.action,
        "execution": waiting.execution,
        "message": message,
        "model": model,
    }


_OF_A_MODEL = ("ModelPackageArn", "ModelPackageVersion", "TrainingJobName", "Metric", "Score")
