"""The engine of pipelines: enters stages, runs actions, ends executions, stores every step.

`tick` calls `plan` and carries out the steps that are due, until none is; it runs after every
change. An action is a task. Its ActionRun has everything that the action needs to continue after a
restart.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any

from localcloud.aws.routing import scope_of_arn
from localcloud.codepipeline import conditions
from localcloud.codepipeline.actions import RUNS, Runs
from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, PendingResults
from localcloud.codepipeline.execution_lifecycle import abandon as abandon_stage_runs
from localcloud.codepipeline.execution_lifecycle import (
    new_execution,
    prepare_rollback,
    reset_for_retry,
    set_variables,
)
from localcloud.codepipeline.model import (
    ActionRun,
    ActionStatus,
    ConditionRun,
    ConditionStatus,
    Execution,
    ExecutionStatus,
    Pipeline,
    StageRun,
    StageStatus,
)
from localcloud.codepipeline.plan import (
    EndExecution,
    EnterStage,
    EvaluateCondition,
    LeaveStage,
    RetryStage,
    SkipStage,
    StartAction,
    plan,
)
from localcloud.codepipeline.rollback import latest_success
from localcloud.codepipeline.state_changes import state_change_events, statuses
from localcloud.codepipeline.variables import VariableError, resolve
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

if TYPE_CHECKING:
    from localcloud.codebuild.api import CodeBuildApi
    from localcloud.codecommit.api import CodeCommitApi
    from localcloud.codeconnections.api import ConnectionsApi
    from localcloud.lambda_.service import LambdaService

log = logging.getLogger("localcloud.codepipeline")

_STAGE_OF_EXECUTION = {
    ExecutionStatus.FAILED: StageStatus.FAILED,
    ExecutionStatus.STOPPED: StageStatus.STOPPED,
}


class PipelineEngine:
    """Moves executions through their pipelines."""

    def __init__(
        self,
        context: ServiceContext,
        functions: LambdaService,
        repositories: CodeCommitApi,
        connections: ConnectionsApi,
        builds: CodeBuildApi,
        pipelines: Collection[Pipeline],
        executions: Collection[Execution],
        runs: Runs = RUNS,
    ) -> None:
        self._context = context
        self._functions = functions
        self._repositories = repositories
        self._connections = connections
        self._builds = builds
        self._pipelines = pipelines
        self._executions = executions
        self._runs = runs
        self._by_pipeline: dict[str, list[Execution]] = {}
        for execution in sorted(executions.values(), key=lambda e: e.number):
            self._by_pipeline.setdefault(execution.pipeline_arn, []).append(execution)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last_published = {
            execution.id: statuses(execution) for execution in executions.values()
        }
        self.pending_results = PendingResults()

    def executions(self, pipeline: Pipeline) -> list[Execution]:
        """Return a pipeline's executions, oldest first."""
        return self._by_pipeline.get(pipeline.arn, [])

    def resume(self) -> None:
        """Run the actions and conditions again that a restart interrupted."""
        for pipeline in self._pipelines.values():
            for execution in self.executions(pipeline):
                stage = execution.current_stage if _active(execution) else None
                for run in list(stage.actions.values()) if stage else []:
                    if run.status is ActionStatus.IN_PROGRESS:
                        self._launch(pipeline, execution, run)
                for condition in list(stage.conditions.values()) if stage else []:
                    if condition.status is ConditionStatus.IN_PROGRESS:
                        self._launch_condition(pipeline, execution, condition)
            self.tick(pipeline)

    def start(
        self,
        pipeline: Pipeline,
        trigger_type: str,
        trigger_detail: str,
        *,
        variables: dict[str, str] | None = None,
        source_revisions: list[dict[str, str]] | None = None,
        client_token: str | None = None,
    ) -> Execution:
        """Start an execution; variables that are not given have their defaults."""
        execution = self._new(pipeline, trigger_type, trigger_detail)
        execution.source_revisions = source_revisions or []
        execution.client_token = client_token
        set_variables(execution, variables or {})
        return self._begin(pipeline, execution)

    def roll_back(
        self,
        pipeline: Pipeline,
        stage_name: str,
        target: Execution,
        trigger_type: str,
        trigger_detail: str,
    ) -> Execution:
        """Start an execution that rolls a stage back to the state of another execution."""
        execution = self._new(pipeline, trigger_type, trigger_detail)
        prepare_rollback(execution, stage_name, target)
        return self._begin(pipeline, execution)

    def _new(self, pipeline: Pipeline, trigger_type: str, trigger_detail: str) -> Execution:
        known = self.executions(pipeline)
        number = known[-1].number + 1 if known else 1
        now = self._context.clock.now()
        return new_execution(pipeline, number, trigger_type, trigger_detail, now)

    def _begin(self, pipeline: Pipeline, execution: Execution) -> Execution:
        self._by_pipeline.setdefault(pipeline.arn, []).append(execution)
        self._save(execution)
        self.tick(pipeline)
        return execution

    def stop(self, pipeline: Pipeline, execution: Execution, reason: str, *, abandon: bool) -> None:
        """Stop an execution, after its actions or by abandoning them."""
        now = self._context.clock.now()
        if execution.status is ExecutionStatus.IN_PROGRESS:
            execution.move(ExecutionStatus.STOPPING, now)
        execution.stop_reason = execution.status_summary = reason or None
        stage = execution.current_stage
        if stage is not None:
            stage.status = StageStatus.STOPPING
            if abandon:
                self._cancel_within(execution, stage)
                abandon_stage_runs(stage, now)
        self._save(execution)
        self.tick(pipeline)

    def _cancel_within(self, execution: Execution, stage: StageRun) -> None:
        """Cancel the tasks of a stage, so that none of them changes a status."""
        keys = [run.id for run in stage.actions.values()]
        keys += [_key(execution, condition) for condition in stage.conditions.values()]
        for task in (self._tasks.get(key) for key in keys):
            if task is not None:
                task.cancel()

    def retry(self, pipeline: Pipeline, execution: Execution, *, all_actions: bool) -> None:
        """Retry the failed actions of a failed stage, or all of its actions."""
        stage = _entered(execution)
        reset_for_retry(stage, all_actions=all_actions)
        stage.manual_retries, stage.last_retry = stage.manual_retries + 1, "ManualStageRetry"
        execution.move(ExecutionStatus.IN_PROGRESS, self._context.clock.now())
        self._save(execution)
        self.tick(pipeline)

    def override(self, pipeline: Pipeline, execution: Execution, condition: ConditionRun) -> None:
        """Override a condition, so that a failed execution continues."""
        now = self._context.clock.now()
        condition.status, condition.changed = ConditionStatus.OVERRIDDEN, now
        _entered(execution).status = StageStatus.IN_PROGRESS
        execution.move(ExecutionStatus.IN_PROGRESS, now)
        self._save(execution)
        self.tick(pipeline)

    def forget(self, pipeline: Pipeline) -> None:
        """Delete the executions of a deleted pipeline, and cancel their actions."""
        for execution in self._by_pipeline.pop(pipeline.arn, []):
            for stage in execution.stages.values():
                self._cancel_within(execution, stage)
            self._executions.delete(execution.id)
            self._last_published.pop(execution.id, None)

    def tick(self, pipeline: Pipeline) -> None:
        """Carry out every step that is due."""
        if pipeline.arn not in self._pipelines:
            return
        while steps := plan(pipeline, self.executions(pipeline)):
            by_id = {execution.id: execution for execution in self.executions(pipeline)}
            to_roll_back: list[Execution] = []
            for step in steps:
                execution = by_id[step.execution_id]
                match step:
                    case EnterStage():
                        self._enter(execution)
                    case StartAction(action_name=name):
                        self._start_action(pipeline, execution, name)
                    case EvaluateCondition(kind=kind):
                        self._start_condition(pipeline, execution, kind)
                    case RetryStage(all_actions=all_actions):
                        stage = _entered(execution)
                        reset_for_retry(stage, all_actions=all_actions)
                        stage.automatic_retries += 1
                        stage.last_retry = "AutomatedStageRetry"
                    case SkipStage():
                        self._leave(execution, StageStatus.SKIPPED)
                    case LeaveStage():
                        self._leave(execution, StageStatus.SUCCEEDED)
                    case EndExecution(status=status, roll_back=roll_back):
                        self._end(execution, status)
                        to_roll_back += [execution] if roll_back else []
                self._save(execution)
            for failed in to_roll_back:
                self._roll_back_automatically(pipeline, failed)

    def _roll_back_automatically(self, pipeline: Pipeline, failed: Execution) -> None:
        """Roll a failed stage back, if an execution of this pipeline version succeeded in it."""
        name = failed.stage_declaration["name"]
        target = latest_success(pipeline, self.executions(pipeline), name)
        if target is not None:
            self.roll_back(pipeline, name, target, "AutomatedRollback", failed.id)

    def _save(self, execution: Execution) -> None:
        self._executions.put(execution.id, execution)
        self._publish_changes(execution)

    def _publish_changes(self, execution: Execution) -> None:
        """Send an event to EventBridge for each status that changed since the last call."""
        pipeline = self._pipelines.get(execution.pipeline_arn)
        if pipeline is None:
            return
        before, after = self._last_published.get(execution.id, {}), statuses(execution)
        if after == before:
            return  # most changes are of a summary, a token or a variable
        events = state_change_events(pipeline, execution, before)
        self._last_published[execution.id] = after
        scope = scope_of_arn(pipeline.arn)
        for event in events:
            self._context.publish(
                scope, "aws.codepipeline", event.detail_type, [pipeline.arn], event.detail
            )

    def _enter(self, execution: Execution) -> None:
        now = self._context.clock.now()
        name = execution.stage_declaration["name"]
        execution.stages[name] = StageRun(name, StageStatus.IN_PROGRESS, now)
        execution.updated = now

    def _leave(self, execution: Execution, status: StageStatus) -> None:
        stage = _entered(execution)
        stage.status = status
        now = self._context.clock.now()
        execution.updated = now
        if execution.is_in_last_stage:
            execution.move(ExecutionStatus.SUCCEEDED, now)
        else:
            execution.stage_index += 1

    def _end(self, execution: Execution, status: ExecutionStatus) -> None:
        stage = execution.current_stage
        if stage is not None and status in _STAGE_OF_EXECUTION:
            stage.status = _STAGE_OF_EXECUTION[status]
        execution.move(status, self._context.clock.now())

    def _start_action(self, pipeline: Pipeline, execution: Execution, name: str) -> None:
        stage = _entered(execution)
        declaration = execution.action_declaration(stage.name, name)
        now = self._context.clock.now()
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

    def _start_condition(self, pipeline: Pipeline, execution: Execution, kind: str) -> None:
        stage = _entered(execution)
        condition = conditions.begin(execution, kind, self._context.clock.now())
        stage.conditions[kind] = condition
        self._launch_condition(pipeline, execution, condition)

    def _launch_condition(
        self, pipeline: Pipeline, execution: Execution, condition: ConditionRun
    ) -> None:
        self._tasks[_key(execution, condition)] = self._context.spawn(
            f"{condition.kind} of {pipeline.name}", self._evaluate(pipeline, execution, condition)
        )

    async def _evaluate(
        self, pipeline: Pipeline, execution: Execution, condition: ConditionRun
    ) -> None:
        def context_of(declaration: dict[str, Any], run: ActionRun) -> ActionContext:
            return self._action_context(pipeline, execution, declaration, run)

        try:
            await conditions.evaluate(
                execution,
                condition,
                context_of,
                lambda: self._save(execution),
                self._context.clock.now,
            )
        finally:
            self._tasks.pop(_key(execution, condition), None)
        condition.changed = self._context.clock.now()
        self._save(execution)
        self.tick(pipeline)

    def _action_context(
        self,
        pipeline: Pipeline,
        execution: Execution,
        declaration: dict[str, Any],
        run: ActionRun,
    ) -> ActionContext:
        return ActionContext(
            services=self._context,
            functions=self._functions,
            repositories=self._repositories,
            connections=self._connections,
            builds=self._builds,
            pending_results=self.pending_results,
            scope=scope_of_arn(pipeline.arn),
            pipeline=pipeline,
            execution=execution,
            declaration=declaration,
            run=run,
            configuration=run.configuration,
            save=lambda: self._save(execution),
        )

    def _launch(self, pipeline: Pipeline, execution: Execution, run: ActionRun) -> None:
        self._tasks[run.id] = self._context.spawn(
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
            context = self._action_context(pipeline, execution, declaration, run)
            await context.assume_role()
            outcome = await self._runs[kind["category"], kind["provider"]](context)
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
        run.changed = self._context.clock.now()
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


def _entered(execution: Execution) -> StageRun:
    """Return the current stage of an execution that has entered one."""
    stage = execution.current_stage
    assert stage is not None  # noqa: S101 - a step within a stage follows EnterStage
    return stage


def _key(execution: Execution, condition: ConditionRun) -> str:
    return f"{execution.id}/{execution.stage_index}/{condition.kind}"
