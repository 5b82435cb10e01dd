"""The executions that a stage may be rolled back to. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
Inferred: the execution of a rollback runs only the stage.
"""

from __future__ import annotations

from collections.abc import Sequence

from localcloud.aws.errors import AwsError
from localcloud.codepipeline.model import Execution, Pipeline, StageStatus
from localcloud.codepipeline.plan import ACTIVE


def succeeded_in(execution: Execution, stage_name: str) -> bool:
    """Return whether an execution succeeded in a stage."""
    stage = execution.stages.get(stage_name)
    return stage is not None and stage.status is StageStatus.SUCCEEDED


def latest_success(
    pipeline: Pipeline, executions: Sequence[Execution], stage_name: str
) -> Execution | None:
    """Return the target execution of an automatic rollback, or None."""
    fit = [
        execution
        for execution in executions
        if succeeded_in(execution, stage_name)
        and execution.pipeline_version == pipeline.version
        and execution.rollback_target is None
    ]
    return max(fit, key=lambda e: e.stages[stage_name].entered, default=None)


def check_rollback(
    pipeline: Pipeline, executions: Sequence[Execution], stage_name: str, target: Execution
) -> None:
    """Refuse a rollback that AWS refuses.

    Raises:
        AwsError: PipelineExecutionOutdatedException or UnableToRollbackStageException.
    """
    names = [stage["name"] for stage in pipeline.declaration["stages"]]
    if target.pipeline_version != pipeline.version:
        raise AwsError(
            "PipelineExecutionOutdatedException",
            f"The execution {target.id} ran version {target.pipeline_version} of the pipeline, "
            f"which is {pipeline.version} now; a rollback requires the same version.",
        )
    if pipeline.mode == "PARALLEL":
        reason = "a pipeline in PARALLEL execution mode does not support rollbacks"
    elif names.index(stage_name) == 0:
        reason = "a source stage cannot be rolled back"
    elif target.rollback_target is not None:
        reason = f"the execution {target.id} is itself a rollback"
    elif not succeeded_in(target, stage_name):
        reason = f"the execution {target.id} did not succeed in it"
    elif any(
        execution.status in ACTIVE
        and execution.current_stage is not None
        and execution.current_stage.name == stage_name
        for execution in executions
    ):
        reason = "it is running"
    else:
        return
    raise AwsError(
        "UnableToRollbackStageException",
        f"The stage {stage_name} of {pipeline.name} cannot be rolled back: {reason}.",
    )
