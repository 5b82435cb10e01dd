"""Carries out the plan: enters stages, runs actions, ends executions, keeps every step.

`tick` asks `plan` what is due until nothing is; it is called after every change. An action is one
task; what it needs to go on after a restart is in its ActionRun.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING

from localcloud.cloud import Cloud
from localcloud.codepipeline.actions import PROVIDERS
from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, Mailbox
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.notices import notices, statuses
from localcloud.codepipeline.plan import EndExecution, EnterStage, LeaveStage, StartAction, plan
from localcloud.codepipeline.variables import VariableError, resolve
from localcloud.routing import scope_of_arn
from localcloud.store import Collection

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.lambda_.service import LambdaService

log = logging.getLogger("localcloud.codepipeline")

_STAGE_OF_EXECUTION = {
    ExecutionStatus.FAILED: StageStatus.FAILED,
    ExecutionStatus.STOPPED: StageStatus.STOPPED,
}


class PipelineEngine:
    """Moves executions."""

    def __init__(
        self,
        cloud: Cloud,
        functions: LambdaService,
        repositories: CodeCommitApi,
        builds: CodeBuildApi,
        pipelines: Collection[Pipeline],
        executions: Collection[Execution],
    ) -> None:
        self._cloud = cloud
        self._functions = functions
        self._repositories = repositories
        self._builds = builds
        self._pipelines = pipelines
        self._executions = executions
        self._by_pipeline: dict[str, list[Execution]] = {}
        for execution in sorted(executions.values(), key=lambda e: e.number):
            self._by_pipeline.setdefault(execution.pipeline_arn, []).append(execution)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._told = {execution.id: statuses(execution) for execution in executions.values()}
        self.mailbox = Mailbox()

    def executions(self, pipeline: Pipeline) -> list[Execution]:
        """Return a pipeline's executions, oldest first."""
        return self._by_pipeline.get(pipeline.arn, [])

    def resume(self) -> None:
        """After a restart: run again every action that was in progress."""
        for pipeline in self._pipelines.values():
            for execution in self.executions(pipeline):
                stage = execution.current_stage if _active(execution) else None
                for run in list(stage.actions.values()) if stage else []:
                    if run.status is ActionStatus.IN_PROGRESS:
                        self._launch(pipeline, execution, run)
            self.tick(pipeline)

    def start(
        self,
        pipeline: Pipeline,
        trigger_type: str,
        trigger_detail: str,
        *,
        variables: dict[str, str] | None = None,
        source_revisions: list[dict[str, str]] | None = None,
    ) -> Execution:
        """Begin an execution."""
        now = self._cloud.clock.now()
        known = self._by_pipeline.setdefault(pipeline.arn, [])
        execution = Execution(
            id=str(uuid.uuid4()),
            pipeline_arn=pipeline.arn,
            number=known[-1].number + 1 if known else 1,
            pipeline_version=pipeline.version,
            declaration=pipeline.declaration,
            trigger_type=trigger_type,
            trigger_detail=trigger_detail,
            started=now,
            updated=now,
            source_revisions=source_revisions or [],
        )
        execution.variables["codepipeline"] = {"PipelineExecutionId": execution.id}
        if variables:
            execution.variables["variables"] = variables
        known.append(execution)
        self._save(execution)
        self.tick(pipeline)
        return execution

    def stop(self, pipeline: Pipeline, execution: Execution, reason: str, *, abandon: bool) -> None:
        """Stop an execution: wait for its actions, or abandon them."""
        now = self._cloud.clock.now()
        if execution.status is ExecutionStatus.IN_PROGRESS:
            execution.move(ExecutionStatus.STOPPING, now)
        execution.stop_reason = execution.status_summary = reason or None
        stage = execution.current_stage
        if stage is not None:
            stage.status = StageStatus.STOPPING
            for run in stage.actions.values() if abandon else ():
                if run.status is ActionStatus.IN_PROGRESS:
                    task = self._tasks.get(run.id)
                    if task is not None:
                        task.cancel()
                    run.status = ActionStatus.ABANDONED
                    run.changed = now
        self._save(execution)
        self.tick(pipeline)

    def retry(self, pipeline: Pipeline, execution: Execution, *, all_actions: bool) -> None:
        """Run a failed stage's failed actions again, or all of its actions."""
        stage = execution.current_stage
        assert stage is not None  # noqa: S101 - the API checked that the stage failed
        for name, run in list(stage.actions.items()):
            if all_actions or run.status is not ActionStatus.SUCCEEDED:
                stage.history.append(run)
                del stage.actions[name]
        stage.status = StageStatus.IN_PROGRESS
        execution.move(ExecutionStatus.IN_PROGRESS, self._cloud.clock.now())
        self._save(execution)
        self.tick(pipeline)

    def forget(self, pipeline: Pipeline) -> None:
        """Drop a deleted pipeline's executions and their running actions."""
        for execution in self._by_pipeline.pop(pipeline.arn, []):
            for stage in execution.stages.values():
                for run in stage.actions.values():
                    task = self._tasks.get(run.id)
                    if task is not None:
                        task.cancel()
            self._executions.delete(execution.id)
            self._told.pop(execution.id, None)

    def tick(self, pipeline: Pipeline) -> None:
        """Take every step that is due."""
        if pipeline.arn not in self._pipelines:
            return
        by_id = {execution.id: execution for execution in self.executions(pipeline)}
        while steps := plan(pipeline, list(by_id.values())):
            for step in steps:
                execution = by_id[step.execution_id]
                match step:
                    case EnterStage():
                        self._enter(execution)
                    case StartAction(action_name=name):
                        self._start_action(pipeline, execution, name)
                    case LeaveStage():
                        self._leave(execution)
                    case EndExecution(status=status):
                        self._end(execution, status)
                self._save(execution)

    def _save(self, execution: Execution) -> None:
        self._executions.put(execution.id, execution)
        self._tell(execution)

    def _tell(self, execution: Execution) -> None:
        """Send EventBridge what has changed since it was last told."""
        pipeline = self._pipelines.get(execution.pipeline_arn)
        if pipeline is None:
            return
        before, after = self._told.get(execution.id, {}), statuses(execution)
        if after == before:
            return  # most savings change a summary, a token or a variable
        made = notices(pipeline, execution, before)
        self._told[execution.id] = after
        scope = scope_of_arn(pipeline.arn)
        for notice in made:
            self._cloud.publish(
                scope, "aws.codepipeline", notice.detail_type, [pipeline.arn], notice.detail
            )

    def _enter(self, execution: Execution) -> None:
        now = self._cloud.clock.now()
        name = execution.stage_declaration["name"]
        execution.stages[name] = StageRun(name, StageStatus.IN_PROGRESS, now)
        execution.updated = now

    def _leave(self, execution: Execution) -> None:
        stage = execution.current_stage
        assert stage is not None  # noqa: S101 - the plan leaves only a stage that was entered
        stage.status = StageStatus.SUCCEEDED
        now = self._cloud.clock.now()
        execution.updated = now
        if execution.stage_index + 1 == len(execution.declaration["stages"]):
            execution.move(ExecutionStatus.SUCCEEDED, now)
        else:
            execution.stage_index += 1

    def _end(self, execution: Execution, status: ExecutionStatus) -> None:
        stage = execution.current_stage
        if stage is not None and status in _STAGE_OF_EXECUTION:
            stage.status = _STAGE_OF_EXECUTION[status]
        execution.move(status, self._cloud.clock.now())

    def _start_action(self, pipeline: Pipeline, execution: Execution, name: str) -> None:
        stage = execution.current_stage
        assert stage is not None  # noqa: S101 - the plan starts actions inside a stage only
        declaration = execution.action_declaration(stage.name, name)
        now = self._cloud.clock.now()
        run = ActionRun(
            id=str(uuid.uuid4()),
            name=name,
            run_order=declaration.get("runOrder", 1),
            status=ActionStatus.IN_PROGRESS,
            started=now,
            changed=now,
        )
        stage.actions[name] = run
        self._launch(pipeline, execution, run)

    def _launch(self, pipeline: Pipeline, execution: Execution, run: ActionRun) -> None:
        self._tasks[run.id] = self._cloud.spawn(
            f"action {pipeline.name}/{run.name}", self._run(pipeline, execution, run)
        )

    async def _run(self, pipeline: Pipeline, execution: Execution, run: ActionRun) -> None:
        stage_name = execution.stage_declaration["name"]
        declaration = execution.action_declaration(stage_name, run.name)
        try:
            run.configuration = {
                key: resolve(value, execution.variables)
                for key, value in declaration.get("configuration", {}).items()
            }
            kind = declaration["actionTypeId"]
            context = ActionContext(
                cloud=self._cloud,
                functions=self._functions,
                repositories=self._repositories,
                builds=self._builds,
                mailbox=self.mailbox,
                scope=scope_of_arn(pipeline.arn),
                pipeline=pipeline,
                execution=execution,
                declaration=declaration,
                run=run,
                configuration=run.configuration,
                save=lambda: self._save(execution),
            )
            await context.assume_role()
            outcome = await PROVIDERS[kind["category"], kind["provider"]](context)
        except VariableError as error:
            self._failed(run, "InvalidVariable", str(error))
        except ActionFailed as error:
            self._failed(run, error.code, error.message)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("action %s of %s", run.name, pipeline.name)
            self._failed(run, "InternalError", f"{type(error).__name__}: {error}")
        else:
            run.status = ActionStatus.SUCCEEDED
            run.summary = outcome.summary or run.summary
            run.outputs = outcome.variables
            execution.artifacts.update(outcome.artifacts)
            if declaration.get("namespace"):
                execution.variables[declaration["namespace"]] = outcome.variables
        finally:
            self._tasks.pop(run.id, None)
        run.changed = self._cloud.clock.now()
        self._save(execution)
        self.tick(pipeline)

    def _failed(self, run: ActionRun, code: str, message: str) -> None:
        run.status = ActionStatus.FAILED
        run.error_code = code
        run.error_message = message[:5000]
        if run.token is not None:
            run.summary = message[:512]


def _active(execution: Execution) -> bool:
    return execution.status in (ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING)
