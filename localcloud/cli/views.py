"""`localcloud status`, and the CloudFormation part of `localcloud down`."""

from __future__ import annotations

import time
from typing import Any

from rich.table import Table

from localcloud.cli.console import CommandError, client, out, styled


def show_status(url: str) -> None:
    """Print pipelines with their stages, endpoints with their instances, and training jobs."""
    codepipeline = client("codepipeline", url)
    for pipeline in codepipeline.list_pipelines()["pipelines"]:
        out.print(f"[bold]{pipeline['name']}[/bold]")
        grid = Table("Stage", "Action", "Status", "Summary", box=None, pad_edge=True)
        for stage in codepipeline.get_pipeline_state(name=pipeline["name"])["stageStates"]:
            for action in stage["actionStates"]:
                latest = action.get("latestExecution", {})
                text = latest.get("errorDetails", {}).get("message") or latest.get("summary", "")
                status = latest.get("status", "not run")
                if latest.get("token"):
                    status, text = "InProgress", "pending: localcloud approve | reject"
                grid.add_row(stage["stageName"], action["actionName"], styled(status), text)
        out.print(grid)
    sagemaker = client("sagemaker", url)
    grid = Table("Endpoint", "Status", "Variant", "Instances", "Config", box=None)
    for summary in sagemaker.list_endpoints()["Endpoints"]:
        endpoint = sagemaker.describe_endpoint(EndpointName=summary["EndpointName"])
        variants = endpoint.get("ProductionVariants", [{}])
        for variant in variants:
            grid.add_row(
                endpoint["EndpointName"],
                styled(endpoint["EndpointStatus"]),
                variant.get("VariantName", ""),
                str(variant.get("CurrentInstanceCount", 0)),
                endpoint["EndpointConfigName"],
            )
    if grid.row_count:
        out.print(grid)
    grid = Table("Training job", "Status", "Reason or metrics", box=None)
    for summary in sagemaker.list_training_jobs(MaxResults=5, SortOrder="Descending")[
        "TrainingJobSummaries"
    ]:
        job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        metrics = ", ".join(
            f"{m['MetricName']}={m['Value']:.4g}" for m in job.get("FinalMetricDataList", [])
        )
        text = job.get("FailureReason", metrics)
        grid.add_row(job["TrainingJobName"], styled(job["TrainingJobStatus"]), text)
    if grid.row_count:
        out.print(grid)


def deployed_stack(url: str, stack: str) -> tuple[str, str] | None:
    """Return the CloudFormation stack that the pipeline deployed for a stack, and its account.

    Return None if the pipeline has deployed none.
    """
    from localcloud.deploy.stacks import saved

    state = saved(stack, url)
    name = str(state.outputs.get("stackName"))
    stacks = client("cloudformation", url, state.account).describe_stacks()["Stacks"]
    return (name, state.account) if name in [found["StackName"] for found in stacks] else None


def delete_deployed(cloudformation: Any, name: str, poll_seconds: float = 0.2) -> None:
    """Delete a CloudFormation stack and wait until it is gone.

    Args:
        cloudformation: a client of boto3.
        name: the name of the stack.
        poll_seconds: seconds between two looks at its status.

    Raises:
        CommandError: it could not be deleted.
    """
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    while True:
        found = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
        if found["StackStatus"] == "DELETE_COMPLETE":
            out.print(f"  {styled('deleted')} CloudFormation stack [bold]{name}[/bold]")
            return
        if found["StackStatus"] != "DELETE_IN_PROGRESS":
            reason = found.get("StackStatusReason", found["StackStatus"])
            raise CommandError(f"the CloudFormation stack {name} could not be deleted: {reason}")
        time.sleep(poll_seconds)
